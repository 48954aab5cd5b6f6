//! The read replica, and when queries run on it.
//!
//! A replica's result is used if it includes every change that this instance knows of; otherwise the primary runs the
//! query.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::{PgPool, PgPoolOptions};

use super::error::FailureKind;
use super::instrumented::InstrumentedExecutor;
use super::metrics::Pool;
use super::version_listener::versions_of;
use super::{
    DatabaseSettings, PooledConnection, Store, StoreError, WithDeadline, options, record_error, session,
    start_measuring,
};
use crate::breaker::{Breaker, BreakerMetrics, BreakerName, Fallback, Permit};
use crate::scoring::Decade;
use crate::versions::Versions;

/// Time limit of polling a server.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

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
    max_lag: Duration,
    breaker: Breaker,
    /// Versions that a result must include.
    known: Versions,
    /// Whether the replica was reachable and within the maximum lag at the last poll.
    usable: AtomicBool,
    /// WAL positions of the primary that the replica has not replayed yet, with the time of their sampling.
    wal_samples: Mutex<VecDeque<(Instant, i64)>>,
}

/// A read-only query that any sufficiently current server can run.
pub(super) trait ReplicaQuery: Sync {
    type Output: Send;

    /// Name of the statement.
    const NAME: &'static str;

    /// Decade of the query.
    fn decade(&self) -> Decade;

    fn run(
        &self,
        connection: InstrumentedExecutor<'_>,
    ) -> impl Future<Output = Result<Self::Output, sqlx::Error>> + Send;

    /// Number of rows of a result.
    fn rows(output: &Self::Output) -> usize;
}

impl Store {
    /// The same store, with rankings and validations read from a replica that includes all versions in `known`. The
    /// caller runs [`poll_replica_lag`](Self::poll_replica_lag) every second.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for an invalid URL, [`StoreError::TlsFile`] if a file that it names cannot be read.
    pub fn with_replica(
        self,
        replica: &ReplicaSettings,
        primary: &DatabaseSettings,
        known: Versions,
        breakers: BreakerMetrics,
    ) -> Result<Self, StoreError> {
        let options = options(&replica.url)?;
        let pool = PgPoolOptions::new()
            .max_connections(primary.max_connections)
            .acquire_timeout(primary.acquire_timeout.min(ACQUIRE_TIMEOUT))
            .connect_lazy_with(session(options, primary.limits.request));
        let replica = Replica {
            pool,
            max_lag: replica.max_lag,
            breaker: Breaker::new(BreakerName::Replica, breakers),
            known,
            usable: AtomicBool::new(false),
            wal_samples: Mutex::default(),
        };
        Ok(Self { replica: Some(replica.into()), ..self })
    }

    /// Polls the replica's lag; must run every second.
    pub async fn poll_replica_lag(&self) {
        let Some(replica) = &self.replica else { return };
        // If the primary is unavailable, it writes nothing that the replica could lack.
        if let Ok(position) = self.log_position().await {
            replica.wal_samples().push_back((Instant::now(), position));
        }
        let permit = replica.breaker.permit();
        let lag = replica.replayed().await.map(|position| replica.lag_at(position));
        let usable = lag.as_ref().is_ok_and(|lag| *lag <= replica.max_lag);
        if let Ok(lag) = lag {
            self.metrics.replica_lag(lag);
        }
        if replica.usable.swap(usable, Ordering::AcqRel) != usable {
            let lag_seconds = lag.as_ref().map_or(0.0, Duration::as_secs_f64);
            let error = lag.err().map(|error| error.to_string());
            tracing::info!(usable, lag_seconds, error, "read replica availability changed");
        }
        match permit {
            Some(permit) if usable => permit.succeeded(),
            Some(permit) => permit.failed(),
            None => {}
        }
    }

    /// Runs a query on the replica if it is usable, otherwise on the primary.
    pub(super) async fn read<Q: ReplicaQuery>(&self, query: Q) -> Result<Q::Output, StoreError> {
        let Some(replica) = &self.replica else { return self.read_primary(&query).await };
        if let Some(permit) = replica.permit() {
            match self.read_replica(replica, &query).await {
                Ok(included) => {
                    permit.succeeded();
                    if let Some(value) = included {
                        return Ok(value);
                    }
                }
                Err(error) => {
                    permit.failed();
                    tracing::warn!(%error, query_name = Q::NAME, "read replica failed; falling back to the primary");
                }
            }
        }
        let value = self.read_primary(&query).await;
        let outcome = if value.is_ok() { Fallback::Ok } else { Fallback::Error };
        replica.breaker.count_fallback(outcome);
        value
    }

    async fn read_primary<Q: ReplicaQuery>(&self, query: &Q) -> Result<Q::Output, StoreError> {
        let mut statement = self.statement(Q::NAME).await?;
        let output = query.run(statement.connection()).with_deadline(self.limits.request).await;
        statement.end(output, Q::rows)
    }

    /// `None` if the replica lacks a known change.
    async fn read_replica<Q: ReplicaQuery>(
        &self,
        replica: &Replica,
        query: &Q,
    ) -> Result<Option<Q::Output>, StoreError> {
        let wait = self.metrics.connection_wait(Pool::Replica);
        let mut connection = match Box::pin(replica.pool.acquire()).await {
            Ok(connection) => PooledConnection::new(connection),
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                start_measuring(&self.metrics, Q::NAME, &replica.pool).finish_err(FailureKind::Connection, None);
                return Err(StoreError::of(Q::NAME, error));
            }
        };
        wait.acquired();
        let measured = start_measuring(&self.metrics, Q::NAME, &replica.pool);
        let read = async {
            // One transaction snapshot, so that the versions match the rows.
            let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let included = versions_of(&mut *snapshot).await?;
            let is_current = replica.known.covers(&included, query.decade());
            let output = if is_current {
                Some(query.run(InstrumentedExecutor { connection: &mut snapshot, measured: &measured }).await?)
            } else {
                None
            };
            snapshot.commit().await?;
            Ok(output)
        };
        let read = read.with_deadline(self.limits.request).await;
        connection.return_to_pool(&read);
        match read {
            Ok(value) => {
                let _ = measured.finish_ok(value.as_ref().map_or(0, Q::rows));
                Ok(value)
            }
            Err(error) => {
                record_error(measured, &error);
                Err(StoreError::of(Q::NAME, error))
            }
        }
    }

    /// Current WAL position of the primary, in bytes.
    async fn log_position(&self) -> Result<i64, StoreError> {
        let mut statement = self.statement("replica_lag").await?;
        let position =
            sqlx::query_scalar!(r#"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS "position!""#)
                .fetch_one(statement.connection())
                .with_deadline(POLL_TIMEOUT)
                .await;
        statement.done(position)
    }
}

impl Replica {
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    fn permit(&self) -> Option<Permit> {
        if self.usable.load(Ordering::Acquire) { self.breaker.permit() } else { None }
    }

    /// WAL position that the replica has replayed, in bytes.
    async fn replayed(&self) -> Result<i64, StoreError> {
        let name = "replica_lag";
        let connection = self.pool.acquire().with_deadline(POLL_TIMEOUT).await;
        let mut connection = PooledConnection::new(connection.map_err(|error| StoreError::of(name, error))?);
        // NULL if the server is not a replica, or was promoted.
        let position = sqlx::query_scalar!(
            r#"SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END"#
        )
        .fetch_one(&mut **connection)
        .with_deadline(POLL_TIMEOUT)
        .await;
        connection.return_to_pool(&position);
        position.map_err(|error| StoreError::of(name, error))?.ok_or(StoreError::NoReplica)
    }

    /// Age of the oldest primary position beyond `position`. An idle primary thus causes no lag, and only the local
    /// clock is used.
    fn lag_at(&self, position: i64) -> Duration {
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
