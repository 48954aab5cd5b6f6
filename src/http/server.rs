//! TCP connections: limits their number, the time for a request head and the time for which a client reads nothing, and
//! closes them on shutdown after the requests in flight.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder as RuntimeBuilder, Handle};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::Service;

use super::client_stream::{ClientStream, client_left};
use super::observability::TRACEPARENT;
use super::peer::FORWARDED_HOST;

/// How long to wait after a failed accept. Most such failures are due to a lack of file descriptors, and would be
/// repeated in a busy loop until a connection is closed. The value is a choice.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Maximum number of concurrent connections; further ones wait until one ends.
    pub connections: usize,
    /// Maximum time for a request's head to arrive, from its first byte or the end of the previous request. The first
    /// byte on a connection must arrive within the same time.
    pub head_read: Duration,
    /// Maximum time for which a client reads nothing of what is sent to it.
    pub write: Duration,
}

/// The limits of the admin listener. Those of the public listener are settings, with the same values as defaults.
impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 10_000, head_read: Duration::from_secs(5), write: Duration::from_secs(30) }
    }
}

/// Single-threaded runtimes for connections, one per core. A connection stays on its thread: on a multi-threaded
/// runtime, waking an idle worker took a fifth of the time of a cached response. These runtimes, and bypassing the
/// compression layers for clients that accept no compression, reduced the CPU time of a cached response from 27 to 23
/// µs (32 connections, two virtual cores). Work that takes longer than a cached response must run elsewhere, since it
/// would delay the other connections of the thread.
#[derive(Debug)]
pub struct PerCoreRuntimes {
    runtimes: Vec<Handle>,
    /// Stops the threads when dropped.
    _running: DropGuard,
}

impl PerCoreRuntimes {
    /// Starts the threads. They run until this value is dropped, so it must outlive all connections.
    ///
    /// # Errors
    /// If a runtime or a thread cannot be created.
    pub fn start() -> io::Result<Self> {
        let running = CancellationToken::new();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let runtimes = (0..threads).map(|_| {
            let runtime = RuntimeBuilder::new_current_thread().enable_all().build()?;
            let (handle, ended) = (runtime.handle().clone(), running.clone().cancelled_owned());
            thread::Builder::new().name("connections".to_owned()).spawn(move || runtime.block_on(ended))?;
            Ok(handle)
        });
        Ok(Self { runtimes: runtimes.collect::<io::Result<_>>()?, _running: running.drop_guard() })
    }

    /// A handle to each runtime.
    #[must_use]
    pub fn runtimes(&self) -> Vec<Handle> {
        self.runtimes.clone()
    }
}

/// A service that responds to every request, such as a router.
pub trait HttpService:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

/// Accepts connections and serves them with `service`, on each of `runtimes` in turn. After `stop` is cancelled,
/// accepts no more connections and returns when the requests in flight have ended; the caller limits how long that may
/// take.
pub async fn serve(
    listener: TcpListener,
    service: impl HttpService,
    limits: ConnectionLimits,
    runtimes: Vec<Handle>,
    stop: CancellationToken,
) {
    // HTTP/1 only. HTTP/2 without TLS is used only by proxies, and hyper has no timeout while it waits for the HTTP/2
    // preface.
    let mut builder = http1::Builder::new();
    // A client that has closed only its sending side gets its response; `client_left` detects clients that have left.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_read).half_close(true);
    let server = ConnectionServer { builder, service, limits, stop: stop.clone() };
    let permits = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let mut turns = runtimes.iter().cycle();
    while let Some((stream, peer)) = stop.run_until_cancelled(accept(&listener)).await {
        // Above the limit, one accepted connection waits here, and the others in the kernel's backlog.
        let Some(Ok(permit)) = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned()).await else { break };
        let (Some(runtime), Ok(stream)) = (turns.next(), stream.into_std()) else { continue };
        let served = server.clone().serve(stream, peer);
        open.spawn_on(served.map(|()| drop(permit)), runtime);
    }
    // Closed before the wait, so that new clients are refused at once instead of waiting in the backlog.
    drop(listener);
    open.close();
    open.wait().await;
}

/// Serves the requests of a connection with `service`.
#[derive(Clone)]
struct ConnectionServer<S> {
    builder: http1::Builder,
    service: S,
    limits: ConnectionLimits,
    stop: CancellationToken,
}

/// The client of a request has left before the response was ready.
#[derive(Debug, thiserror::Error)]
#[error("the client has left")]
struct ClientLeft;

impl<S: HttpService> ConnectionServer<S> {
    /// Serves a connection until the client closes it. After `stop`, closes it when the request in flight has ended.
    async fn serve(self, stream: std::net::TcpStream, peer: SocketAddr) {
        // Converted here and not earlier, because a Tokio stream belongs to the runtime on which it is created.
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        if !receives_first_byte(&stream, self.limits.head_read, &self.stop).await {
            return;
        }
        let stream = Arc::new(stream);
        let io = TokioIo::new(ClientStream::new(Arc::clone(&stream), self.limits.write));
        let service = hyper::service::service_fn(move |request| {
            let response = self.service.clone().call(attach_peer_address(request, peer));
            let stream = Arc::clone(&stream);
            async move {
                tokio::select! {
                    // The response is polled first: a cached one is ready at once, so the timer of `client_left` is not
                    // started.
                    biased;
                    Ok(response) = response => Ok(response),
                    () = client_left(&stream) => Err(ClientLeft),
                }
            }
        });
        let mut connection = pin!(self.builder.serve_connection(io, service).with_upgrades());
        let ended = match self.stop.run_until_cancelled(connection.as_mut()).await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // Debug only: clients cause these errors by disconnecting or by exceeding a timeout.
        if let Err(error) = ended {
            tracing::debug!(%error, "connection failed");
        }
    }
}

/// Waits for the first byte of the first request. hyper is called only then, so its timeout for the head starts with
/// this byte. Returns false if the byte does not arrive within `limit`, if the client leaves, or if `stop` is
/// cancelled.
async fn receives_first_byte(stream: &TcpStream, limit: Duration, stop: &CancellationToken) -> bool {
    let mut first = [0];
    let received = timeout(limit, stream.peek(&mut first));
    matches!(stop.run_until_cancelled(received).await, Some(Ok(Ok(1))))
}

/// Adds the peer's address to requests with a header whose meaning depends on it. Most requests have no such header and
/// are spared the memory allocation.
fn attach_peer_address(request: axum::http::Request<Incoming>, peer: SocketAddr) -> Request {
    let mut request = request.map(Body::new);
    if [TRACEPARENT, AUTHORIZATION, FORWARDED_HOST].iter().any(|name| request.headers().contains_key(name)) {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

/// Accepts a connection. Logs errors and tries again.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Responses are written as a whole, so Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}
