//! Subscriptions by `multipart/mixed`, for clients and proxies without WebSocket: Apollo's protocol
//! (`subscriptionSpec=1.0`), in which each event is a part of one HTTP response.
//!
//! A stream counts as a WebSocket connection with one operation: it has the same limits, and ends in the same way on
//! shutdown. The `GraphQL` service of async-graphql-axum is not used, mainly because it sends each event too late; see
//! "Subscriptions" in docs/ARCHITECTURE.md.

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

/// The media type of the response, with the boundary between its parts.
const CONTENT: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"";

/// Tells nginx not to buffer the response, which would hold events back.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Begins the first part. A client handles a part when it has read the delimiter of the next one, so every part is sent
/// together with that delimiter.
const DELIMITER: &str = "\r\n--graphql";

/// After the last delimiter: ends the response.
const END: &str = "--\r\n";

/// Responds to a subscription with a stream of its events. Responds to any other operation, and to a subscription that
/// is rejected, with a single response, which `respond` creates.
///
/// Takes a connection permit first, so that no subscription is started without one; other operations release it at
/// their end.
pub(super) async fn subscribe<E: Executor>(
    state: &HttpState<E>,
    request: Request,
    respond: impl FnOnce(OperationResponse) -> Response,
) -> Response {
    let Some(permit) = state.websocket_limiter.try_acquire() else {
        return no_connection(&state.metrics.graphql);
    };
    match state.pipeline.subscribe(request, None).await {
        Execution::Response(response) => respond(response),
        Execution::Stream(events) => {
            let headers = [(CONTENT_TYPE, CONTENT), (CACHE_CONTROL, "no-store"), UNBUFFERED];
            let mut response = (headers, body(events, permit, state.metrics.graphql.clone())).into_response();
            response.extensions_mut().insert(OpenEnded);
            response
        }
    }
}

/// A body of the events. A task on the current runtime, which is that of the service, computes them: on the thread of
/// the connection they would delay other connections. The task is aborted when the body is dropped.
fn body(events: SubscriptionStream, permit: ConnectionPermit, metrics: GraphqlMetrics) -> Body {
    // One part waits here for the connection to take it while the next event is computed. No event is computed further in
    // advance.
    let (sender, parts) = mpsc::channel(1);
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let parts = PartSender { sender, slow_after: permit.limits().slow_after, metrics };
        // A panic is logged where it happened.
        if AssertUnwindSafe(parts.send_all(events, &permit)).catch_unwind().await.is_err() {
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
    /// How long to wait for the connection to take a part.
    slow_after: Duration,
    metrics: GraphqlMetrics,
}

/// The client has left, or reads too slowly.
struct Disconnected;

impl PartSender {
    /// Sends all events and then the end of the response. Sends a heartbeat whenever no event has come for a while, and
    /// an error in place of further events on shutdown.
    async fn send_all(&self, events: SubscriptionStream, permit: &ConnectionPermit) -> Result<(), Disconnected> {
        // By default 10 s, half of the time after which an idle WebSocket is pinged: proxies often end a response after
        // 15 s of silence.
        let heartbeat = permit.limits().idle_timeout / 2;
        // `unfold` keeps the future of the next event. Without it, `select!` would drop that future, and with it the
        // event, at each heartbeat.
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

    /// Puts text into the channel. Waits until the channel is free: the connection has then taken the previous text.
    /// Text that a client does not read first fills the buffers of hyper and of the socket, so a client counts as slow
    /// only when these are full and the connection has taken nothing for `slow_after`.
    ///
    /// # Errors
    /// If the client has left, or the connection has taken nothing for `slow_after`.
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

/// The headers and the JSON of a part, and the delimiter after it.
fn part(json: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{json}{DELIMITER}")
}

/// A part with an error of the service that ends the subscription. The protocol puts it beside a `payload` of null;
/// errors of the operation are inside `payload`.
fn fatal(code: ErrorCode, problem: &str) -> String {
    part(&json!({ "payload": null, "errors": [graphql_error(code, problem)] }).to_string())
}
