//! Whether the pool of requests is exhausted although the database responds. The fault then lies in this instance,
//! which has lost its connections: readiness fails, so that other instances serve the requests.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions;

use super::connection::{Connection, WithDeadline};
use super::pool::Store;

/// How long the probe may take to connect, and then to get a response. A choice: far above what a healthy server needs,
/// so that a slow one does not look like an outage.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

impl Store {
    /// Checks every `interval` whether the pool is exhausted: all its connections are in use, no statement has got one
    /// since the last check, and a connection outside of the pool gets a response. Never returns.
    pub async fn watch_pool(&self, interval: Duration) {
        // How many statements had got a connection at the last check that found the pool full.
        let mut seen = None;
        loop {
            let acquired = self.pool_use.acquisitions();
            let is_full = self.pool.size() >= self.pool.options().get_max_connections() && self.pool.num_idle() == 0;
            let is_stuck = is_full && seen.replace(acquired) == Some(acquired);
            self.pool_use.set_exhausted(is_stuck && self.probe().await.is_ok(), &self.metrics);
            tokio::time::sleep(interval).await;
        }
    }

    /// Since when the pool has been exhausted without a break. `None` if it is not exhausted, or if the database itself
    /// does not respond: then the fault is not in this instance.
    #[must_use]
    pub fn exhausted_since(&self) -> Option<Instant> {
        self.pool_use.exhausted_since()
    }

    /// Checks whether the database responds to a connection outside of the pool.
    async fn probe(&self) -> Result<(), sqlx::Error> {
        let connection = self.pool.connect_options().connect().with_deadline(PROBE_LIMIT).await?;
        Connection::single(connection, PROBE_LIMIT, &self.server).ping().await
    }
}
