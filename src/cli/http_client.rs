//! An HTTP client: one keep-alive connection to an instance.

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

/// How long a response may take; longer than the service's own limit.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection, as a browser keeps it.
pub(super) struct Client {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// What came: the headers, and the body.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what fails is reported by the request that fails.
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        self.send(Request::get(path), Bytes::new()).await.with_context(|| format!("GET {path}"))
    }

    /// Sends an operation that must have no errors.
    pub(super) async fn query(&mut self, query: &str) -> anyhow::Result<Reply> {
        let body = json!({ "query": query }).to_string();
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let reply = self.send(request, body.into()).await?;
        // Responses of the service have their errors first. Status 200 does not exclude errors.
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
        tokio::time::timeout(RESPONSE_TIMEOUT, exchange).await.context("no response in time")?
    }
}
