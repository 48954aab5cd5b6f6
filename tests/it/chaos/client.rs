//! A client of its own: HTTP/1.1 over one TCP connection, and what it reads from the headers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than every time limit of the service.
const PATIENCE: Duration = Duration::from_secs(12);

/// The service closes a connection on which it waits longer for the next request; less, because requests take time.
const IDLE: Duration = Duration::from_secs(3);

/// A response with data and without errors.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) sent: Instant,
    pub(super) received: Instant,
    /// Whether the service said that it may be outdated.
    pub(super) stale: bool,
    pub(super) age: Duration,
    pub(super) data: Value,
}

/// A keep-alive connection to one instance.
pub(super) struct Client {
    address: SocketAddr,
    /// With the time of its last response.
    connection: Option<(TcpStream, Instant)>,
}

impl Client {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Executes an operation.
    ///
    /// # Errors
    /// The failure of the connection, the status, or the codes of the errors, as text.
    pub(super) async fn execute(&mut self, query: &str, variables: Value, token: &str) -> Result<Reply, String> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let head = format!("POST /graphql HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json");
        let sent = Instant::now();
        let (head, body) = self.exchange(&head, &body).await?;
        let received = Instant::now();
        let mut response: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {head} {body}"))?;
        if !response["errors"].is_null() || !response["data"].is_object() {
            let codes = response["errors"].as_array().into_iter().flatten().map(|error| &error["extensions"]["code"]);
            return Err(codes
                .map(|code| code.as_str().unwrap_or("error without a code"))
                .collect::<Vec<_>>()
                .join(" "));
        }
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let age = Duration::from_secs(header("age: ").and_then(|age| age.parse().ok()).unwrap_or_default());
        let stale = header("cache-status: ").is_some_and(|status| status.contains("detail=stale"));
        Ok(Reply { sent, received, stale, age, data: response["data"].take() })
    }

    /// Executes a query.
    ///
    /// # Errors
    /// As [`Client::execute`].
    pub(super) async fn query(&mut self, query: &str) -> Result<Reply, String> {
        self.execute(query, Value::Null, "none").await
    }

    /// Gets a page; returns its status and body.
    ///
    /// # Errors
    /// The failure of the connection, as text.
    pub(super) async fn get(&mut self, path: &str) -> Result<(u16, String), String> {
        let (head, body) = self.exchange(&format!("GET {path} HTTP/1.1"), "").await?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or("no status")?, body))
    }

    async fn exchange(&mut self, head: &str, body: &str) -> Result<(String, String), String> {
        let request = format!("{head}\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}", self.address, body.len());
        let usable = self.connection.take().filter(|(_, last)| last.elapsed() < IDLE);
        let mut stream = usable.map(|(stream, _)| stream);
        let response = timeout(PATIENCE, transfer(&mut stream, self.address, &request));
        let response = response.await.map_err(|_| "no response".to_owned())?.map_err(|error| error.to_string())?;
        // Only a connection whose response was read to its end can be used again.
        self.connection = stream.map(|stream| (stream, Instant::now()));
        Ok(response)
    }
}

/// Sends a request; returns the head in lower case and the body.
async fn transfer(
    connection: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &str,
) -> std::io::Result<(String, String)> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(TcpStream::connect(address).await?),
    };
    stream.write_all(request.as_bytes()).await?;
    let mut read = Vec::new();
    let end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let mut body = read.split_off(end + 4);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let is_complete = |body: &[u8]| match length {
        Some(length) => body.len() >= length,
        // Chunked, as `/metrics` is: each chunk is followed by a line end, the last one is empty.
        None => body.ends_with(b"0\r\n\r\n"),
    };
    while !is_complete(&body) {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}
