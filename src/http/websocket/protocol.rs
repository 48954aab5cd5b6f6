//! The messages and close codes of the protocol `graphql-transport-ws`.

use async_graphql::Request;
use axum::extract::ws::{CloseFrame, Utf8Bytes};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::graphql::{Dropped, ErrorCode};
use crate::http::error::graphql_error;
use crate::http::graphql_request::GraphqlRequest;

/// Name of the protocol in the WebSocket handshake.
pub(super) const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Maximum length of an operation's id, in bytes. It is limited because every message about the operation repeats it;
/// the value is a choice, far above the ids of usual clients.
const ID_MAX: usize = 256;

/// A message of the client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    ConnectionInit {
        #[serde(rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    Ping {
        payload: Option<Map<String, Value>>,
    },
    Pong {
        #[serde(rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    Subscribe(Subscribe),
    Complete {
        id: String,
    },
}

/// The client starts an operation.
#[derive(Deserialize)]
pub(super) struct Subscribe {
    id: String,
    payload: GraphqlRequest,
}

impl ClientMessage {
    /// Parses the text of a message.
    ///
    /// # Errors
    /// [`CloseReason::BAD_MESSAGE`] if the text is not a message of the protocol.
    pub(super) fn parse(text: &str) -> Result<Self, CloseReason> {
        serde_json::from_str(text).map_err(|_| CloseReason::BAD_MESSAGE)
    }
}

impl Subscribe {
    /// The operation's id and the request to execute.
    ///
    /// # Errors
    /// [`CloseReason::BAD_MESSAGE`] if the id is empty or too long, or there is no document.
    pub(super) fn into_request(self) -> Result<(String, Request), CloseReason> {
        let request = self.payload.into_request().filter(|_| (1..=ID_MAX).contains(&self.id.len()));
        request.map(|request| (self.id, request)).ok_or(CloseReason::BAD_MESSAGE)
    }
}

/// Acknowledges `connection_init`.
pub(super) fn connection_ack() -> String {
    json!({ "type": "connection_ack" }).to_string()
}

/// Responds to a ping, with its payload.
pub(super) fn pong(payload: Option<Map<String, Value>>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// One result of an operation; `response` is JSON.
pub(super) fn next(id: &str, response: &[u8]) -> String {
    with_payload(id, "next", response)
}

/// The errors that end an operation; `errors` is JSON.
pub(super) fn error(id: &str, errors: &[u8]) -> String {
    with_payload(id, "error", errors)
}

/// One error that ends an operation.
pub(super) fn error_with_code(id: &str, code: ErrorCode, problem: &str) -> String {
    json!({ "id": id, "type": "error", "payload": [graphql_error(code, problem)] }).to_string()
}

/// The end of an operation.
pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}

/// A message about an operation. The payload is inserted as it is, because it is JSON already.
fn with_payload(id: &str, kind: &str, payload: &[u8]) -> String {
    let (id, payload) = (Value::from(id), String::from_utf8_lossy(payload));
    format!(r#"{{"id":{id},"type":"{kind}","payload":{payload}}}"#)
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client closed the connection or disconnected.
    ClosedByClient,
    /// The client does not respond to pings.
    ConnectionLost,
    /// The client reads too slowly.
    Slow,
    /// The service is shutting down.
    Shutdown,
    /// The client violated the protocol: close code and reason.
    ProtocolViolation(u16, &'static str),
}

impl CloseReason {
    // The codes are those of the protocol.
    pub(super) const BAD_MESSAGE: Self = Self::ProtocolViolation(4400, "Bad request");
    pub(super) const UNAUTHORIZED: Self = Self::ProtocolViolation(4401, "Unauthorized");
    pub(super) const INIT_TIMEOUT: Self = Self::ProtocolViolation(4408, "Connection initialisation timeout");
    pub(super) const ID_IN_USE: Self = Self::ProtocolViolation(4409, "Subscriber already exists");
    pub(super) const SECOND_INIT: Self = Self::ProtocolViolation(4429, "Too many initialisation requests");

    /// The close frame to send; `None` if the client has disconnected.
    pub(super) fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::ClosedByClient | Self::ConnectionLost => return None,
            // Not a code of the protocol, which has none for this case.
            Self::Slow => (4410, "Too slow"),
            Self::Shutdown => (1001, "Going away"),
            Self::ProtocolViolation(code, reason) => (code, reason),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }

    /// Why the open subscriptions are dropped, as a metric label; `None` if the client closed the connection.
    pub(super) fn dropped(self) -> Option<Dropped> {
        match self {
            Self::ClosedByClient => None,
            Self::Slow => Some(Dropped::Slow),
            Self::Shutdown => Some(Dropped::Shutdown),
            Self::ConnectionLost | Self::ProtocolViolation(..) => Some(Dropped::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribe_needs_an_id_of_bounded_length_and_a_document() {
        let subscribe = |id: &str, payload: &str| {
            let text = format!(r#"{{"type":"subscribe","id":"{id}","payload":{payload}}}"#);
            match ClientMessage::parse(&text).ok()? {
                ClientMessage::Subscribe(subscribe) => subscribe.into_request().ok().map(|(id, _)| id),
                _ => None,
            }
        };
        let query = r#"{"query":"{ film }"}"#;
        let longest = "x".repeat(ID_MAX);

        assert_eq!(subscribe(&longest, query), Some(longest));
        assert!(subscribe(&"x".repeat(ID_MAX + 1), query).is_none());
        assert!(subscribe("", query).is_none());
        assert!(subscribe("1", "{}").is_none());
    }

    #[test]
    fn ids_are_escaped() {
        assert_eq!(next("\"", b"{}"), r#"{"id":"\"","type":"next","payload":{}}"#);
    }
}
