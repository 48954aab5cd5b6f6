//! The read replica: its pool, and whether its lag allows reads at all. Whether it has the changes that one read needs
//! is decided in `replica_reads`.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::connection::ServerState;
use super::error::StoreError;
use crate::breaker::{Breaker, BreakerMetrics, BreakerName, Fallback, Permit};
use crate::versions::Versions;

/// How long a query waits at most for a connection to the replica. A choice: short, because the primary can run the
/// query afterwards, within the same request.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);

/// Maximum number of stored WAL positions. One is added per second, so they reach back an hour, which is the largest
/// value of `replica_max_lag_seconds`.
const MAX_SAMPLES: usize = 3_600;

/// Connection and maximum lag of the replica. Not `Debug`, so that the URL cannot be logged with it.
#[derive(Clone)]
pub struct ReplicaSettings {
    /// `postgres://…`; may hold a password.
    pub url: String,
    /// Maximum lag at which queries run on the replica.
    pub max_lag: Duration,
}

#[derive(Debug)]
pub(super) struct Replica {
    pool: PgPool,
    pub(super) server: ServerState,
    max_lag: Duration,
    breaker: Breaker,
    /// The versions that this instance has read from the primary. A result counts only if the replica has them too.
    pub(super) known: Versions,
    /// Whether the replica was reachable and within the maximum lag at the last poll.
    usable: AtomicBool,
    /// WAL positions of the primary in ascending order, each with the time when it was read. Those that the replica has
    /// replayed are removed.
    wal_samples: Mutex<VecDeque<(Instant, i64)>>,
}

impl Replica {
    /// Creates the replica, which is unusable until its lag is first recorded. `acquire_timeout` is that of the
    /// primary's pool; the replica's pool waits no longer than that.
    pub(super) fn new(
        settings: &ReplicaSettings,
        server: ServerState,
        pool: PgPoolOptions,
        acquire_timeout: Duration,
        options: PgConnectOptions,
        known: Versions,
        breakers: BreakerMetrics,
    ) -> Self {
        Self {
            pool: pool.acquire_timeout(acquire_timeout.min(ACQUIRE_TIMEOUT)).connect_lazy_with(options),
            server,
            max_lag: settings.max_lag,
            breaker: Breaker::new(BreakerName::Replica, breakers),
            known,
            usable: AtomicBool::new(false),
            wal_samples: Mutex::default(),
        }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Permit for a query; `None` if the primary must run it, because the replica is unusable or its breaker is open.
    pub(super) fn permit(&self) -> Option<Permit> {
        if self.usable.load(Ordering::Acquire) { self.breaker.permit() } else { None }
    }

    /// Counts a query that the primary ran because the replica could not.
    pub(super) fn count_fallback(&self, outcome: Fallback) {
        self.breaker.count_fallback(outcome);
    }

    /// Permit with which a poll reports to the breaker whether the replica is usable; `None` while the breaker is open.
    /// Granted also while the replica is unusable: no query gets a permit then, so only a poll can close the breaker.
    pub(super) fn poll_permit(&self) -> Option<Permit> {
        self.breaker.permit()
    }

    /// Stores the current WAL position of the primary.
    pub(super) fn add_sample(&self, position: i64) {
        self.wal_samples().push_back((Instant::now(), position));
    }

    /// Records the lag that a poll found, or the error for which it is unknown. Returns whether the replica is usable:
    /// only with a known lag of at most `max_lag`.
    pub(super) fn record_lag(&self, lag: Result<Duration, StoreError>) -> bool {
        let usable = lag.as_ref().is_ok_and(|lag| *lag <= self.max_lag);
        if self.usable.swap(usable, Ordering::AcqRel) != usable {
            let lag_seconds = lag.as_ref().ok().map(Duration::as_secs_f64);
            let error = lag.err();
            let cause = error.as_ref().and_then(Error::source).map(ToString::to_string);
            let error = error.map(|error| error.to_string());
            tracing::info!(usable, lag_seconds, error, cause, "read replica availability changed");
        }
        usable
    }

    /// The lag of the replica if it has replayed the WAL up to `position`: the age of the oldest stored position of the
    /// primary beyond that, or 0 without one. Comparing timestamps of transactions instead would show a growing lag
    /// while the primary is idle, and would depend on the clock of the primary. Positions that the replica has replayed
    /// are forgotten.
    pub(super) fn lag_at(&self, position: i64) -> Duration {
        let mut wal_samples = self.wal_samples();
        while wal_samples.len() > MAX_SAMPLES || wal_samples.front().is_some_and(|(_, sample)| *sample <= position) {
            wal_samples.pop_front();
        }
        wal_samples.front().map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    fn wal_samples(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, i64)>> {
        self.wal_samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
