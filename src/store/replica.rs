//! The read replica: its pool, its lag, and whether it is usable.

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

/// Acquire timeout of the replica's pool; short, because the primary can run the query instead.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);

/// Maximum number of WAL positions, one per second; a replica that lags further behind exceeds any useful limit.
const MAX_SAMPLES: usize = 3_600;

/// Connection and maximum lag of the replica.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    /// `postgres://…`; may hold a password, so it is never logged.
    pub url: String,
    /// Maximum lag for running queries on the replica.
    pub max_lag: Duration,
}

#[derive(Debug)]
pub(super) struct Replica {
    pool: PgPool,
    pub(super) server: ServerState,
    max_lag: Duration,
    breaker: Breaker,
    /// Versions that a result must include.
    pub(super) known: Versions,
    /// Whether the replica was reachable and within the maximum lag at the last poll.
    usable: AtomicBool,
    /// WAL positions of the primary that the replica has not replayed yet, with the time of their sampling.
    wal_samples: Mutex<VecDeque<(Instant, i64)>>,
}

impl Replica {
    /// Creates the replica, unusable until its lag is first recorded. A request waits for a connection of its pool at
    /// most as long as for one of the primary's.
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

    /// Permit for a query; `None` if the primary must run it.
    pub(super) fn permit(&self) -> Option<Permit> {
        if self.usable.load(Ordering::Acquire) { self.breaker.permit() } else { None }
    }

    /// Counts a query that the primary ran because the replica could not.
    pub(super) fn count_fallback(&self, outcome: Fallback) {
        self.breaker.count_fallback(outcome);
    }

    /// Permit for polling the replica, which is needed to find it usable again.
    pub(super) fn poll_permit(&self) -> Option<Permit> {
        self.breaker.permit()
    }

    /// Records the current WAL position of the primary.
    pub(super) fn add_sample(&self, position: i64) {
        self.wal_samples().push_back((Instant::now(), position));
    }

    /// Records the lag found by a poll, or why it is unknown. Returns whether the replica is usable.
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

    /// Age of the oldest primary position beyond `position`. An idle primary thus causes no lag, and only the local
    /// clock is used.
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
