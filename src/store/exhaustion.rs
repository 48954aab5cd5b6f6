//! Whether the pool of requests is exhausted although the database responds: connections are then lost inside this
//! instance, and only another one can serve.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions;

use super::connection::{Connection, WithDeadline};
use super::pool::Store;

/// How long the probe may take to connect and to get a response.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

impl Store {
    /// Checks every `interval` whether the pool is exhausted: all its connections are in use, no statement has got one
    /// since the last check, and a connection outside of the pool gets a response. Never returns.
    pub async fn watch_pool(&self, interval: Duration) {
        let mut seen = None;
        loop {
            let acquired = self.pool_use.count();
            let is_full = self.pool.size() >= self.pool.options().get_max_connections() && self.pool.num_idle() == 0;
            let is_stuck = is_full && seen.replace(acquired) == Some(acquired);
            self.pool_use.set_exhausted(is_stuck && self.probe().await.is_ok(), &self.metrics);
            tokio::time::sleep(interval).await;
        }
    }

    /// Since when the pool has been exhausted without a break; `None` if it is not, or if the database does not respond
    /// either.
    #[must_use]
    pub fn exhausted_since(&self) -> Option<Instant> {
        self.pool_use.exhausted_since()
    }

    async fn probe(&self) -> Result<(), sqlx::Error> {
        let connection = self.pool.connect_options().connect().with_deadline(PROBE_LIMIT).await?;
        Connection::single(connection, PROBE_LIMIT, &self.server).ping().await
    }
}
