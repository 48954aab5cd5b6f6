//! `/graphql/ws`: the protocol `graphql-transport-ws`, and the limits of a connection.
//!
//! One task per connection reads messages, runs the operations and writes their results. Its memory is bounded by the
//! limits, whatever the client does.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::{Executor, Extensions, Request, Variables};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::header::{CONNECTION, HOST, ORIGIN, RETRY_AFTER, UPGRADE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::HttpState;
use super::cors::origin_problem;
use super::error::error_response;
use crate::config::AllowedOrigins;
use crate::graphql::{Dropped, ErrorCode, Event, Execution, GraphqlMetrics, OperationPipeline};
use crate::telemetry::Label;

const PROTOCOL: &str = "graphql-transport-ws";

/// Maximum length of an operation's id, in bytes: every message repeats it.
const ID_MAX: usize = 256;

/// Minimum bytes that a queued message counts, to bound the number of small messages.
const MESSAGE_MIN: usize = 64;

/// How long to wait for the client's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections closed per second on shutdown, or more if time is short: spreads the reconnects to other instances.
const CLOSED_PER_SECOND: f64 = 100.0;

/// Read buffer of a connection. Small, because messages are small and connections are many.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// Limits of WebSocket connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Concurrent connections.
    pub connections: usize,
    /// Concurrent operations per connection.
    pub subscriptions: usize,
    /// Maximum size of a client's message.
    pub message_bytes: usize,
    /// Maximum size of the messages queued for a client.
    pub queue_bytes: usize,
    /// How long the queue may be full before the connection is closed.
    pub slow_after: Duration,
    /// Timeout of `connection_init`.
    pub init: Duration,
    /// Idle time after which a client is pinged; after the same time again the connection counts as lost.
    pub silence: Duration,
    /// Maximum time to close all connections on shutdown.
    pub shutdown: Duration,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            connections: 2000,
            subscriptions: 20,
            message_bytes: 256 * 1024,
            queue_bytes: 256 * 1024,
            slow_after: Duration::from_secs(5),
            init: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            shutdown: Duration::from_secs(8),
        }
    }
}

/// Limits and tracks all WebSocket connections of this instance.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter(Arc<SharedLimiter>);

#[derive(Debug)]
struct SharedLimiter {
    limits: WebSocketLimits,
    origins: AllowedOrigins,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    stop: CancellationToken,
    metrics: GraphqlMetrics,
}

impl ConnectionLimiter {
    /// Allows pages of `origins` and of the service's own origin; rejects all connections after `stop` is cancelled.
    #[must_use]
    pub fn new(
        limits: WebSocketLimits,
        origins: AllowedOrigins,
        stop: CancellationToken,
        metrics: GraphqlMetrics,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        Self(Arc::new(SharedLimiter { limits, origins, permits, open: TaskTracker::new(), stop, metrics }))
    }

    /// Waits until all connections are closed. To be called after `stop` is cancelled, when no new ones are accepted.
    pub async fn closed(&self) {
        self.0.open.close();
        self.0.open.wait().await;
    }

    /// Whether the request's origin may connect. Clients other than browsers send none, and carry no cookies to abuse.
    fn is_origin_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        self.0.origins.allows(origin) || is_of_host(origin, headers)
    }

    /// A permit for one more connection; none if all are taken or the service is shutting down.
    fn try_acquire(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.0.permits).try_acquire_owned().ok().filter(|_| !self.0.stop.is_cancelled())?;
        Some(ConnectionPermit { _permit: permit, _open: self.0.open.token(), all: Arc::clone(&self.0) })
    }
}

/// Whether an origin equals the request's `Host`. Ignores the scheme, which is unknown behind a proxy.
fn is_of_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    // An origin has no user information.
    let origin = origin.parse::<Uri>().ok().filter(|_| !origin.contains('@'));
    let (Some(host), Some(origin)) = (host, origin) else { return false };
    let default = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let port = |port: Option<u16>| port.unwrap_or(default);
    origin.host().is_some_and(|name| name.eq_ignore_ascii_case(host.host()))
        && port(origin.port_u16()) == port(host.port_u16())
}

/// Counts one open connection until dropped.
struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    all: Arc<SharedLimiter>,
}

impl ConnectionPermit {
    /// Waits until this connection should close on shutdown. Connections close at random times within a window, so that
    /// their clients do not reconnect all at once.
    async fn stopped(&self) {
        let SharedLimiter { stop, limits, permits, .. } = &*self.all;
        stop.cancelled().await;
        let open = u32::try_from(limits.connections - permits.available_permits()).unwrap_or(u32::MAX);
        let window = Duration::from_secs_f64(f64::from(open) / CLOSED_PER_SECOND).min(limits.shutdown);
        sleep(window.mul_f64(rand::random())).await;
    }
}

/// `GET /graphql/ws`.
pub(super) async fn upgrade<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let (pipeline, sockets) = (state.pipeline.clone(), state.sockets.clone());
    let reject = |status, code, message: &str| {
        sockets.0.metrics.error(code);
        error_response(status, code, message)
    };
    let Ok(upgrade) = upgrade else {
        let problem = "WebSocket upgrade required";
        let mut response = reject(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadUserInput, problem);
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        return response;
    };
    if !sockets.is_origin_allowed(&headers) {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        return reject(StatusCode::FORBIDDEN, ErrorCode::Forbidden, &origin_problem(origin));
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let problem = "the subprotocol graphql-transport-ws is required";
        return reject(StatusCode::BAD_REQUEST, ErrorCode::BadUserInput, problem);
    }
    let Some(permit) = sockets.try_acquire() else {
        let problem = "too many connections; retry later";
        let mut response = reject(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::ServiceUnavailable, problem);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    let limits = permit.all.limits;
    upgrade
        .max_message_size(limits.message_bytes)
        .max_frame_size(limits.message_bytes)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| handle_connection(socket, pipeline, permit))
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseReason {
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

const BAD_MESSAGE: CloseReason = CloseReason::ProtocolViolation(4400, "Bad request");
const UNAUTHORIZED: CloseReason = CloseReason::ProtocolViolation(4401, "Unauthorized");
const INIT_TIMEOUT: CloseReason = CloseReason::ProtocolViolation(4408, "Connection initialisation timeout");
const ID_IN_USE: CloseReason = CloseReason::ProtocolViolation(4409, "Subscriber already exists");
const SECOND_INIT: CloseReason = CloseReason::ProtocolViolation(4429, "Too many initialisation requests");

impl CloseReason {
    /// The close frame to send; none if the client is gone.
    fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::ClosedByClient | Self::ConnectionLost => return None,
            Self::Slow => (4410, "Too slow"),
            Self::Shutdown => (1001, "Going away"),
            Self::ProtocolViolation(code, reason) => (code, reason),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }

    /// The metric label of the subscriptions that this drops; none if the client closed the connection.
    fn dropped(self) -> Option<Dropped> {
        match self {
            Self::ClosedByClient => None,
            Self::Slow => Some(Dropped::Slow),
            Self::Shutdown => Some(Dropped::Shutdown),
            Self::ConnectionLost | Self::ProtocolViolation(..) => Some(Dropped::Error),
        }
    }
}

/// A message of the client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
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
    Subscribe {
        id: String,
        payload: SubscribePayload,
    },
    Complete {
        id: String,
    },
}

/// The operation of a `subscribe` message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscribePayload {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<Extensions>,
}

async fn handle_connection<E: Executor>(socket: WebSocket, pipeline: OperationPipeline<E>, permit: ConnectionPermit) {
    let (mut sink, mut stream) = socket.split();
    let limits = permit.all.limits;
    let (send_queue, receiver) = send_queue(limits);
    let metrics = permit.all.metrics.clone();
    let connection = Connection { pipeline, send_queue, limits, metrics, running: Mutex::default() };
    let close_reason = tokio::select! {
        reason = connection.read_loop(&mut stream) => reason,
        () = write(&mut sink, receiver) => CloseReason::ClosedByClient,
        () = connection.send_queue.overflow.notified() => CloseReason::Slow,
        () = permit.stopped() => CloseReason::Shutdown,
    };
    if let Some(dropped) = close_reason.dropped() {
        connection.metrics.subscriptions_dropped(dropped, connection.streams());
    }
    let close = async {
        if let Some(frame) = close_reason.close_frame()
            && sink.send(Message::Close(Some(frame))).await.is_err()
        {
            return;
        }
        // Discards messages until the client has closed its side.
        while let Some(Ok(_)) = stream.next().await {}
    };
    if close_reason != CloseReason::ConnectionLost {
        // After the timeout the connection is dropped without the client's close frame.
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// Writes queued messages until the client disconnects.
async fn write(sink: &mut SplitSink<WebSocket, Message>, mut receiver: mpsc::UnboundedReceiver<PendingFrames>) {
    while let Some(PendingFrames { message, _capacity }) = receiver.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

/// A queued message and the queue capacity that it occupies.
struct PendingFrames {
    message: Message,
    _capacity: OwnedSemaphorePermit,
}

/// Messages that the client has yet to read, bounded by bytes.
struct SendQueue {
    /// Bounded by `free_bytes`, of which each queued message holds a permit.
    sender: mpsc::UnboundedSender<PendingFrames>,
    free_bytes: Arc<Semaphore>,
    capacity: usize,
    slow_after: Duration,
    overflow: Notify,
}

fn send_queue(limits: WebSocketLimits) -> (SendQueue, mpsc::UnboundedReceiver<PendingFrames>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (capacity, slow_after) = (limits.queue_bytes.max(MESSAGE_MIN), limits.slow_after);
    let free_bytes = Arc::new(Semaphore::new(capacity));
    (SendQueue { sender, free_bytes, capacity, slow_after, overflow: Notify::new() }, receiver)
}

impl SendQueue {
    /// Queues a message when the queue has capacity for it. If that takes longer than `slow_after`, signals
    /// `overflow`, which closes the connection, and never returns.
    async fn send(&self, message: Message) {
        // A message larger than the queue waits until the queue is empty.
        let bytes = message_bytes(&message).clamp(MESSAGE_MIN, self.capacity);
        let permit = Arc::clone(&self.free_bytes).acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        if let Ok(Ok(permit)) = timeout(self.slow_after, permit).await {
            self.push(message, permit);
        } else {
            self.overflow.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Queues a ping, unless the queue is full: then the overflow timeout detects an unresponsive client.
    fn ping(&self) {
        if let Ok(permit) = Arc::clone(&self.free_bytes).try_acquire_owned() {
            self.push(Message::Ping(Bytes::new()), permit);
        }
    }

    fn push(&self, message: Message, permit: OwnedSemaphorePermit) {
        // Fails only after the writer has ended, which closes the connection.
        let _ = self.sender.send(PendingFrames { message, _capacity: permit });
    }

    async fn send_json(&self, message: Value) {
        self.send(Message::Text(message.to_string().into())).await;
    }
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// An open connection.
struct Connection<E> {
    pipeline: OperationPipeline<E>,
    send_queue: SendQueue,
    limits: WebSocketLimits,
    metrics: GraphqlMetrics,
    running: Mutex<HashMap<String, Running>>,
}

/// An operation in progress.
struct Running {
    abort: AbortHandle,
    /// Whether it is a subscription rather than a query or mutation.
    streams: bool,
}

/// How long to wait for the client's next message.
struct IdleTimer {
    deadline: Instant,
    initialised: bool,
    pinged: bool,
}

impl<E: Executor> Connection<E> {
    /// Reads messages and runs operations until the connection is to be closed.
    async fn read_loop(&self, stream: &mut SplitStream<WebSocket>) -> CloseReason {
        let mut idle = IdleTimer { deadline: Instant::now() + self.limits.init, initialised: false, pinged: false };
        let mut running = FuturesUnordered::new();
        loop {
            let received = tokio::select! {
                Some(_) = running.next() => continue,
                received = self.next_message(stream, &mut idle) => received,
            };
            let text = match received {
                Ok(text) => text,
                Err(reason) => return reason,
            };
            let Ok(message) = serde_json::from_str(&text) else { return BAD_MESSAGE };
            match message {
                ClientMessage::ConnectionInit { .. } if idle.initialised => return SECOND_INIT,
                ClientMessage::ConnectionInit { .. } => {
                    idle.initialised = true;
                    idle.deadline = Instant::now() + self.limits.silence;
                    self.send_queue.send_json(json!({ "type": "connection_ack" })).await;
                }
                ClientMessage::Ping { payload: None } => self.send_queue.send_json(json!({ "type": "pong" })).await,
                ClientMessage::Ping { payload } => {
                    self.send_queue.send_json(json!({ "type": "pong", "payload": payload })).await;
                }
                ClientMessage::Pong { .. } => {}
                ClientMessage::Subscribe { .. } if !idle.initialised => return UNAUTHORIZED,
                ClientMessage::Subscribe { id, payload } => {
                    let Some(request) = payload.into_request().filter(|_| (1..=ID_MAX).contains(&id.len())) else {
                        return BAD_MESSAGE;
                    };
                    match self.register(&id) {
                        Err(reason) => return reason,
                        Ok(None) => self.reject_over_limit(&id).await,
                        Ok(Some(registration)) => running.push(Abortable::new(self.execute(id, request), registration)),
                    }
                }
                ClientMessage::Complete { id } => self.complete(&id),
            }
        }
    }

    /// The client's next text message. Pings an idle client.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    async fn next_message(
        &self,
        stream: &mut SplitStream<WebSocket>,
        idle: &mut IdleTimer,
    ) -> Result<Utf8Bytes, CloseReason> {
        loop {
            let received = match timeout_at(idle.deadline, stream.next()).await {
                Ok(received) => received,
                Err(_) if !idle.initialised => return Err(INIT_TIMEOUT),
                Err(_) if idle.pinged => return Err(CloseReason::ConnectionLost),
                Err(_) => {
                    self.send_queue.ping();
                    idle.pinged = true;
                    idle.deadline += self.limits.silence;
                    continue;
                }
            };
            if idle.initialised {
                idle.pinged = false;
                idle.deadline = Instant::now() + self.limits.silence;
            }
            match received {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(Ok(Message::Close(_))) => return Err(CloseReason::ClosedByClient),
                Some(Ok(Message::Binary(_))) => return Err(BAD_MESSAGE),
                Some(Err(error)) => {
                    return Err(if is_unreadable(error) { BAD_MESSAGE } else { CloseReason::ClosedByClient });
                }
            }
        }
    }

    /// Registers an operation; none if the connection already runs the maximum.
    ///
    /// # Errors
    /// [`ID_IN_USE`] if an operation with this id is running.
    fn register(&self, id: &str) -> Result<Option<AbortRegistration>, CloseReason> {
        let mut running = self.running();
        if running.contains_key(id) {
            return Err(ID_IN_USE);
        }
        if running.len() >= self.limits.subscriptions {
            return Ok(None);
        }
        let (abort, registration) = AbortHandle::new_pair();
        running.insert(id.to_owned(), Running { abort, streams: false });
        Ok(Some(registration))
    }

    async fn reject_over_limit(&self, id: &str) {
        let allowed = self.limits.subscriptions;
        let problem = format!("this connection already runs {allowed} operations: complete one first");
        self.metrics.error(ErrorCode::RateLimited);
        self.metrics.subscriptions_dropped(Dropped::Limit, 1);
        self.send_queue.send_json(errors(id, ErrorCode::RateLimited, &problem)).await;
    }

    /// Aborts an operation that the client completed. It is not polled again, so it sends no further messages.
    fn complete(&self, id: &str) {
        if let Some(operation) = self.running().remove(id) {
            operation.abort.abort();
        }
    }

    /// Executes an operation, sends its results and its final message, and unregisters it.
    async fn execute(&self, id: String, request: Request) {
        let run = AssertUnwindSafe(self.run(&id, request)).catch_unwind();
        let last = run.await.unwrap_or_else(|_| {
            tracing::error!("operation panicked");
            self.metrics.error(ErrorCode::Internal);
            Some(errors(&id, ErrorCode::Internal, "internal error").to_string())
        });
        let last = last.unwrap_or_else(|| json!({ "id": id, "type": "complete" }).to_string());
        // The id is removed without a yield after the message is queued: once received, the client may reuse the id.
        self.send_queue.send(Message::Text(last.into())).await;
        self.running().remove(&id);
    }

    /// Executes an operation and sends its results. Returns the final message, if it is not `complete`.
    async fn run(&self, id: &str, request: Request) -> Option<String> {
        let mut events = match self.pipeline.subscribe(request).await {
            Execution::Response(response) => return self.forward_event(id, response.event()).await.err(),
            Execution::Stream(stream) => stream,
        };
        if let Some(operation) = self.running().get_mut(id) {
            operation.streams = true;
        }
        while let Some(event) = events.next().await {
            if let Err(last) = self.forward_event(id, event).await {
                return Some(last);
            }
        }
        None
    }

    /// Sends a result.
    ///
    /// # Errors
    /// The final message, to be sent by the caller, if the event is an error.
    async fn forward_event(&self, id: &str, event: Event) -> Result<(), String> {
        match event {
            Event::Next(body) => {
                self.send_queue.send(Message::Text(message(id, "next", &body).into())).await;
                Ok(())
            }
            Event::Error(body) => Err(message(id, "error", &body)),
        }
    }

    /// Number of open subscriptions.
    fn streams(&self) -> usize {
        self.running().values().filter(|operation| operation.streams).count()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubscribePayload {
    /// The operation to execute; none without a document.
    fn into_request(self) -> Option<Request> {
        let extensions = self.extensions.unwrap_or_default();
        // A persisted document is identified by its hash and needs no text.
        let query = self.query.or_else(|| (!extensions.is_empty()).then(String::new))?;
        let mut request = Request::new(query).variables(self.variables.unwrap_or_default());
        request.extensions = extensions;
        Some(self.operation_name.into_iter().fold(request, Request::operation_name))
    }
}

/// Whether the client sent an invalid message: too long, not UTF-8, malformed frame. Otherwise the connection was lost.
fn is_unreadable(error: axum::Error) -> bool {
    let error = error.into_inner().downcast::<tungstenite::Error>();
    match error.as_deref() {
        Ok(tungstenite::Error::Protocol(problem)) => *problem != ProtocolError::ResetWithoutClosingHandshake,
        Ok(error) => matches!(error, tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_)),
        Err(_) => false,
    }
}

/// A message about one operation; `payload` is JSON already.
fn message(id: &str, kind: &str, payload: &[u8]) -> String {
    let (id, payload) = (Value::from(id), String::from_utf8_lossy(payload));
    format!(r#"{{"id":{id},"type":"{kind}","payload":{payload}}}"#)
}

fn errors(id: &str, code: ErrorCode, problem: &str) -> Value {
    let error = json!({ "message": problem, "extensions": { "code": code.as_str() } });
    json!({ "id": id, "type": "error", "payload": [error] })
}
