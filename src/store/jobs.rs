//! Jobs: pending, running and failed ones, and the last success of each task.
//!
//! The tables in `cinegraph_jobs` belong to the worker library, which migrates them and runs their jobs. They do not
//! exist when `sqlx` checks statements at compile time, so statements on them are plain queries.

use chrono::{DateTime, Utc};
use graphile_worker::{Database, WorkerOptions, WorkerUtils};

use super::connection::Connection;
use super::error::{SchemaError, StoreError};
use super::job_driver::JobDriver;
use super::pool::Store;
use super::query_name::QueryName;
use super::task::Task;
use super::transaction::BATCH_LIMIT;
use crate::telemetry::Label as _;

/// Schema of the job tables.
const JOBS_SCHEMA: &str = "cinegraph_jobs";

/// A running, pending or permanently failed job. Succeeded jobs are deleted.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Job {
    /// Job id.
    pub id: i64,
    /// Name of the task.
    pub task: String,
    /// Number of attempts so far.
    pub attempts: i16,
    /// Maximum number of attempts.
    pub max_attempts: i16,
    /// Scheduled time.
    pub run_at: DateTime<Utc>,
    /// When the current attempt started; `None` if the job is not running.
    pub running_since: Option<DateTime<Utc>>,
    /// Error of the last failed attempt; `None` before the first failure.
    pub last_error: Option<String>,
}

impl Store {
    /// Creates or migrates the job tables.
    pub(super) async fn migrate_jobs(&self) -> Result<(), StoreError> {
        let migrated = WorkerUtils::new(Database::new(JobDriver(self.clone())), JOBS_SCHEMA).migrate().await;
        migrated.map_err(|error| SchemaError::Jobs(error.to_string()).into())
    }

    /// Options of a worker that takes its jobs from this database.
    #[must_use]
    pub fn worker_options(&self) -> WorkerOptions {
        WorkerOptions::default().schema(JOBS_SCHEMA).database(Database::new(JobDriver(self.clone())))
    }

    /// Enqueues a task to run as soon as possible. Repeated requests before it starts result in one run.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn request_task(&self, task: Task) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskStatus, BATCH_LIMIT, async |connection| {
            request(connection, task, "0 seconds").await
        })
        .await
    }

    /// All jobs: running, then pending, then permanently failed ones; within each group, sorted by scheduled time.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let jobs = sqlx::query_as::<_, Job>(include_str!("sql/jobs.sql")).fetch_all(statement.connection()).await;
        statement.rows(jobs)
    }

    /// Reschedules the permanently failed job `job`, or all such jobs for `None`, to run immediately, with all their
    /// attempts left. Returns their ids: none if `job` has not failed or does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn retry_jobs(&self, job: Option<i64>) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let jobs = sqlx::query_scalar(include_str!("sql/retry_jobs.sql")).bind(job).fetch_all(statement.connection());
        let jobs = jobs.await;
        statement.rows(jobs)
    }

    /// Last success of each task on any instance. Omits tasks that never succeeded, and those of other versions, whose
    /// names this version does not know.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn task_successes(&self) -> Result<Vec<(Task, DateTime<Utc>)>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let rows = sqlx::query!("SELECT name, last_success_at FROM cinegraph.tasks ORDER BY name")
            .fetch_all(statement.connection())
            .await;
        let task = |name: &str| Task::ALL.iter().copied().find(|task| task.as_str() == name);
        Ok(statement.rows(rows)?.into_iter().filter_map(|row| Some((task(&row.name)?, row.last_success_at))).collect())
    }

    /// Records that a task has just succeeded.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn record_success(&self, task: Task) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let recorded = sqlx::query!(
            "INSERT INTO cinegraph.tasks (name, last_success_at) VALUES ($1, now())
             ON CONFLICT (name) DO UPDATE SET last_success_at = excluded.last_success_at",
            task.as_str()
        )
        .execute(statement.connection())
        .await;
        statement.finish(recorded.map(|_| ()))
    }
}

/// Enqueues a task to run after a delay, given as a PostgreSQL interval.
pub(super) async fn request(connection: &mut Connection, task: Task, after: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT cinegraph.request_task($1, $2::text::interval)", task.as_str(), after)
        .execute(connection)
        .await
        .map(|_| ())
}
