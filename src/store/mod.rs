//! Every SQL statement, and the conversion of its rows to domain values.
//!
//! No decisions: `services` decides what to query and how to handle failures. Formulas are defined in the migrations
//! (SQL) and in `scoring` (Rust), never in a statement here.

mod attach;
mod columns;
mod error;
pub mod generate;
pub mod import;
pub mod import_imdb;
mod installation;
mod instrumented;
mod invalidation;
mod jobs;
mod lists;
mod metrics;
mod movies;
mod original;
mod profiles;
mod queue;
mod records;
mod refresh;
mod replica;
mod snapshot;
mod task;
mod transaction;
mod version_listener;

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use instrumented::InstrumentedExecutor;
use replica::Replica;

pub use attach::{Detached, Migrated, SchemaVariant};
pub use columns::{ColumnsSource, LiveScore, LoadedColumns, ScoreTable};
pub use error::{FailureKind, SchemaError, ScoreTableFault, SharedError, StatementLimits, StoreError};
pub use installation::{CatalogueOrigin, DataOrigin, Installation};
pub use jobs::{JOBS_SCHEMA, Job};
pub use lists::{ListDecade, ListName, ListSummary};
use metrics::StatementGuard;
pub use metrics::{ConnectionState, Pool, PoolStatus, StoreMetrics};
pub use movies::{
    Country, Credit, FestivalEntry, Genre, Membership, Metric, Movie, MovieKey, Person, PersonId, PersonQuality,
};
pub use original::{ORIGINAL_PREDICTIONS, original_validation};
pub use profiles::{Profile, ProfileChanges, ProfileDraft, ProfileId};
pub use queue::{Drained, QueueLength, RefreshRequest};
pub use refresh::{Batch, Changes, FullRefresh, ScoreBatch};
pub use replica::ReplicaSettings;
pub use snapshot::Snapshot;
pub use task::Task;
pub use version_listener::VersionsListener;

/// Names of all statements of requests, for metrics. Names of background tasks begin with `task_`; statements that only
/// poll the queue or jobs are grouped as other.
pub const QUERY_NAMES: &[&str] = &[
    "columns_from_table",
    "columns_from_view",
    "countries_of_movies",
    "credits_of_movies",
    "data_versions",
    "decades_with_movies",
    "festival_entries_of_movies",
    "genres_of_movies",
    "installation",
    "lists",
    "live_scores",
    "metrics_of_movies",
    "movie_id",
    "movies_by_id",
    "movies_by_title",
    "original_query",
    "people_by_id",
    "profiles",
    "qualities_of_people",
    "reference",
    "score_table",
    "snapshot",
    "snapshot_columns",
    "unhittable_movies",
    "task_person_quality",
    "task_scores",
    "task_snapshot",
];

/// How much longer than the server's statement timeout to wait: the server's error is more specific, if it still
/// responds.
const GRACE: Duration = Duration::from_millis(500);

/// URL parameters that name files.
const TLS_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// Requests' statements that take longer are logged.
const SLOW: Duration = Duration::from_millis(200);

/// Connection settings.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`; may hold a password, so it is never logged.
    pub url: String,
    /// Maximum number of connections.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// Time limits of statements.
    pub limits: StatementLimits,
    /// Maximum number of concurrent direct queries, which have a dedicated pool.
    pub direct_queries: u32,
}

/// The database: each method runs one named statement.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    direct: DirectQueryPool,
    replica: Option<Arc<Replica>>,
    metrics: StoreMetrics,
    limits: StatementLimits,
}

/// Dedicated pool of direct queries: few at a time, so that they take neither connections nor server capacity from
/// other statements.
#[derive(Debug, Clone)]
struct DirectQueryPool {
    pool: PgPool,
    permits: Arc<Semaphore>,
    /// How long to wait for a permit.
    acquire_timeout: Duration,
}

impl Store {
    /// Creates the pools; connections are opened on first use.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for an invalid URL, [`StoreError::TlsFile`] if a file that it names cannot be read.
    pub fn open(settings: &DatabaseSettings, metrics: StoreMetrics) -> Result<Self, StoreError> {
        let options = options(&settings.url)?;
        let pool = |connections, limit| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(settings.acquire_timeout)
                .connect_lazy_with(session(options.clone(), limit))
        };
        let direct = DirectQueryPool {
            pool: pool(settings.direct_queries, settings.limits.direct_query),
            permits: Arc::new(Semaphore::new(settings.direct_queries as usize)),
            acquire_timeout: settings.acquire_timeout,
        };
        let pool = pool(settings.max_connections, settings.limits.request);
        Ok(Self { pool, direct, replica: None, metrics, limits: settings.limits })
    }

    /// A store for the same database with a dedicated pool, so that its users take no connections from requests. Does
    /// not use the replica.
    #[must_use]
    pub fn with_dedicated_pool(&self, max_connections: u32, acquire_timeout: Duration) -> Self {
        let options = self.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(acquire_timeout);
        Self { pool: pool.connect_lazy_with(options), replica: None, ..self.clone() }
    }

    /// The pool, for callers with their own statements: imports, the generator, tests.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Reports the number of open and idle connections to the metrics.
    pub fn measure_pool(&self) {
        let measure = |name, pool: &PgPool| {
            let (idle, open) = (pool.num_idle(), pool.size() as usize);
            let max = pool.options().get_max_connections() as usize;
            self.metrics.connections(name, idle, open.saturating_sub(idle), max);
        };
        // Without the pool of direct queries: usually unused, it would make a full pool look half empty.
        measure(Pool::Primary, &self.pool);
        if let Some(replica) = &self.replica {
            measure(Pool::Replica, replica.pool());
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
        self.direct.pool.close().await;
        if let Some(replica) = &self.replica {
            replica.pool().close().await;
        }
    }

    /// Checks that the server responds.
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut statement = self.statement("ping").await?;
        let pong =
            sqlx::query!("SELECT 1 AS one").fetch_one(statement.connection()).with_deadline(self.limits.request).await;
        statement.done(pong.map(|_| ()))
    }

    /// Acquires a connection, within the pool's timeout, and starts to measure a statement.
    async fn statement(&self, name: &'static str) -> Result<Statement, StoreError> {
        let (connection, measured) = self.measured(name, self.pool.acquire()).await?;
        Ok(Statement { name, connection: PooledConnection::new(connection), measured })
    }

    /// As [`Store::statement`], for a direct query; acquires a permit first.
    async fn direct_query(&self, name: &'static str) -> Result<(Statement, OwnedSemaphorePermit), StoreError> {
        let acquire = Arc::clone(&self.direct.permits).acquire_owned();
        let permit = tokio::time::timeout(self.direct.acquire_timeout, acquire).await;
        let Ok(Ok(permit)) = permit else { return Err(StoreError::TooManyDirectQueries(name)) };
        let (connection, measured) = self.measured(name, self.direct.pool.acquire()).await?;
        Ok((Statement { name, connection: PooledConnection::new(connection), measured }, permit))
    }

    /// Measures the wait for a connection, and starts to measure the statement.
    async fn measured<C>(
        &self,
        name: &'static str,
        acquire: impl Future<Output = Result<C, sqlx::Error>>,
    ) -> Result<(C, StatementGuard), StoreError> {
        let wait = self.metrics.connection_wait(Pool::Primary);
        // Boxed because the future that opens a connection is large.
        match Box::pin(acquire).await {
            Ok(connection) => {
                wait.acquired();
                Ok((connection, start_measuring(&self.metrics, name, &self.pool)))
            }
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                start_measuring(&self.metrics, name, &self.pool).finish_err(FailureKind::Connection, None);
                Err(StoreError::of(name, error))
            }
        }
    }
}

/// Starts to measure a statement on the server of `pool`.
fn start_measuring(metrics: &StoreMetrics, name: &'static str, pool: &PgPool) -> StatementGuard {
    let (measured, server) = (metrics.statement(name), pool.connect_options());
    measured.sent_to(server.get_host(), server.get_port(), server.get_database());
    measured
}

/// Finishes the measurement of a failed statement.
fn record_error(measured: StatementGuard, error: &sqlx::Error) {
    let sqlstate = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    measured.finish_err(FailureKind::of(error), sqlstate.as_deref());
}

/// A running statement: its connection, and its measurement, which finishes on every code path.
struct Statement {
    name: &'static str,
    connection: PooledConnection,
    measured: StatementGuard,
}

/// A pooled connection. If its statement did not complete, it is closed instead of returned: the pool would wait for
/// the response without a limit.
struct PooledConnection {
    connection: PoolConnection<Postgres>,
    is_reusable: bool,
}

impl PooledConnection {
    fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, is_reusable: false }
    }

    /// Marks the connection as reusable unless its statement failed with an I/O error.
    fn return_to_pool<T>(&mut self, result: &Result<T, sqlx::Error>) {
        self.is_reusable = !matches!(result, Err(sqlx::Error::Io(_)));
    }
}

impl Deref for PooledConnection {
    type Target = PoolConnection<Postgres>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.is_reusable {
            self.connection.close_on_drop();
        }
    }
}

/// Deadline for statements, which also applies when the server stops responding.
trait WithDeadline: Future {
    /// Times out [`GRACE`] after the server's own limit.
    fn with_deadline<T>(self, limit: Duration) -> impl Future<Output = Result<T, sqlx::Error>>
    where
        Self: Future<Output = Result<T, sqlx::Error>> + Sized,
    {
        let timed_out = |_| Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no server response")));
        // Boxed because futures of statements are large and nested in many others.
        let limited = Box::pin(self);
        async move { tokio::time::timeout(limit + GRACE, limited).await.unwrap_or_else(timed_out) }
    }
}

impl<F: Future> WithDeadline for F {}

impl Statement {
    /// Executor for the statement.
    fn connection(&mut self) -> InstrumentedExecutor<'_> {
        InstrumentedExecutor { connection: &mut self.connection, measured: &self.measured }
    }

    /// The plain connection, for several statements.
    fn session(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Finishes a statement that returns rows.
    fn rows<T>(self, result: Result<Vec<T>, sqlx::Error>) -> Result<Vec<T>, StoreError> {
        self.end(result, Vec::len)
    }

    /// Finishes a statement that returns at most one row.
    fn row<T>(self, result: Result<Option<T>, sqlx::Error>) -> Result<Option<T>, StoreError> {
        self.end(result, |row| usize::from(row.is_some()))
    }

    /// Finishes a statement that returns no rows.
    fn done<T>(self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.end(result, |_| 0)
    }

    fn end<T>(mut self, result: Result<T, sqlx::Error>, rows: impl Fn(&T) -> usize) -> Result<T, StoreError> {
        self.connection.return_to_pool(&result);
        match result {
            Ok(value) => {
                let rows = rows(&value);
                let duration = self.measured.finish_ok(rows);
                if duration > SLOW && !self.name.starts_with("task_") {
                    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(query_name = self.name, duration_ms, rows, "slow statement");
                }
                Ok(value)
            }
            Err(error) => {
                record_error(self.measured, &error);
                Err(StoreError::of(self.name, error))
            }
        }
    }
}

/// Parses connection options. Checks files named in the URL now, because the error when connecting would not name a
/// missing file.
fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Unavailable(error.into()))?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(parameters).unwrap_or_default();
    for (parameter, path) in parameters {
        if TLS_FILES.contains(&parameter.as_str())
            && let Err(error) = fs::File::open(&path)
        {
            return Err(StoreError::TlsFile { parameter, path, source: error.into() });
        }
    }
    Ok(options)
}

/// Session settings of every connection.
fn session(options: PgConnectOptions, limit: Duration) -> PgConnectOptions {
    options.application_name("cinegraph").options([
        ("search_path", "cinegraph,public".to_owned()),
        ("statement_timeout", limit.as_millis().to_string()),
        ("timezone", "UTC".to_owned()),
        // JIT compilation of a plan costs more than any statement takes.
        ("jit", "off".to_owned()),
        // Allows sorting a decade's movies in memory.
        ("work_mem", "64MB".to_owned()),
    ])
}

/// Cinegraph's migrations, recorded in its own schema so that they never conflict with the host application's.
#[must_use]
pub fn migrator() -> sqlx::migrate::Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("cinegraph");
    migrator.dangerous_set_table_name("cinegraph._sqlx_migrations");
    migrator
}
