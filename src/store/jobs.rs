//! Jobs: what was asked for, what failed, and when each task last succeeded.
//!
//! The tables in `cinegraph_jobs` are the worker library's; it migrates them, and only it runs what is in them.

use chrono::{DateTime, Utc};
use graphile_worker::WorkerUtils;
use sqlx::PgConnection;

use super::{SchemaError, Store, StoreError, WithDeadline};
use crate::telemetry::{Label as _, Task};

/// Where jobs are kept.
pub const JOBS_SCHEMA: &str = "cinegraph_jobs";

/// One job that runs, waits or has failed for good. A job that succeeded is gone.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Which task it runs.
    pub task: String,
    /// How often it was begun.
    pub attempts: i16,
    /// How often it may be.
    pub max_attempts: i16,
    /// When it is due.
    pub run_at: DateTime<Utc>,
    /// Since when it runs, where it does.
    pub running_since: Option<DateTime<Utc>>,
    /// How its last attempt failed.
    pub last_error: Option<String>,
}

impl Store {
    /// Makes the tables of jobs, or brings them up to date.
    pub(super) async fn migrate_jobs(&self) -> Result<(), StoreError> {
        let migrated = WorkerUtils::new(self.pool.clone(), JOBS_SCHEMA).migrate().await;
        migrated.map_err(|error| SchemaError::Jobs(error.to_string()).into())
    }

    /// Asks for a run of a task as soon as somebody can; asked for twice before it begins, it runs once.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn request_task(&self, task: Task) -> Result<(), StoreError> {
        self.task("task_jobs", async |connection| request(connection, task, "0 seconds").await).await
    }

    /// All jobs: running ones first, then those that wait, then those that failed for good, each by when they are due.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let mut statement = self.statement("task_jobs").await?;
        let jobs = sqlx::query_as::<_, Job>(include_str!("sql/jobs.sql"))
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        statement.rows(jobs)
    }

    /// Lets jobs that failed for good run again, at once: this one, or all. Says which they are.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn retry_jobs(&self, job: Option<i64>) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.statement("task_jobs").await?;
        let jobs = sqlx::query_scalar(include_str!("sql/retry_jobs.sql")).bind(job).fetch_all(statement.connection());
        let jobs = jobs.await;
        statement.rows(jobs)
    }

    /// When each task last succeeded, on any instance; one that never did is left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn task_successes(&self) -> Result<Vec<(Task, DateTime<Utc>)>, StoreError> {
        let mut statement = self.statement("task_jobs").await?;
        let rows = sqlx::query!("SELECT name, last_success_at FROM cinegraph.tasks ORDER BY name")
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        let task = |name: &str| Task::ALL.iter().copied().find(|task| task.as_str() == name);
        Ok(statement.rows(rows)?.into_iter().filter_map(|row| Some((task(&row.name)?, row.last_success_at))).collect())
    }

    /// Notes that a task has succeeded just now.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn note_success(&self, task: Task) -> Result<(), StoreError> {
        let mut statement = self.statement("task_jobs").await?;
        let noted = sqlx::query!(
            "INSERT INTO cinegraph.tasks (name, last_success_at) VALUES ($1, now())
             ON CONFLICT (name) DO UPDATE SET last_success_at = excluded.last_success_at",
            task.as_str()
        )
        .execute(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        statement.done(noted.map(|_| ()))
    }
}

/// Asks for a run of a task after a while, as a PostgreSQL interval.
pub(super) async fn request(connection: &mut PgConnection, task: Task, after: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT cinegraph.request_task($1, $2::text::interval)", task.as_str(), after)
        .execute(connection)
        .await
        .map(|_| ())
}
