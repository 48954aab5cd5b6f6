//! An open WebSocket connection.
//!
//! One task per connection reads messages, runs the operations and writes their results. Its memory is bounded by the
//! limits, whatever the client does.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::{Executor, Request};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use opentelemetry::trace::SpanContext;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::connection_limiter::ConnectionPermit;
use super::limits::WebSocketLimits;
use super::protocol::{self, ClientMessage, CloseReason, Subscribe};
use super::send_queue::{SendQueue, send_queue};
use crate::graphql::{Dropped, ErrorCode, Event, Execution, GraphqlMetrics, OperationPipeline, SubscriptionStream};

/// How long to wait for the client's close frame. The value is a choice: some round trips of a slow network.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a connection until it is closed.
pub(super) async fn handle_connection<E: Executor>(
    socket: WebSocket,
    pipeline: OperationPipeline<E>,
    metrics: GraphqlMetrics,
    permit: ConnectionPermit,
    span: SpanContext,
) {
    let (mut sink, mut stream) = socket.split();
    let limits = permit.limits();
    let (send_queue, queued) = send_queue(limits.queue_bytes, limits.slow_after);
    let connection = Connection { pipeline, send_queue, limits, metrics, span, running: Mutex::default() };
    let close_reason = tokio::select! {
        reason = connection.read_loop(&mut stream) => reason,
        // A write fails only when the client has disconnected.
        () = queued.write_to(&mut sink) => CloseReason::ClosedByClient,
        () = connection.send_queue.overflowed() => CloseReason::Slow,
        () = permit.stopped() => CloseReason::Shutdown,
    };
    if let Some(dropped) = close_reason.dropped() {
        connection.metrics.subscriptions_dropped(dropped, connection.subscriptions());
    }
    // A client that responds to no ping would not respond to a close frame either.
    if close_reason != CloseReason::ConnectionLost {
        // After the timeout the connection is dropped without the client's close frame.
        let _ = timeout(CLOSE_TIMEOUT, close(sink, stream, close_reason.close_frame())).await;
    }
}

/// Sends a close frame, then discards messages until the client has closed its side.
async fn close(mut sink: SplitSink<WebSocket, Message>, mut stream: SplitStream<WebSocket>, frame: Option<CloseFrame>) {
    if let Some(frame) = frame
        && sink.send(Message::Close(Some(frame))).await.is_err()
    {
        return;
    }
    while let Some(Ok(_)) = stream.next().await {}
}

struct Connection<E> {
    pipeline: OperationPipeline<E>,
    send_queue: SendQueue,
    limits: WebSocketLimits,
    metrics: GraphqlMetrics,
    /// The span of the handshake.
    span: SpanContext,
    /// Operations in progress, with their ids as keys. One task runs the connection, so the lock is always free; it is
    /// there because the future of that task must be `Send`.
    running: Mutex<HashMap<String, Running>>,
}

/// An operation in progress.
struct Running {
    abort: AbortHandle,
    /// Whether the operation is a subscription and not a query or mutation. False until its stream of results starts.
    streams: bool,
}

/// Limits the wait for the client's next message. It is kept outside [`Connection::next_message`], because that future
/// is dropped and created again whenever an operation ends.
struct IdleTimer {
    deadline: Instant,
    /// Whether `connection_init` has arrived. Until then, the deadline is its time limit.
    initialised: bool,
    /// Whether the client was pinged, and has sent nothing since.
    pinged: bool,
}

impl<E: Executor> Connection<E> {
    /// Reads messages and runs operations until the connection is to be closed.
    async fn read_loop(&self, stream: &mut SplitStream<WebSocket>) -> CloseReason {
        let deadline = Instant::now() + self.limits.init_timeout;
        let mut idle = IdleTimer { deadline, initialised: false, pinged: false };
        let mut operations = FuturesUnordered::new();
        loop {
            let received = tokio::select! {
                // Polls all operations. One has ended or was aborted; its result, `()`, says nothing more.
                Some(_) = operations.next() => continue,
                received = self.next_message(stream, &mut idle) => received,
            };
            // Meanwhile no operation runs. The wait for space in the send queue is bounded by `slow_after`.
            let handled = match received {
                Ok(message) => self.handle_message(message, &mut idle).await,
                Err(reason) => return reason,
            };
            match handled {
                Ok(started) => operations.extend(started),
                Err(reason) => return reason,
            }
        }
    }

    /// The client's next message. Pings an idle client.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    async fn next_message(
        &self,
        stream: &mut SplitStream<WebSocket>,
        idle: &mut IdleTimer,
    ) -> Result<ClientMessage, CloseReason> {
        loop {
            let received = match timeout_at(idle.deadline, stream.next()).await {
                Ok(received) => received,
                Err(_) if !idle.initialised => return Err(CloseReason::INIT_TIMEOUT),
                Err(_) if idle.pinged => return Err(CloseReason::ConnectionLost),
                Err(_) => {
                    self.send_queue.ping();
                    idle.pinged = true;
                    idle.deadline += self.limits.idle_timeout;
                    continue;
                }
            };
            // Messages before `connection_init` must not extend its time limit.
            if idle.initialised {
                idle.pinged = false;
                idle.deadline = Instant::now() + self.limits.idle_timeout;
            }
            match received {
                Some(Ok(Message::Text(text))) => return ClientMessage::parse(&text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(Ok(Message::Close(_))) => return Err(CloseReason::ClosedByClient),
                Some(Ok(Message::Binary(_))) => return Err(CloseReason::BAD_MESSAGE),
                Some(Err(error)) => return Err(reason_of(error)),
            }
        }
    }

    /// Responds to a message; returns the operation that it starts, if any.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    async fn handle_message<'c>(
        &'c self,
        message: ClientMessage,
        idle: &mut IdleTimer,
    ) -> Result<Option<Abortable<impl Future<Output = ()> + use<'c, E>>>, CloseReason> {
        match message {
            ClientMessage::ConnectionInit { .. } if idle.initialised => return Err(CloseReason::SECOND_INIT),
            ClientMessage::ConnectionInit { .. } => {
                idle.initialised = true;
                idle.deadline = Instant::now() + self.limits.idle_timeout;
                self.send_queue.send(protocol::connection_ack()).await;
            }
            ClientMessage::Ping { payload } => self.send_queue.send(protocol::pong(payload)).await,
            ClientMessage::Pong { .. } => {}
            ClientMessage::Subscribe(_) if !idle.initialised => return Err(CloseReason::UNAUTHORIZED),
            ClientMessage::Subscribe(subscribe) => return self.start(subscribe).await,
            ClientMessage::Complete { id } => self.complete(&id),
        }
        Ok(None)
    }

    /// Registers an operation and returns its execution. If the connection already runs the maximum number of
    /// operations, sends an error to the client and returns `None`.
    ///
    /// # Errors
    /// [`CloseReason`] if the message is invalid or an operation with its id is running.
    async fn start(&self, subscribe: Subscribe) -> Result<Option<Abortable<impl Future<Output = ()>>>, CloseReason> {
        let (id, request) = subscribe.into_request()?;
        match self.register(&id)? {
            Some(registration) => Ok(Some(Abortable::new(self.execute(id, request), registration))),
            None => {
                self.reject_over_limit(&id).await;
                Ok(None)
            }
        }
    }

    /// Registers an operation; `None` if the connection already runs the maximum number of operations.
    ///
    /// # Errors
    /// [`CloseReason::ID_IN_USE`] if an operation with this id is running.
    fn register(&self, id: &str) -> Result<Option<AbortRegistration>, CloseReason> {
        let mut running = self.running();
        if running.contains_key(id) {
            return Err(CloseReason::ID_IN_USE);
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
        self.send_queue.send(protocol::error_with_code(id, ErrorCode::RateLimited, &problem)).await;
    }

    /// Aborts an operation that the client completed. It is not polled again, so it sends no further messages.
    fn complete(&self, id: &str) {
        if let Some(operation) = self.running().remove(id) {
            operation.abort.abort();
        }
    }

    /// Executes an operation, sends its results and its final message, and unregisters it.
    async fn execute(&self, id: String, request: Request) {
        let results = AssertUnwindSafe(self.send_results(&id, request)).catch_unwind();
        // A panic is logged where it happened.
        let last = results.await.unwrap_or_else(|_| {
            self.metrics.error(ErrorCode::Internal);
            protocol::error_with_code(&id, ErrorCode::Internal, "internal error")
        });
        // Nothing is awaited between the queueing of the message and the removal of the id, because the client may
        // reuse the id as soon as it has received the message.
        self.send_queue.send(last).await;
        self.running().remove(&id);
    }

    /// Executes an operation and sends its results. Returns the final message.
    async fn send_results(&self, id: &str, request: Request) -> String {
        let last = match self.pipeline.subscribe(request, Some(&self.span)).await {
            Execution::Response(response) => self.send_event(id, response.event()).await,
            Execution::Stream(events) => self.send_events(id, events).await,
        };
        last.unwrap_or_else(|| protocol::complete(id))
    }

    /// Sends the results of a subscription. Returns the final message, if it is not `complete`.
    async fn send_events(&self, id: &str, mut events: SubscriptionStream) -> Option<String> {
        if let Some(operation) = self.running().get_mut(id) {
            operation.streams = true;
        }
        while let Some(event) = events.next().await {
            let last = self.send_event(id, event).await;
            if last.is_some() {
                return last;
            }
        }
        None
    }

    /// Sends a result. If the event is an error, returns the final message instead.
    async fn send_event(&self, id: &str, event: Event) -> Option<String> {
        match event {
            Event::Next(response) => {
                self.send_queue.send(protocol::next(id, &response)).await;
                None
            }
            Event::Error(errors) => Some(protocol::error(id, &errors)),
        }
    }

    /// Number of open subscriptions.
    fn subscriptions(&self) -> usize {
        self.running().values().filter(|operation| operation.streams).count()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a failed read closes the connection: the client sent an invalid message (too long, not UTF-8, malformed frame),
/// or disconnected.
fn reason_of(error: axum::Error) -> CloseReason {
    let error = error.into_inner().downcast::<tungstenite::Error>();
    let is_invalid = match error.as_deref() {
        // The library also reports a disconnection without a close frame as a protocol error.
        Ok(tungstenite::Error::Protocol(problem)) => *problem != ProtocolError::ResetWithoutClosingHandshake,
        Ok(error) => matches!(error, tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_)),
        Err(_) => false,
    };
    if is_invalid { CloseReason::BAD_MESSAGE } else { CloseReason::ClosedByClient }
}
