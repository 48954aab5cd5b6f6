//! `/graphql/ws`: the protocol `graphql-transport-ws`, and what a connection may take.
//!
//! One task serves a connection: it listens, runs the operations, and writes what they say. Whatever a client does, a
//! connection holds no more than its limits.

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
use crate::graphql::{Event, Execution, OperationPipeline};
use crate::telemetry::{Dropped, ErrorCode, Label, Metrics};

const PROTOCOL: &str = "graphql-transport-ws";

/// The longest id of an operation, in bytes: it comes back with every message.
const ID_MAX: usize = 256;

/// Bytes that even the smallest waiting message counts.
const MESSAGE_MIN: usize = 64;

/// How long to wait for the client's side of a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// When we stop, this many connections a second are closed, or more if time is short: their clients come back, elsewhere.
const CLOSED_PER_SECOND: f64 = 100.0;

/// What a socket buffers before it looks at a message; most are small, and connections are many.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Connections at a time.
    pub connections: usize,
    /// Operations at a time on one connection.
    pub subscriptions: usize,
    /// Size of a client's message.
    pub message_bytes: usize,
    /// Size of the messages that wait for a client to read them.
    pub queue_bytes: usize,
    /// How long the queue may be full.
    pub slow_after: Duration,
    /// How long a client has to introduce itself.
    pub init: Duration,
    /// After this long without a word a client is pinged; after as long again it is given up.
    pub silence: Duration,
    /// How long closing all connections may take when we stop.
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

/// All connections of this instance.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter(Arc<SharedLimiter>);

#[derive(Debug)]
struct SharedLimiter {
    limits: WebSocketLimits,
    origins: AllowedOrigins,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    stop: CancellationToken,
    metrics: Metrics,
}

impl ConnectionLimiter {
    /// No connection yet. Pages of `origins` may connect, beside our own; once `stop` is cancelled, nobody may.
    #[must_use]
    pub fn new(limits: WebSocketLimits, origins: AllowedOrigins, stop: CancellationToken, metrics: Metrics) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        Self(Arc::new(SharedLimiter { limits, origins, permits, open: TaskTracker::new(), stop, metrics }))
    }

    /// Waits until all connections are closed; none comes when we are stopping.
    pub async fn closed(&self) {
        self.0.open.close();
        self.0.open.wait().await;
    }

    /// Whether a page of that origin may connect. Programs that are no browsers have none, and no cookies to abuse.
    fn is_origin_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        self.0.origins.allows(origin) || is_of_host(origin, headers)
    }

    /// A place for one more connection; none where all are taken or we are stopping.
    fn permit(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.0.permits).try_acquire_owned().ok().filter(|_| !self.0.stop.is_cancelled())?;
        Some(ConnectionPermit { _seat: permit, _open: self.0.open.token(), all: Arc::clone(&self.0) })
    }
}

/// Whether an origin is that of the host that was asked. The scheme is left out: behind a proxy it is not known.
fn is_of_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    let origin = origin.parse::<Uri>().ok();
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

/// A place among the connections, free again when dropped.
struct ConnectionPermit {
    _seat: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    all: Arc<SharedLimiter>,
}

impl ConnectionPermit {
    /// Waits until this connection is to be closed because we stop: each a little later than the last.
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
    let refused = |status, code, message: &str| {
        sockets.0.metrics.graphql_error(code);
        error_response(status, code, message)
    };
    let Ok(upgrade) = upgrade else {
        let problem = "this path takes WebSockets only";
        let mut response = refused(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadUserInput, problem);
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        return response;
    };
    if !sockets.is_origin_allowed(&headers) {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        return refused(StatusCode::FORBIDDEN, ErrorCode::Forbidden, &origin_problem(origin));
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let problem = "the subprotocol graphql-transport-ws is spoken here, and no other";
        return refused(StatusCode::BAD_REQUEST, ErrorCode::BadUserInput, problem);
    }
    let Some(permit) = sockets.permit() else {
        let problem = "there are too many connections; try again";
        let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::ServiceUnavailable, problem);
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
    /// The client closed it, or is gone.
    Left,
    /// It no longer answers.
    ConnectionLost,
    /// It reads too slowly.
    Slow,
    /// We stop.
    Stopping,
    /// It broke the protocol: the close code and the reason.
    Broke(u16, &'static str),
}

const BAD_MESSAGE: CloseReason = CloseReason::Broke(4400, "Bad request");
const UNAUTHORIZED: CloseReason = CloseReason::Broke(4401, "Unauthorized");
const INIT_TIMEOUT: CloseReason = CloseReason::Broke(4408, "Connection initialisation timeout");
const ID_IN_USE: CloseReason = CloseReason::Broke(4409, "Subscriber already exists");
const SECOND_INIT: CloseReason = CloseReason::Broke(4429, "Too many initialisation requests");

impl CloseReason {
    fn close(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Left | Self::ConnectionLost => return None,
            Self::Slow => (4410, "Too slow"),
            Self::Stopping => (1001, "Going away"),
            Self::Broke(code, reason) => (code, reason),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }

    fn dropped(self) -> Option<Dropped> {
        match self {
            Self::Left => None,
            Self::Slow => Some(Dropped::Slow),
            Self::Stopping => Some(Dropped::Shutdown),
            Self::ConnectionLost | Self::Broke(..) => Some(Dropped::Error),
        }
    }
}

/// What a client says.
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

/// An operation.
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
    let (outbox, queue) = outbox(limits);
    let metrics = permit.all.metrics.clone();
    let connection = Connection { pipeline, outbox, limits, metrics, running: Mutex::default() };
    let ending = tokio::select! {
        ending = connection.listen(&mut stream) => ending,
        () = write(&mut sink, queue) => CloseReason::Left,
        () = connection.outbox.overflow.notified() => CloseReason::Slow,
        () = permit.stopped() => CloseReason::Stopping,
    };
    if let Some(reason) = ending.dropped() {
        connection.metrics.subscriptions_dropped(reason, connection.streams());
    }
    let farewell = async {
        if let Some(frame) = ending.close()
            && sink.send(Message::Close(Some(frame))).await.is_err()
        {
            return;
        }
        // Until the client has closed its side too; what it still says is heard by nobody.
        while let Some(Ok(_)) = stream.next().await {}
    };
    if ending != CloseReason::ConnectionLost {
        // A client that takes longer has had its chance.
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// Writes what waits, until the client is gone.
async fn write(sink: &mut SplitSink<WebSocket, Message>, mut queue: mpsc::UnboundedReceiver<PendingFrames>) {
    while let Some(PendingFrames { message, _room }) = queue.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

/// A message that waits for the client to read what came before, and the room that it takes.
struct PendingFrames {
    message: Message,
    _room: OwnedSemaphorePermit,
}

/// What a client has yet to read; bounded by bytes.
struct SendQueue {
    /// Bounded by `room`, of which each message in it holds a part.
    queue: mpsc::UnboundedSender<PendingFrames>,
    room: Arc<Semaphore>,
    capacity: usize,
    slow_after: Duration,
    overflow: Notify,
}

fn outbox(limits: WebSocketLimits) -> (SendQueue, mpsc::UnboundedReceiver<PendingFrames>) {
    let (queue, receiver) = mpsc::unbounded_channel();
    let (capacity, slow_after) = (limits.queue_bytes.max(MESSAGE_MIN), limits.slow_after);
    let room = Arc::new(Semaphore::new(capacity));
    (SendQueue { queue, room, capacity, slow_after, overflow: Notify::new() }, receiver)
}

impl SendQueue {
    /// Queues a message as soon as there is room; never returns where there is none for too long, for the connection is
    /// closed then.
    async fn send(&self, message: Message) {
        // One that is larger than all the room waits until it is alone.
        let bytes = message_bytes(&message).clamp(MESSAGE_MIN, self.capacity);
        let room = Arc::clone(&self.room).acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        if let Ok(Ok(room)) = timeout(self.slow_after, room).await {
            self.put(message, room);
        } else {
            self.overflow.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Queues a ping if there is room; where there is none, something else shows whether the client reads.
    fn ping(&self) {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            self.put(Message::Ping(Bytes::new()), room);
        }
    }

    fn put(&self, message: Message, room: OwnedSemaphorePermit) {
        // Fails when the writer has ended, and the connection ends with it.
        let _ = self.queue.send(PendingFrames { message, _room: room });
    }

    async fn say(&self, message: Value) {
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

/// One connection, between its opening and its end.
struct Connection<E> {
    pipeline: OperationPipeline<E>,
    outbox: SendQueue,
    limits: WebSocketLimits,
    metrics: Metrics,
    running: Mutex<HashMap<String, Running>>,
}

/// An operation that has not completed.
struct Running {
    abort: AbortHandle,
    /// Whether it has become a subscription, which lasts.
    streams: bool,
}

/// How long to wait for a client's next word.
struct IdleTimer {
    until: Instant,
    introduced: bool,
    pinged: bool,
}

impl<E: Executor> Connection<E> {
    /// Hears the client and runs what it asks for, until one of the two ends the connection.
    async fn listen(&self, stream: &mut SplitStream<WebSocket>) -> CloseReason {
        let mut patience = IdleTimer { until: Instant::now() + self.limits.init, introduced: false, pinged: false };
        let mut running = FuturesUnordered::new();
        loop {
            let heard = tokio::select! {
                Some(_) = running.next() => continue,
                heard = self.hear(stream, &mut patience) => heard,
            };
            let text = match heard {
                Ok(text) => text,
                Err(ending) => return ending,
            };
            let Ok(said) = serde_json::from_str(&text) else { return BAD_MESSAGE };
            match said {
                ClientMessage::ConnectionInit { .. } if patience.introduced => return SECOND_INIT,
                ClientMessage::ConnectionInit { .. } => {
                    patience.introduced = true;
                    patience.until = Instant::now() + self.limits.silence;
                    self.outbox.say(json!({ "type": "connection_ack" })).await;
                }
                ClientMessage::Ping { payload: None } => self.outbox.say(json!({ "type": "pong" })).await,
                ClientMessage::Ping { payload } => self.outbox.say(json!({ "type": "pong", "payload": payload })).await,
                ClientMessage::Pong { .. } => {}
                ClientMessage::Subscribe { .. } if !patience.introduced => return UNAUTHORIZED,
                ClientMessage::Subscribe { id, payload } => {
                    let Some(request) = payload.into_request().filter(|_| (1..=ID_MAX).contains(&id.len())) else {
                        return BAD_MESSAGE;
                    };
                    match self.register(&id) {
                        Err(ending) => return ending,
                        Ok(None) => self.reject_over_limit(&id).await,
                        Ok(Some(registration)) => running.push(Abortable::new(self.operate(id, request), registration)),
                    }
                }
                ClientMessage::Complete { id } => self.with_fallbacks(&id),
            }
        }
    }

    /// The next text that the client sends. Pings it when it is silent.
    async fn hear(
        &self,
        stream: &mut SplitStream<WebSocket>,
        patience: &mut IdleTimer,
    ) -> Result<Utf8Bytes, CloseReason> {
        loop {
            let heard = match timeout_at(patience.until, stream.next()).await {
                Ok(heard) => heard,
                Err(_) if !patience.introduced => return Err(INIT_TIMEOUT),
                Err(_) if patience.pinged => return Err(CloseReason::ConnectionLost),
                Err(_) => {
                    self.outbox.ping();
                    patience.pinged = true;
                    patience.until += self.limits.silence;
                    continue;
                }
            };
            if patience.introduced {
                patience.pinged = false;
                patience.until = Instant::now() + self.limits.silence;
            }
            match heard {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(Ok(Message::Close(_))) => return Err(CloseReason::Left),
                Some(Ok(Message::Binary(_))) => return Err(BAD_MESSAGE),
                Some(Err(error)) => return Err(if is_unreadable(error) { BAD_MESSAGE } else { CloseReason::Left }),
            }
        }
    }

    /// Makes room for an operation; none where there are too many already.
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
        let problem = format!("{allowed} operations run on this connection already: complete one first");
        self.metrics.graphql_error(ErrorCode::RateLimited);
        self.metrics.subscriptions_dropped(Dropped::Limit, 1);
        self.outbox.say(errors(id, ErrorCode::RateLimited, &problem)).await;
    }

    /// The client wants no more of an operation. It is not polled again, so nothing more is said of it.
    fn with_fallbacks(&self, id: &str) {
        if let Some(operation) = self.running().remove(id) {
            operation.abort.abort();
        }
    }

    /// Runs an operation and tells the client what comes of it.
    async fn operate(&self, id: String, request: Request) {
        let run = AssertUnwindSafe(self.run(&id, request)).catch_unwind();
        let last = run.await.unwrap_or_else(|_| {
            tracing::error!("an operation panicked");
            self.metrics.graphql_error(ErrorCode::Internal);
            Some(errors(&id, ErrorCode::Internal, "internal error").to_string())
        });
        let last = last.unwrap_or_else(|| json!({ "id": id, "type": "complete" }).to_string());
        // Its id is free as soon as the client can know it: the two happen together, for nobody else runs in between.
        self.outbox.send(Message::Text(last.into())).await;
        self.running().remove(&id);
    }

    /// Sends the results of an operation; says what is left to say when there are no more, if it is not `complete`.
    async fn run(&self, id: &str, request: Request) -> Option<String> {
        let mut streaming = match self.pipeline.subscribe(request).await {
            Execution::Response(answer) => return self.forward_events(id, answer.event()).await.err(),
            Execution::Stream(streaming) => streaming,
        };
        if let Some(operation) = self.running().get_mut(id) {
            operation.streams = true;
        }
        while let Some(event) = streaming.next().await {
            if let Err(last) = self.forward_events(id, event).await {
                return Some(last);
            }
        }
        None
    }

    /// Sends a result, or gives back what is the last word.
    async fn forward_events(&self, id: &str, event: Event) -> Result<(), String> {
        match event {
            Event::Next(body) => {
                self.outbox.send(Message::Text(message(id, "next", &body).into())).await;
                Ok(())
            }
            Event::Error(body) => Err(message(id, "error", &body)),
        }
    }

    /// How many subscriptions are open.
    fn streams(&self) -> usize {
        self.running().values().filter(|operation| operation.streams).count()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubscribePayload {
    /// The request; none where there is nothing to execute.
    fn into_request(self) -> Option<Request> {
        let extensions = self.extensions.unwrap_or_default();
        // A document that we know by its hash needs no text.
        let query = self.query.or_else(|| (!extensions.is_empty()).then(String::new))?;
        let mut request = Request::new(query).variables(self.variables.unwrap_or_default());
        request.extensions = extensions;
        Some(self.operation_name.into_iter().fold(request, Request::operation_name))
    }
}

/// Whether a client sent what is no message: too long, no text, no frame. Otherwise the connection was lost.
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
