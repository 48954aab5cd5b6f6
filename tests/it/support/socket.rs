//! A client of the WebSocket endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far longer than any message takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to `/graphql/ws`.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects, sends `connection_init` and receives `connection_ack`.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut socket = Self::connect(address).await;
        socket.send_json(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.receive().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// Connects without `connection_init`.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::handshake(address, &[]).await.unwrap()
    }

    /// Tries to connect with these headers added or replaced; an empty value removes the header.
    pub(crate) async fn handshake(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Response<Option<Vec<u8>>>> {
        let mut request: Request<()> = format!("ws://{address}/graphql/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        for (name, value) in headers {
            request.headers_mut().remove(*name);
            if !value.is_empty() {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send_json(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        // If the server has already closed, the test reads its close frame next.
        let _ = self.0.send(message).await;
    }

    /// Sends `subscribe`.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.send_json(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// The next message of the protocol.
    pub(crate) async fn receive(&mut self) -> Value {
        timeout(PATIENCE, self.message()).await.expect("a message arrives in time")
    }

    /// The next message of the protocol, however long it takes.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The payload of the next message, which must be a result of this operation.
    pub(crate) async fn next(&mut self, id: &str) -> Value {
        let mut message = self.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message:#}");
        message["payload"].take()
    }

    /// Skips remaining messages; returns the code and reason of the close frame.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("the connection is closed in time") {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Replies to pings until the connection is closed.
    pub(crate) async fn idle(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}
