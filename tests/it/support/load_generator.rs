//! Clients that send requests without pause, and a record of each response.

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

/// Where a response came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ResponseSource {
    /// A fresh cached response.
    Cached,
    /// Loaded for this request.
    Loaded,
    /// Stale, or derived from a stale entry.
    Stale,
    /// Computed by the direct query (fallback).
    Direct,
    /// `SERVICE_UNAVAILABLE` with `Retry-After`.
    Unavailable,
    /// Any other error, or no response.
    Failed,
}

/// One response: when it arrived, its latency, and its source.
#[derive(Debug, Clone)]
pub(crate) struct ResponseRecord {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) source: ResponseSource,
    /// Status line and body, or the transport error, of a response without data.
    pub(crate) problem: Option<String>,
}

/// Number of the next request, unique across all clients of the process.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Clients that send requests to one service until [`Self::end`].
pub(crate) struct LoadGenerator {
    records: Arc<Mutex<Vec<ResponseRecord>>>,
    stop: CancellationToken,
    clients: TaskTracker,
}

impl LoadGenerator {
    /// Starts `clients`, each of which sends `query(n)` in a loop; no two requests share an `n`.
    pub(crate) fn start(address: SocketAddr, clients: usize, query: fn(u64) -> String) -> Self {
        let (records, stop, tasks) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new(), TaskTracker::new());
        for _ in 0..clients {
            let (records, stop) = (Arc::clone(&records), stop.clone());
            tasks.spawn(async move {
                let mut connection = None;
                while !stop.is_cancelled() {
                    let query = query(NUMBER.fetch_add(1, Ordering::Relaxed));
                    let (response, _) = send(&mut connection, address, &query).await;
                    records.lock().unwrap().push(response);
                }
            });
        }
        tasks.close();
        Self { records, stop, clients: tasks }
    }

    /// Responses that have arrived since `since`.
    pub(crate) fn since(&self, since: Instant) -> Vec<ResponseRecord> {
        self.records.lock().unwrap().iter().filter(|record| record.at >= since).cloned().collect()
    }

    /// Stops the clients; returns all records.
    pub(crate) async fn end(self) -> Vec<ResponseRecord> {
        self.stop.cancel();
        self.clients.wait().await;
        std::mem::take(&mut *self.records.lock().unwrap())
    }
}

/// Sends one request; returns its record and the response body, empty without a response.
pub(crate) async fn send_once(address: SocketAddr, query: &str) -> (ResponseRecord, String) {
    send(&mut None, address, query).await
}

async fn send(connection: &mut Option<TcpStream>, address: SocketAddr, query: &str) -> (ResponseRecord, String) {
    let started = Instant::now();
    let response = exchange(connection, address, &json!({ "query": query }).to_string()).await;
    let took = started.elapsed();
    let (source, problem) = classify(&response);
    (ResponseRecord { at: Instant::now(), took, source, problem }, response.map(|(_, body)| body).unwrap_or_default())
}

/// The number of responses by source, in one line.
pub(crate) fn count_by_source(records: &[ResponseRecord]) -> String {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.source).or_insert(0) += 1;
    }
    let mut line = String::new();
    for (source, count) in counts {
        write!(line, "{source:?} {count}  ").unwrap();
    }
    line
}

/// Sends a request over a keep-alive connection; returns the head in lower case and the body.
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

fn classify(response: &std::io::Result<(String, String)>) -> (ResponseSource, Option<String>) {
    let (head, body) = match response {
        Ok(response) => response,
        Err(error) => return (ResponseSource::Failed, Some(error.to_string())),
    };
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    if value["data"].is_object() && value["errors"].is_null() {
        let status = head.lines().find_map(|line| line.strip_prefix("cache-status: ")).unwrap_or_default();
        let source = if body.contains("DIRECT_QUERY") {
            ResponseSource::Direct
        } else if status.contains("detail=stale") {
            ResponseSource::Stale
        } else if status.contains("; hit") {
            ResponseSource::Cached
        } else {
            ResponseSource::Loaded
        };
        return (source, None);
    }
    let has_retry_after = head.lines().any(|line| line.starts_with("retry-after: "));
    let unavailable = value["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE" && has_retry_after;
    let problem = format!("{} {body}", head.lines().next().unwrap_or_default());
    (if unavailable { ResponseSource::Unavailable } else { ResponseSource::Failed }, Some(problem))
}
