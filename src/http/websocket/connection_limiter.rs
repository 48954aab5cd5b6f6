//! [`ConnectionLimiter`]: limits the number of open WebSocket connections and multipart streams, and spreads their end
//! on shutdown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::limits::WebSocketLimits;

/// How many connections per second begin to close on shutdown, on average; more if all of them would otherwise take
/// longer than [`WebSocketLimits::close_window`]. Their clients reconnect to other instances at this rate. The value is
/// a choice.
const CLOSED_PER_SECOND: f64 = 100.0;

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
