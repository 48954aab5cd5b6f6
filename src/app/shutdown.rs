//! The steps of a shutdown, and how long each may take.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::store::Store;

/// How long shutdown waits for database connections that are still in use. A choice: the server stops most cancelled
/// statements within milliseconds, and the program should not wait long for one that it does not stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Stops an instance in two steps, so that a proxy sees the failing readiness check before connections are refused.
pub(super) struct Shutdown {
    /// First step: readiness checks fail and jobs end.
    pub(super) stop: CancellationToken,
    /// Second step, after `shutdown_delay_seconds`: no more connections are accepted, and the open ones end.
    pub(super) close: CancellationToken,
    delay: Duration,
}

impl Shutdown {
    pub(super) fn new(stop: &CancellationToken, config: &Config) -> Self {
        Self { stop: stop.clone(), close: CancellationToken::new(), delay: config.shutdown_delay.unwrap_or_default() }
    }

    /// Waits until `stop` is cancelled, then for the delay, and then cancels `close`.
    pub(super) async fn wait_and_close(&self) {
        self.stop.cancelled().await;
        sleep(self.delay).await;
        self.close.cancel();
    }
}

/// Waits for `work` for at most `limit`. If it has not ended by then, logs `unfinished` and returns `None`.
pub(super) async fn finish<T>(limit: Duration, unfinished: &str, work: impl Future<Output = T>) -> Option<T> {
    let finished = timeout(limit, work).await.ok();
    if finished.is_none() {
        tracing::warn!("{unfinished} at the end of shutdown_timeout_seconds");
    }
    finished
}

/// Closes the database connections, waiting at most [`CLOSE_TIMEOUT`]: a cancelled statement keeps its connection in
/// use until the server has stopped the statement.
pub(super) async fn close_store(store: &Store) {
    if timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!("database connections were still in use when the program ended");
    }
}
