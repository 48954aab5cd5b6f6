//! Subscriptions by `multipart/mixed`, for clients and proxies without WebSocket: Apollo's protocol
//! (`subscriptionSpec=1.0`), in which each event is a part of one HTTP response.
//!
//! A stream counts as a WebSocket connection with one operation: the same limits, the same end on shutdown. The `GraphQL`
//! service of async-graphql-axum is not used: see ARCHITECTURE.md.

use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use async_graphql::{Executor, Request};
use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::error::graphql_error;
use super::instrumented_body::OpenEnded;
use super::state::HttpState;
use super::websocket::{ConnectionPermit, no_connection};
use crate::graphql::{Dropped, ErrorCode, Event, Execution, GraphqlMetrics, OperationResponse, SubscriptionStream};

const CONTENT: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"";

/// Tells nginx not to collect the response before it sends it on.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Begins the first part. A client handles a part when it has read the delimiter of the next one, so every part is sent
/// together with that delimiter.
const DELIMITER: &str = "\r\n--graphql";

/// After the last delimiter: ends the response.
const END: &str = "--\r\n";

/// Responds to a subscription with its events, and to any other operation, or a rejected one, with one response, which
/// `respond` creates.
pub(super) async fn subscribe<E: Executor>(
    state: &HttpState<E>,
    request: Request,
    respond: impl FnOnce(OperationResponse) -> Response,
) -> Response {
    let Some(permit) = state.websocket_limiter.try_acquire() else {
        return no_connection(&state.metrics.graphql);
    };
    match state.pipeline.subscribe(request).await {
        Execution::Response(response) => respond(response),
        Execution::Stream(events) => {
            let headers = [(CONTENT_TYPE, CONTENT), (CACHE_CONTROL, "no-store"), UNBUFFERED];
            let mut response = (headers, body(events, permit, state.metrics.graphql.clone())).into_response();
            response.extensions_mut().insert(OpenEnded);
            response
        }
    }
}

/// A body of the events. They are computed on this runtime, not on the thread of the connection, and no longer once the
/// body is dropped.
fn body(events: SubscriptionStream, permit: ConnectionPermit, metrics: GraphqlMetrics) -> Body {
    // One part in advance: the next event is computed when the client reads the one before.
    let (sender, parts) = mpsc::channel(1);
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let parts = PartSender { sender, slow_after: permit.limits().slow_after, metrics };
        if AssertUnwindSafe(parts.send_all(events, &permit)).catch_unwind().await.is_err() {
            tracing::error!("operation panicked");
            parts.metrics.error(ErrorCode::Internal);
            let _ = parts.send(fatal(ErrorCode::Internal, "internal error") + END).await;
        }
    }));
    let next = async |(mut parts, task): (mpsc::Receiver<Bytes>, _)| Some((parts.recv().await?, (parts, task)));
    Body::from_stream(stream::unfold((parts, task), next).map(Ok::<_, io::Error>))
}

/// Sends the parts of a response.
struct PartSender {
    sender: mpsc::Sender<Bytes>,
    slow_after: Duration,
    metrics: GraphqlMetrics,
}

/// The client has left, or reads too slowly.
struct Disconnected;

impl PartSender {
    /// Sends all events, heartbeats between them, and the end.
    async fn send_all(&self, events: SubscriptionStream, permit: &ConnectionPermit) -> Result<(), Disconnected> {
        // Half of the time after which an idle WebSocket is pinged: proxies give up on a silent response sooner.
        let heartbeat = permit.limits().idle_timeout / 2;
        let next = async |mut events: SubscriptionStream| Some((events.next().await?, events));
        let (mut events, mut stopped) = (pin!(stream::unfold(events, next)), pin!(permit.stopped()));
        self.send(DELIMITER.to_owned()).await?;
        loop {
            let text = tokio::select! {
                event = events.next() => match event {
                    None => return self.send(END.to_owned()).await,
                    Some(Event::Next(response)) => part(&format!("{{\"payload\":{}}}", String::from_utf8_lossy(&response))),
                    Some(Event::Error(errors)) => {
                        part(&format!("{{\"payload\":{{\"errors\":{}}}}}", String::from_utf8_lossy(&errors)))
                    }
                },
                () = sleep(heartbeat) => part("{}"),
                () = &mut stopped => {
                    self.metrics.subscriptions_dropped(Dropped::Shutdown, 1);
                    let problem = "the service is shutting down; subscribe again";
                    return self.send(fatal(ErrorCode::ServiceUnavailable, problem) + END).await;
                }
            };
            self.send(text).await?;
        }
    }

    /// Sends text when the client has read what was sent before.
    async fn send(&self, text: String) -> Result<(), Disconnected> {
        match timeout(self.slow_after, self.sender.send(text.into())).await {
            Ok(sent) => sent.map_err(|_| Disconnected),
            Err(_) => {
                self.metrics.subscriptions_dropped(Dropped::Slow, 1);
                Err(Disconnected)
            }
        }
    }
}

/// A part with this JSON, and the delimiter after it.
fn part(json: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{json}{DELIMITER}")
}

/// A part with an error that ends the subscription and does not concern its operation.
fn fatal(code: ErrorCode, problem: &str) -> String {
    part(&json!({ "payload": null, "errors": [graphql_error(code, problem)] }).to_string())
}
