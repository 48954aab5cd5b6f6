//! Every SQL statement, and what turns its rows into values of the domain.
//!
//! No decisions: what to ask, and what to do when an answer is missing, is said in `services`. Formulas live in the
//! migrations (in SQL) and in `scoring` (in Rust), never in a statement here.

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
mod movies;
mod original;
mod profiles;
mod queue;
mod records;
mod refresh;
mod replica;
mod snapshot;
mod transaction;
mod version_listener;

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use crate::telemetry::{DbError, Metrics, Pool, StatementGuard};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use instrumented::InstrumentedExecutor;
use replica::Replica;

pub use attach::{Detached, Migrated, SchemaVariant};
pub use columns::{ColumnsSource, LiveScore, LoadedColumns, ScoreTable};
pub use error::{SchemaError, ScoreTableFault, SharedError, StatementLimits, StoreError};
pub use installation::{CatalogueOrigin, DataOrigin, Installation};
pub use jobs::{JOBS_SCHEMA, Job};
pub use lists::{ListDecade, ListName, ListSummary};
pub use movies::{
    Country, Credit, FestivalEntry, Genre, Membership, Metric, Movie, MovieKey, Person, PersonId, PersonQuality,
};
pub use original::{ORIGINAL_PREDICTIONS, original_validation};
pub use profiles::{Profile, ProfileChanges, ProfileDraft, ProfileId};
pub use queue::{Drained, QueueLength, RefreshRequest};
pub use refresh::{Batch, Changes, FullRefresh, ScoreBatch};
pub use replica::ReplicaSettings;
pub use snapshot::Snapshot;
pub use version_listener::VersionsListener;

/// The names of all statements that requests run, for metrics. Tasks' begin with `task_`; those that only look at the
/// queue or at jobs are not worth a name of their own.
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

/// How much longer than the server's own time limit we wait: it says better what went wrong, if it still says anything.
const GRACE: Duration = Duration::from_millis(500);

/// The parameters of a URL that name files.
const TLS_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// A statement of a request that takes longer is logged.
const SLOW: Duration = Duration::from_millis(200);

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`; may hold a password, so it is never logged.
    pub url: String,
    /// Connections at most.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long statements may take.
    pub limits: StatementLimits,
    /// How many direct queries may run at a time, by connections of their own.
    pub direct_queries: u32,
}

/// The database, as the rest of the house sees it: methods that each run one named statement.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    direct: DirectQueryPool,
    replica: Option<Arc<Replica>>,
    metrics: Metrics,
    limits: StatementLimits,
}

/// What runs direct queries: few at a time, so that they take neither connections nor the server from others.
#[derive(Debug, Clone)]
struct DirectQueryPool {
    pool: PgPool,
    turns: Arc<Semaphore>,
    /// How long to wait for a turn.
    patience: Duration,
}

impl Store {
    /// Opens a pool; connects when the first statement asks for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the URL is none, [`StoreError::TlsFile`] when it names a file that is not there.
    pub fn open(settings: &DatabaseSettings, metrics: Metrics) -> Result<Self, StoreError> {
        let options = options(&settings.url)?;
        let pool = |connections, limit| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(settings.acquire_timeout)
                .connect_lazy_with(session(options.clone(), limit))
        };
        let direct = DirectQueryPool {
            pool: pool(settings.direct_queries, settings.limits.direct_query),
            turns: Arc::new(Semaphore::new(settings.direct_queries as usize)),
            patience: settings.acquire_timeout,
        };
        let pool = pool(settings.max_connections, settings.limits.request);
        Ok(Self { pool, direct, replica: None, metrics, limits: settings.limits })
    }

    /// The same database by connections of its own, so that who uses this store takes none from others. It knows of no
    /// replica.
    #[must_use]
    pub fn with_dedicated_pool(&self, max_connections: u32, acquire_timeout: Duration) -> Self {
        let options = self.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(acquire_timeout);
        Self { pool: pool.connect_lazy_with(options), replica: None, ..self.clone() }
    }

    /// The pool, for what brings its own statements: imports, the generator, tests.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Tells the metrics how many connections are open and idle.
    pub fn measure_pool(&self) {
        let measure = |name, pool: &PgPool| {
            let (idle, open) = (pool.num_idle(), pool.size() as usize);
            let max = pool.options().get_max_connections() as usize;
            self.metrics.connections(name, idle, open.saturating_sub(idle), max);
        };
        // Without the connections of the direct query: while nobody needs that, a full pool would look half empty.
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

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// [`StoreError`] when it is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut statement = self.statement("ping").await?;
        let answer =
            sqlx::query!("SELECT 1 AS one").fetch_one(statement.connection()).with_deadline(self.limits.request).await;
        statement.done(answer.map(|_| ()))
    }

    /// Takes a connection, waiting for it as long as the pool allows, and starts the clock of a statement.
    async fn statement(&self, name: &'static str) -> Result<Statement, StoreError> {
        let (connection, measured) = self.measured(name, self.pool.acquire()).await?;
        Ok(Statement { name, connection: PooledConnection::new(connection), measured })
    }

    /// The same for a direct query, waiting for its turn first.
    async fn direct_query(&self, name: &'static str) -> Result<(Statement, OwnedSemaphorePermit), StoreError> {
        let turn = tokio::time::timeout(self.direct.patience, Arc::clone(&self.direct.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(StoreError::TooManyDirectQueries(name)) };
        let (connection, measured) = self.measured(name, self.direct.pool.acquire()).await?;
        Ok((Statement { name, connection: PooledConnection::new(connection), measured }, turn))
    }

    /// Measures the wait for a connection, and starts to measure what is done with it.
    async fn measured<C>(
        &self,
        name: &'static str,
        acquire: impl Future<Output = Result<C, sqlx::Error>>,
    ) -> Result<(C, StatementGuard), StoreError> {
        let wait = self.metrics.connection_wait(Pool::Primary);
        // On the heap: making a connection takes a large future.
        match Box::pin(acquire).await {
            Ok(connection) => {
                wait.acquired();
                Ok((connection, start_measuring(&self.metrics, name, &self.pool)))
            }
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                start_measuring(&self.metrics, name, &self.pool).finish_err(DbError::Connection, None);
                Err(StoreError::of(name, error))
            }
        }
    }
}

/// Starts to measure a statement that goes to the server of `pool`.
fn start_measuring(metrics: &Metrics, name: &'static str, pool: &PgPool) -> StatementGuard {
    let (measured, server) = (metrics.statement(name), pool.connect_options());
    measured.sent_to(server.get_host(), server.get_port(), server.get_database());
    measured
}

/// Ends the measurement of a statement that failed.
fn record_error(measured: StatementGuard, error: &sqlx::Error) {
    let sqlstate = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    measured.finish_err(error::FailureKind::of(error).into(), sqlstate.as_deref());
}

/// One statement being run: its connection, and its measurement, which ends with it on every way out.
struct Statement {
    name: &'static str,
    connection: PooledConnection,
    measured: StatementGuard,
}

/// A connection of a pool. One that was left in the middle of a statement is closed, not given back: the pool would wait
/// for its answer without limit.
struct PooledConnection {
    connection: PoolConnection<Postgres>,
    sound: bool,
}

impl PooledConnection {
    fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, sound: false }
    }

    /// Takes note of how its statement ended.
    fn return_to_pool<T>(&mut self, result: &Result<T, sqlx::Error>) {
        self.sound = !matches!(result, Err(sqlx::Error::Io(_)));
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
        if !self.sound {
            self.connection.close_on_drop();
        }
    }
}

/// A limit that also ends what waits for a server that says nothing any more.
trait WithDeadline: Future {
    /// At most a little longer than the server's own limit for the statement.
    fn with_deadline<T>(self, limit: Duration) -> impl Future<Output = Result<T, sqlx::Error>>
    where
        Self: Future<Output = Result<T, sqlx::Error>> + Sized,
    {
        let silent = |_| Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server says nothing")));
        // On the heap: futures of statements are large, and lie within many others.
        let limited = Box::pin(self);
        async move { tokio::time::timeout(limit + GRACE, limited).await.unwrap_or_else(silent) }
    }
}

impl<F: Future> WithDeadline for F {}

impl Statement {
    /// Where it is sent.
    fn connection(&mut self) -> InstrumentedExecutor<'_> {
        InstrumentedExecutor { connection: &mut self.connection, measured: &self.measured }
    }

    /// The connection, for what takes more than one statement.
    fn session(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Ends a statement that returns rows.
    fn rows<T>(self, result: Result<Vec<T>, sqlx::Error>) -> Result<Vec<T>, StoreError> {
        self.end(result, Vec::len)
    }

    /// Ends a statement that returns one row or none.
    fn row<T>(self, result: Result<Option<T>, sqlx::Error>) -> Result<Option<T>, StoreError> {
        self.end(result, |row| usize::from(row.is_some()))
    }

    /// Ends a statement that returns nothing.
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

impl From<error::FailureKind> for DbError {
    fn from(kind: error::FailureKind) -> Self {
        match kind {
            error::FailureKind::Connection => Self::Connection,
            error::FailureKind::Timeout => Self::Timeout,
            error::FailureKind::Serialization => Self::Serialization,
            error::FailureKind::Constraint => Self::Constraint,
            error::FailureKind::Other => Self::Other,
        }
    }
}

/// How to connect to the database at `url`. Files that it names are looked at now: when a connection is made, a missing one
/// is an error that does not say which.
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

/// What every connection of ours is set to.
fn session(options: PgConnectOptions, limit: Duration) -> PgConnectOptions {
    options.application_name("cinegraph").options([
        ("search_path", "cinegraph,public".to_owned()),
        ("statement_timeout", limit.as_millis().to_string()),
        ("timezone", "UTC".to_owned()),
        // Compiling a plan costs more than any statement of ours takes.
        ("jit", "off".to_owned()),
        // A decade's films are sorted in memory.
        ("work_mem", "64MB".to_owned()),
    ])
}

/// Our migrations, recorded in our own schema so that they never meet the host application's.
#[must_use]
pub fn migrator() -> sqlx::migrate::Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("cinegraph");
    migrator.dangerous_set_table_name("cinegraph._sqlx_migrations");
    migrator
}
