//! Clients that ask without pause, and what they were told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    /// A kept answer.
    Kept,
    /// Made for this request.
    Loaded,
    /// Old, or made of something old.
    Stale,
    /// Made by the direct query.
    Direct,
    /// The service had none, and said so.
    Unavailable,
    /// Something went wrong.
    Failed,
}

/// One answer: when it came, how long it took, and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) from: From,
    /// What went wrong.
    pub(crate) problem: Option<String>,
}

/// The number of the next question.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Clients that ask one service.
pub(crate) struct Crowd {
    told: Arc<Mutex<Vec<Told>>>,
    stop: CancellationToken,
    clients: TaskTracker,
}

impl Crowd {
    /// Lets `clients` ask what `question` makes of a number that never comes twice.
    pub(crate) fn ask(address: SocketAddr, clients: usize, question: fn(u64) -> String) -> Self {
        let (told, stop, tasks) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new(), TaskTracker::new());
        for _ in 0..clients {
            let (told, stop) = (Arc::clone(&told), stop.clone());
            tasks.spawn(async move {
                let mut connection = None;
                while !stop.is_cancelled() {
                    let question = question(NUMBER.fetch_add(1, Ordering::Relaxed));
                    let (answer, _) = told_to(&mut connection, address, &question).await;
                    told.lock().unwrap().push(answer);
                }
            });
        }
        tasks.close();
        Self { told, stop, clients: tasks }
    }

    /// What has been told so far since `since`.
    pub(crate) fn since(&self, since: Instant) -> Vec<Told> {
        self.told.lock().unwrap().iter().filter(|told| told.at >= since).cloned().collect()
    }

    /// Ends the questions; returns everything that was told.
    pub(crate) async fn end(self) -> Vec<Told> {
        self.stop.cancel();
        self.clients.wait().await;
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

/// Asks once; returns what was told, and the answer's body.
pub(crate) async fn ask_once(address: SocketAddr, question: &str) -> (Told, String) {
    told_to(&mut None, address, question).await
}

async fn told_to(connection: &mut Option<TcpStream>, address: SocketAddr, question: &str) -> (Told, String) {
    let started = Instant::now();
    let answer = exchange(connection, address, &json!({ "query": question }).to_string()).await;
    let took = started.elapsed();
    let (from, problem) = judge(&answer);
    (Told { at: Instant::now(), took, from, problem }, answer.map(|(_, body)| body).unwrap_or_default())
}

/// How many answers came from where, in one line.
pub(crate) fn counts(told: &[Told]) -> String {
    let mut counts = BTreeMap::new();
    for told in told {
        *counts.entry(told.from).or_insert(0) += 1;
    }
    let mut line = String::new();
    for (from, count) in counts {
        write!(line, "{from:?} {count}  ").unwrap();
    }
    line
}

/// Asks over a connection that is kept; returns the head and the body.
async fn exchange(
    connection: &mut Option<TcpStream>,
    address: SocketAddr,
    body: &str,
) -> std::io::Result<(String, String)> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => TcpStream::connect(address).await?,
    };
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut read = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&read[..head_end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = read.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    *connection = Some(stream);
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

fn judge(answer: &std::io::Result<(String, String)>) -> (From, Option<String>) {
    let (head, body) = match answer {
        Ok(answer) => answer,
        Err(error) => return (From::Failed, Some(error.to_string())),
    };
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    if value["data"].is_object() && value["errors"].is_null() {
        let status = head.lines().find_map(|line| line.strip_prefix("cache-status: ")).unwrap_or_default();
        let from = if body.contains("DIRECT_QUERY") {
            From::Direct
        } else if status.contains("detail=stale") {
            From::Stale
        } else if status.contains("; hit") {
            From::Kept
        } else {
            From::Loaded
        };
        return (from, None);
    }
    let told_when = head.lines().any(|line| line.starts_with("retry-after: "));
    let unavailable = value["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE" && told_when;
    let problem = format!("{} {body}", head.lines().next().unwrap_or_default());
    (if unavailable { From::Unavailable } else { From::Failed }, Some(problem))
}
