//! Limits of WebSocket connections and multipart streams, and a limiter that counts the open ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How many connections per second begin to close on shutdown, on average; more if all of them would otherwise take
/// longer than [`WebSocketLimits::close_window`]. Their clients reconnect to other instances at this rate. The value is
/// a choice.
const CLOSED_PER_SECOND: f64 = 100.0;

/// Limits of WebSocket connections. `connections`, `slow_after`, `idle_timeout` and `close_window` apply to multipart
/// streams as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Concurrent connections.
    pub connections: usize,
    /// Concurrent operations per connection.
    pub subscriptions: usize,
    /// Maximum size of a client's message, in bytes.
    pub message_bytes: usize,
    /// Maximum total size of the messages queued for a client, in bytes.
    pub queue_bytes: usize,
    /// How long a message may wait for space in the queue of a WebSocket, or a part of a multipart stream for the
    /// connection to take the previous one, before the client is disconnected as too slow.
    pub slow_after: Duration,
    /// Maximum time from the handshake until the client's `connection_init`.
    pub init_timeout: Duration,
    /// Time without a message of the client after which it is pinged. If it sends nothing for the same time again, the
    /// connection counts as lost.
    pub idle_timeout: Duration,
    /// Maximum length of the time window in which connections begin to close on shutdown.
    pub close_window: Duration,
}

/// The values are choices. `idle_timeout` is far below a minute, the idle timeout of many proxies. The settings replace
/// `connections` and `close_window`.
impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            connections: 2000,
            subscriptions: 20,
            message_bytes: 256 * 1024,
            queue_bytes: 256 * 1024,
            slow_after: Duration::from_secs(5),
            init_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(20),
            close_window: Duration::from_secs(8),
        }
    }
}

/// Limits and tracks all WebSocket connections and multipart streams of this instance. Clones share the permits.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter(Arc<SharedLimiter>);

#[derive(Debug)]
struct SharedLimiter {
    limits: WebSocketLimits,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    stop: CancellationToken,
}

impl ConnectionLimiter {
    /// A limiter that, after `stop` is cancelled, rejects all new connections and tells the open ones to close.
    #[must_use]
    pub fn new(limits: WebSocketLimits, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        Self(Arc::new(SharedLimiter { limits, permits, open: TaskTracker::new(), stop }))
    }

    /// Waits until all connections are closed. Call it after `stop` is cancelled, when new connections are rejected.
    pub async fn closed(&self) {
        self.0.open.close();
        self.0.open.wait().await;
    }

    /// A permit for one more connection; `None` if all permits are taken or the service is shutting down.
    pub(in crate::http) fn try_acquire(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.0.permits).try_acquire_owned().ok().filter(|_| !self.0.stop.is_cancelled())?;
        Some(ConnectionPermit { _permit: permit, _open: self.0.open.token(), limiter: Arc::clone(&self.0) })
    }
}

/// Counts as one open connection until it is dropped.
pub(in crate::http) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    limiter: Arc<SharedLimiter>,
}

impl ConnectionPermit {
    pub(in crate::http) fn limits(&self) -> WebSocketLimits {
        self.limiter.limits
    }

    /// Waits for the shutdown, and then until it is this connection's turn to close. Each connection closes at a random
    /// time within a window, so that the clients do not all reconnect at once. The fewer connections are open, the
    /// shorter is the window.
    pub(in crate::http) async fn stopped(&self) {
        let SharedLimiter { stop, limits, permits, .. } = &*self.limiter;
        stop.cancelled().await;
        let open = u32::try_from(limits.connections - permits.available_permits()).unwrap_or(u32::MAX);
        let window = Duration::from_secs_f64(f64::from(open) / CLOSED_PER_SECOND).min(limits.close_window);
        sleep(window.mul_f64(rand::random())).await;
    }
}
