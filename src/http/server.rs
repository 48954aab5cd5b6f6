//! Connections: accepted within a limit, their heads awaited no longer than a limit, ended gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder as RuntimeBuilder, Handle};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::Service;
use tower::util::MapRequest;

use super::observability::TRACEPARENT;

/// How long to wait where no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time; the next one waits until one ends.
    pub connections: usize,
    /// Time for the head of a request to arrive, from its first byte or the end of the request before.
    pub head_read: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 10_000, head_read: Duration::from_secs(5) }
    }
}

/// Threads for connections alone, one for each that the machine runs at once. A connection stays with its thread: to hand
/// it to whichever is idle, as a runtime of many threads does, takes longer than to give an answer that is at hand. So
/// nothing that takes longer may be done on them.
#[derive(Debug)]
pub struct PerCoreRuntimes {
    runtimes: Vec<Handle>,
    /// Only held: its drop ends them.
    _running: DropGuard,
}

impl PerCoreRuntimes {
    /// Starts them. They last until this is dropped, for the longest of their connections.
    ///
    /// # Errors
    /// When the system gives us no thread.
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

    /// What runs on each of them.
    #[must_use]
    pub fn runtimes(&self) -> Vec<Handle> {
        self.runtimes.clone()
    }
}

/// What answers every request, such as a router.
pub trait HttpService:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

/// Serves what `service` answers, a connection to each of `runtimes` in turn, until `stop` is cancelled, then takes no more
/// connections and finishes the requests in flight. How long that may take is the caller's to limit.
pub async fn serve(
    listener: TcpListener,
    service: impl HttpService,
    limits: ConnectionLimits,
    runtimes: Vec<Handle>,
    stop: CancellationToken,
) {
    // HTTP/2 without TLS is for nobody but proxies, and while its preface is awaited no time-out runs.
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_read);
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let mut turns = runtimes.iter().cycle();
    while let Some((stream, peer)) = stop.run_until_cancelled(accept(&listener)).await {
        let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { break };
        let (Some(runtime), Ok(stream)) = (turns.next(), stream.into_std()) else { continue };
        let service = TowerToHyperService::new(MapRequest::new(service.clone(), attach_peer_address(peer)));
        let (builder, stop) = (builder.clone(), stop.clone());
        open.spawn_on(
            async move {
                let Ok(stream) = TcpStream::from_std(stream) else { return };
                // hyper's time-out begins with the first byte.
                let mut first = [0];
                let first_byte = tokio::time::timeout(limits.head_read, stream.peek(&mut first));
                if let Some(Ok(Ok(1))) = stop.run_until_cancelled(first_byte).await {
                    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
                    let ended = match stop.run_until_cancelled(connection.as_mut()).await {
                        Some(ended) => ended,
                        None => {
                            connection.as_mut().graceful_shutdown();
                            connection.await
                        }
                    };
                    // It ends with an error when the client breaks off or is too slow: that is the client's.
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                }
                drop(place);
            },
            runtime,
        );
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Tells a request that brings a trace who sent it.
fn attach_peer_address<B>(peer: SocketAddr) -> impl Fn(axum::http::Request<B>) -> Request + Clone
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    move |request| {
        let mut request = request.map(Body::new);
        // Nobody else is asked whom they are.
        if request.headers().contains_key(TRACEPARENT) {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        request
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole: nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}
