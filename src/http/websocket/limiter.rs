//! The limits of WebSocket connections and multipart streams, and how many are open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Connections closed per second on shutdown, or more if time is short: spreads the reconnects to other instances.
const CLOSED_PER_SECOND: f64 = 100.0;

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
    /// Maximum time until `connection_init`.
    pub init_timeout: Duration,
    /// Idle time after which a client is pinged; after the same time again the connection counts as lost.
    pub idle_timeout: Duration,
    /// Maximum length of the window in which connections start to close on shutdown.
    pub close_window: Duration,
}

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

/// Limits and tracks all WebSocket connections of this instance.
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
    /// Rejects all connections after `stop` is cancelled, and closes the open ones.
    #[must_use]
    pub fn new(limits: WebSocketLimits, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        Self(Arc::new(SharedLimiter { limits, permits, open: TaskTracker::new(), stop }))
    }

    /// Waits until all connections are closed. To be called after `stop` is cancelled, when no new ones are accepted.
    pub async fn closed(&self) {
        self.0.open.close();
        self.0.open.wait().await;
    }

    /// A permit for one more connection; none if all are taken or the service is shutting down.
    pub(in crate::http) fn try_acquire(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.0.permits).try_acquire_owned().ok().filter(|_| !self.0.stop.is_cancelled())?;
        Some(ConnectionPermit { _permit: permit, _open: self.0.open.token(), limiter: Arc::clone(&self.0) })
    }
}

/// Counts one open connection until dropped.
pub(in crate::http) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    limiter: Arc<SharedLimiter>,
}

impl ConnectionPermit {
    pub(in crate::http) fn limits(&self) -> WebSocketLimits {
        self.limiter.limits
    }

    /// Waits until this connection should close on shutdown. Connections close at random times within a window, so that
    /// their clients do not reconnect all at once.
    pub(in crate::http) async fn stopped(&self) {
        let SharedLimiter { stop, limits, permits, .. } = &*self.limiter;
        stop.cancelled().await;
        let open = u32::try_from(limits.connections - permits.available_permits()).unwrap_or(u32::MAX);
        let window = Duration::from_secs_f64(f64::from(open) / CLOSED_PER_SECOND).min(limits.close_window);
        sleep(window.mul_f64(rand::random())).await;
    }
}
