//! Whether the pool of requests is exhausted although the database responds. The fault then lies in this instance,
//! which has lost its connections: readiness fails, so that other instances serve the requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::postgres::PgPool;

use super::connection::{Connection, ServerState, WithDeadline};
use super::metrics::StoreMetrics;

/// How long the probe may take to connect, and then to get a response. A choice: far above what a healthy server needs,
/// so that a slow one does not look like an outage.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Whether a pool is exhausted: all its connections are in use, no statement has got one between two checks, and a
/// connection outside of the pool gets a response. Clones share what the checks found.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolExhaustion(Arc<Observed>);

#[derive(Debug, Default)]
struct Observed {
    /// Number of statements that got a connection from the pool.
    acquired: AtomicU64,
    /// When the first of the last checks in a row found the pool exhausted; `None` if the last one did not.
    since: Mutex<Option<Instant>>,
}

impl PoolExhaustion {
    /// Counts a statement that got a connection.
    pub(super) fn count_acquisition(&self) {
        self.0.acquired.fetch_add(1, Ordering::Relaxed);
    }

    /// Since when the pool has been exhausted without a break; `None` if it is not.
    pub(super) fn since(&self) -> Option<Instant> {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks every `interval` whether `pool` is exhausted, and sets the metric. Never returns.
    pub(super) async fn watch(&self, pool: &PgPool, server: &ServerState, metrics: &StoreMetrics, interval: Duration) {
        // How many statements had got a connection at the last check that found the pool full.
        let mut seen = None;
        loop {
            let acquired = self.0.acquired.load(Ordering::Relaxed);
            let is_full = pool.size() >= pool.options().get_max_connections() && pool.num_idle() == 0;
            let is_stuck = is_full && seen.replace(acquired) == Some(acquired);
            let is_exhausted = is_stuck && probe(pool, server).await.is_ok();
            self.record(is_exhausted);
            metrics.pool_exhausted(is_exhausted);
            tokio::time::sleep(interval).await;
        }
    }

    /// Records the result of a check. Of several checks in a row that find the pool exhausted, the first sets the time.
    fn record(&self, is_exhausted: bool) {
        let mut since = self.0.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_exhausted { since.or_else(|| Some(Instant::now())) } else { None };
    }
}

/// Checks whether the database responds to a connection outside of the pool.
async fn probe(pool: &PgPool, server: &ServerState) -> Result<(), sqlx::Error> {
    let connection = pool.connect_options().connect().with_deadline(PROBE_LIMIT).await?;
    Connection::single(connection, PROBE_LIMIT, server).ping().await
}
