//! An HTTP client for requests to an instance, over one keep-alive connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a response may take. Longer than the default of `request_timeout_seconds` (10 s), so that the service
/// reports its own timeout first.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connecting to an instance and its response to `GET /status` may take, each. Longer than the 1 s for which the
/// instance waits for its database.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// One connection that is reused for every request, as browsers do.
pub(super) struct Client {
    address: SocketAddr,
    /// Time limit of a response.
    limit: Duration,
    sender: SendRequest<Full<Bytes>>,
}

/// A response with a 2xx status.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    /// Connects to an instance. `limit` is the time limit of connecting, and of each response.
    pub(super) async fn connect(address: SocketAddr, limit: Duration) -> anyhow::Result<Self> {
        let stream = timeout(limit, TcpStream::connect(address)).await.context("no connection in time")??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Not awaited: the task ends when the sender is dropped, and the request in progress reports its errors.
        tokio::spawn(connection);
        Ok(Self { address, limit, sender })
    }

    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        self.send(Request::get(path), Bytes::new()).await.with_context(|| format!("GET {path}"))
    }

    /// Sends a GraphQL operation. Fails if the response contains errors.
    pub(super) async fn query(&mut self, query: &str) -> anyhow::Result<Reply> {
        let body = json!({ "query": query }).to_string();
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let reply = self.send(request, body.into()).await?;
        // A response with status 200 may contain errors. The service writes them first.
        ensure!(!reply.body.starts_with(b"{\"errors\""), "{query}: {}", String::from_utf8_lossy(&reply.body));
        Ok(reply)
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: Bytes) -> anyhow::Result<Reply> {
        let request = request.header(header::HOST, self.address.to_string()).body(Full::new(body))?;
        let exchange = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            ensure!(head.status.is_success(), "status {}", head.status);
            Ok(Reply { headers: head.headers, body: body.collect().await?.to_bytes() })
        };
        timeout(self.limit, exchange).await.context("no response in time")?
    }
}
