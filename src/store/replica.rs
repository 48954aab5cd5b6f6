//! The read replica: who may be asked there, and when.
//!
//! An answer of the replica counts when it shows every change that we know of; all else is asked at the primary.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::{PgPool, PgPoolOptions};

use super::instrumented::InstrumentedExecutor;
use super::version_listener::versions_of;
use super::{
    DatabaseSettings, PooledConnection, Store, StoreError, WithDeadline, options, record_error, session,
    start_measuring,
};
use crate::breaker::{Breaker, BreakerSettings, Permit};
use crate::scoring::Decade;
use crate::telemetry::{BreakerName, DbError, Fallback, Pool};
use crate::versions::Versions;

/// Longer than a look at a server that is well takes.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// How long to wait for a connection when there is somebody else to ask.
const PATIENCE: Duration = Duration::from_millis(500);

/// Positions of the primary that are remembered, one a second; a replica that is further behind is far too far.
const MARKS: usize = 3_600;

/// Where the replica is, and how far it may be behind.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    /// `postgres://…`; may hold a password, so it is never logged.
    pub url: String,
    /// A replica that is further behind is not asked.
    pub max_lag: Duration,
    /// When it is left alone after failures.
    pub breaker: BreakerSettings,
}

#[derive(Debug)]
pub(super) struct Replica {
    pool: PgPool,
    max_lag: Duration,
    breaker: Breaker,
    /// What it must show.
    known: Versions,
    /// Whether it was there and near enough when it was last looked at.
    usable: AtomicBool,
    /// Positions in the primary's log that it has not reached yet, and since when they are.
    wal_samples: Mutex<VecDeque<(Instant, i64)>>,
}

/// A question that only reads, so that any server that shows the data may answer it.
pub(super) trait ReplicaQuery: Sync {
    type Answer: Send;

    /// The name of its statement.
    const NAME: &'static str;

    /// What it is about.
    fn decade(&self) -> Decade;

    fn run(
        &self,
        connection: InstrumentedExecutor<'_>,
    ) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;

    /// How many rows an answer has.
    fn rows(answer: &Self::Answer) -> usize;
}

impl Store {
    /// The same store, reading rankings and validations from a replica that shows all that `known` holds. Somebody must
    /// call [`poll_replica_lag`](Self::poll_replica_lag) every second.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the URL is none, [`StoreError::TlsFile`] when it names a file that is not there.
    pub fn with_replica(
        self,
        replica: &ReplicaSettings,
        primary: &DatabaseSettings,
        known: Versions,
    ) -> Result<Self, StoreError> {
        let options = options(&replica.url)?;
        let pool = PgPoolOptions::new()
            .max_connections(primary.max_connections)
            .acquire_timeout(primary.acquire_timeout.min(PATIENCE))
            .connect_lazy_with(session(options, primary.limits.request));
        let replica = Replica {
            pool,
            max_lag: replica.max_lag,
            breaker: Breaker::new(BreakerName::Replica, replica.breaker, self.metrics.clone()),
            known,
            usable: AtomicBool::new(false),
            wal_samples: Mutex::default(),
        };
        Ok(Self { replica: Some(replica.into()), ..self })
    }

    /// Looks how far the replica is behind; to be called every second.
    pub async fn poll_replica_lag(&self) {
        let Some(replica) = &self.replica else { return };
        // A primary that does not answer writes nothing that the replica could lack.
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
            tracing::info!(usable, lag_seconds, error, "the read replica is used, or no longer is");
        }
        match permit {
            Some(permit) if usable => permit.succeeded(),
            Some(permit) => permit.failed(),
            None => {}
        }
    }

    /// Asks the replica where that may answer, else the primary.
    pub(super) async fn read<Q: ReplicaQuery>(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let Some(replica) = &self.replica else { return self.read_primary(&question).await };
        if let Some(permit) = replica.permit() {
            match self.read_replica(replica, &question).await {
                Ok(shown) => {
                    permit.succeeded();
                    if let Some(value) = shown {
                        return Ok(value);
                    }
                }
                Err(error) => {
                    permit.failed();
                    tracing::warn!(%error, query_name = Q::NAME, "the read replica failed; asking the primary");
                }
            }
        }
        let value = self.read_primary(&question).await;
        let outcome = if value.is_ok() { Fallback::Ok } else { Fallback::Error };
        self.metrics.fell_back(BreakerName::Replica, outcome);
        value
    }

    async fn read_primary<Q: ReplicaQuery>(&self, question: &Q) -> Result<Q::Answer, StoreError> {
        let mut statement = self.statement(Q::NAME).await?;
        let answer = question.run(statement.connection()).with_deadline(self.limits.request).await;
        statement.end(answer, Q::rows)
    }

    /// Nothing where the replica lacks a change that we know of.
    async fn read_replica<Q: ReplicaQuery>(
        &self,
        replica: &Replica,
        question: &Q,
    ) -> Result<Option<Q::Answer>, StoreError> {
        let wait = self.metrics.connection_wait(Pool::Replica);
        let mut connection = match Box::pin(replica.pool.acquire()).await {
            Ok(connection) => PooledConnection::new(connection),
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                start_measuring(&self.metrics, Q::NAME, &replica.pool).finish_err(DbError::Connection, None);
                return Err(StoreError::of(Q::NAME, error));
            }
        };
        wait.acquired();
        let measured = start_measuring(&self.metrics, Q::NAME, &replica.pool);
        let read = async {
            // One state of the database, so that the versions are those of the very rows.
            let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let shown = versions_of(&mut *snapshot).await?;
            let shows_all = replica.known.covers(&shown, question.decade());
            let answer = if shows_all {
                Some(question.run(InstrumentedExecutor { connection: &mut snapshot, measured: &measured }).await?)
            } else {
                None
            };
            snapshot.commit().await?;
            Ok(answer)
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

    /// How much the primary has written to its log.
    async fn log_position(&self) -> Result<i64, StoreError> {
        let mut statement = self.statement("replica_lag").await?;
        let position =
            sqlx::query_scalar!(r#"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS "position!""#)
                .fetch_one(statement.connection())
                .with_deadline(LOOK_LIMIT)
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

    /// How much of the primary's log it has replayed.
    async fn replayed(&self) -> Result<i64, StoreError> {
        let name = "replica_lag";
        let connection = self.pool.acquire().with_deadline(LOOK_LIMIT).await;
        let mut connection = PooledConnection::new(connection.map_err(|error| StoreError::of(name, error))?);
        // It has no value where it is no replica, or no longer.
        let position = sqlx::query_scalar!(
            r#"SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END"#
        )
        .fetch_one(&mut **connection)
        .with_deadline(LOOK_LIMIT)
        .await;
        connection.return_to_pool(&position);
        position.map_err(|error| StoreError::of(name, error))?.ok_or(StoreError::NoReplica)
    }

    /// How long ago the primary wrote the oldest of what this position lacks. So an idle primary makes nobody late, and
    /// no clock of another machine is asked.
    fn lag_at(&self, position: i64) -> Duration {
        let mut wal_samples = self.wal_samples();
        while wal_samples.len() > MARKS || wal_samples.front().is_some_and(|(_, mark)| *mark <= position) {
            wal_samples.pop_front();
        }
        wal_samples.front().map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    fn wal_samples(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, i64)>> {
        self.wal_samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
