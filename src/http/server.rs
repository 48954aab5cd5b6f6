//! TCP connections: a limited number, timeouts for request heads and for clients that do not read, graceful shutdown.

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

/// How long to wait after a failed accept, which is mostly due to a lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Concurrent connections; the next one waits until one ends.
    pub connections: usize,
    /// Maximum time for a request's head to arrive, from its first byte or the end of the previous request.
    pub head_read: Duration,
    /// Maximum time for which a client reads nothing of what is sent to it.
    pub write: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 10_000, head_read: Duration::from_secs(5), write: Duration::from_secs(30) }
    }
}

/// Single-threaded runtimes for connections, one per core. A connection stays on its thread: waking an idle worker of a
/// multi-threaded runtime took a fifth of the time of a cached response. Together with skipping the compression layers
/// for clients that accept no compression, they reduced it from 27 to 23 µs of CPU time (32 connections, two virtual
/// cores). They must not run anything slower than that.
#[derive(Debug)]
pub struct PerCoreRuntimes {
    runtimes: Vec<Handle>,
    /// Stops the threads when dropped.
    _running: DropGuard,
}

impl PerCoreRuntimes {
    /// Starts the threads. They run until this is dropped, so it must outlive all connections.
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

/// Accepts connections and serves them with `service`, on `runtimes` in turn. After `stop` is cancelled, accepts no
/// more and finishes the requests in flight; the caller bounds how long that may take.
pub async fn serve(
    listener: TcpListener,
    service: impl HttpService,
    limits: ConnectionLimits,
    runtimes: Vec<Handle>,
    stop: CancellationToken,
) {
    // HTTP/1 only: just proxies use HTTP/2 without TLS, and hyper has no timeout while it waits for the HTTP/2 preface.
    let mut builder = http1::Builder::new();
    // A client that has closed its sending side gets its response; `client_left` detects those that have left.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_read).half_close(true);
    let server = ConnectionServer { builder, service, limits, stop: stop.clone() };
    let permits = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let mut turns = runtimes.iter().cycle();
    while let Some((stream, peer)) = stop.run_until_cancelled(accept(&listener)).await {
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

/// The client of a request has left before its response.
#[derive(Debug, thiserror::Error)]
#[error("the client has left")]
struct ClientLeft;

impl<S: HttpService> ConnectionServer<S> {
    /// Serves a connection until the client closes it, or until the request in flight ends after `stop`.
    async fn serve(self, stream: std::net::TcpStream, peer: SocketAddr) {
        // Only here, because the stream belongs to the runtime that this task runs on.
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
                    // The response first: a cached one is ready at once, and needs no timer.
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

/// Waits for the first byte of the first request, with which hyper's timeout starts.
async fn receives_first_byte(stream: &TcpStream, limit: Duration, stop: &CancellationToken) -> bool {
    let mut first = [0];
    let received = timeout(limit, stream.peek(&mut first));
    matches!(stop.run_until_cancelled(received).await, Some(Ok(Ok(1))))
}

/// Adds the peer's address to requests with a header whose meaning depends on it.
fn attach_peer_address(request: axum::http::Request<Incoming>, peer: SocketAddr) -> Request {
    let mut request = request.map(Body::new);
    if [TRACEPARENT, AUTHORIZATION, FORWARDED_HOST].iter().any(|name| request.headers().contains_key(name)) {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Responses are written whole, so Nagle's algorithm would only delay them.
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
