//! The clients of a measured service: HTTP over one keep-alive connection, and a subscription.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::proof::Progressive;
use crate::scoring::Decade;

/// How long a response may take; longer than the service's own limit.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Movies of the measured subscription.
const STREAMED: usize = 500;

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

/// How a long ranking arrives by `predictionStream`.
pub(super) async fn stream(address: SocketAddr, decade: Decade) -> anyhow::Result<Progressive> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
    let protocol = header::HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let (mut socket, _) = tokio_tungstenite::client_async(request, TcpStream::connect(address).await?).await?;
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
    // Weights that no profile has, so that the ranking is in no cache.
    let query = format!(
        "subscription {{ predictionStream(decade: {}, limit: {STREAMED}, weights: {{popularOpinion: 7, \
         criticalAcclaim: 5, industryRecognition: 3, culturalImpact: 2, peopleQuality: 1}}) \
         {{ received predictions {{ rank score movie {{ title year }} }} }} }}",
        decade.year()
    );
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
    socket.send(Message::text(subscribe.to_string())).await?;
    let (started, mut received) = (Instant::now(), 0);
    let mut first = None;
    loop {
        let message = tokio::time::timeout(RESPONSE_TIMEOUT, socket.next()).await.context("no batch in time")?;
        let message = message.context("the service closed the subscription")??;
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text)?;
        match message["type"].as_str() {
            Some("next") => {
                let batch = message["payload"]["data"]["predictionStream"]["received"].as_u64();
                received = usize::try_from(batch.with_context(|| text.to_string())?)?;
                first.get_or_insert((received, started.elapsed().as_secs_f64()));
            }
            Some("complete") => break,
            Some("error") => bail!("the subscription failed: {text}"),
            _ => {}
        }
    }
    let (first_movies, first_seconds) = first.context("the subscription sent nothing")?;
    Ok(Progressive { first_movies, first_seconds, all_movies: received, all_seconds: started.elapsed().as_secs_f64() })
}
