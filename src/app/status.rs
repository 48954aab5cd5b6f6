//! The status of a service: of its data, read from the database, and of this instance, read from its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Metrics;
use crate::breaker::BreakerName;
use crate::cache::{CacheName, CacheStatus};
use crate::http::Probe;
use crate::services::ServiceError;
use crate::services::status::{StatusReport, TargetList};
use crate::store::{Job, MetricSource, Pool, PoolStatus, QueryName, Store};
use crate::telemetry::Label;
use crate::versions::Identity;

/// How long `/status` waits for the database. A choice, short because the status of the instance, which needs no
/// database, is most useful when the database is slow. `cinegraph status` waits 2 s for the response, so the limit must
/// be lower.
const DATA_TIMEOUT: Duration = Duration::from_secs(1);

/// What `/status` returns.
#[derive(Debug, Serialize)]
struct Status {
    /// Status of the data; `None` if the database is unavailable.
    #[serde(flatten)]
    data: Option<DataStatus>,
    /// Why the database could not be read; `None` if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_error: Option<String>,
    /// Status of this instance.
    instance: InstanceStatus,
}

/// Status of the data and of background work.
#[derive(Debug, Serialize)]
pub struct DataStatus {
    /// The identity of the database. Values that were cached from a database of another identity are not served.
    pub database_identity: IdentityStatus,
    /// Movies with stored scores.
    pub scored_films: usize,
    /// When the newest stored score was computed; `None` if no score is stored.
    pub scored_at: Option<DateTime<Utc>>,
    /// When the validation snapshot was taken; `None` if there is none.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// Lists with blind scores in the snapshot.
    pub target_lists: Vec<String>,
    /// The target lists as they are chosen, with their states.
    pub targets: Vec<TargetStatus>,
    /// Sources of metrics as of the snapshot.
    pub metric_sources: Vec<SourceStatus>,
    /// Criteria that are left out of all weights for lack of data.
    pub criteria_without_data: Vec<String>,
    /// Which index searches use: `trigrams`, which also finds parts of words and words with a typing error, or `words`
    /// where the database lacks the extension `pg_trgm`.
    pub search_index: &'static str,
    /// Movies that wait for new scores.
    pub queue: QueueStatus,
    /// Time of the last success of each task.
    pub last_success: BTreeMap<&'static str, DateTime<Utc>>,
    /// Jobs that run, wait or have failed.
    pub jobs: Vec<JobStatus>,
}

/// The identity of a database.
#[derive(Debug, Serialize)]
pub struct IdentityStatus {
    /// Hash of the whole identity. Keys in Redis end with it.
    pub epoch: String,
    /// Random value of Cinegraph's schema.
    pub schema: String,
    /// PostgreSQL's system identifier, if the role may read it.
    pub system: Option<String>,
    /// Timeline of the server, if the role may read it; each promotion of a standby raises it.
    pub timeline: Option<i32>,
}

impl From<Identity> for IdentityStatus {
    fn from(identity: Identity) -> Self {
        let epoch = identity.epoch().to_string();
        let Identity { schema, system, timeline, .. } = identity;
        Self { epoch, schema, system, timeline }
    }
}

/// A target list.
#[derive(Debug, Serialize)]
pub struct TargetStatus {
    /// Key of the list.
    pub key: String,
    /// Whether the setting names it; otherwise it was chosen at run time.
    pub configured: bool,
    /// State of its blind scores: `ready`, `computing`, `waiting` (for the next snapshot), or `failed`.
    pub state: &'static str,
}

impl From<TargetList> for TargetStatus {
    fn from(target: TargetList) -> Self {
        Self { key: target.key, configured: target.configured, state: target.state.as_str() }
    }
}

/// A source of metrics.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    /// Name.
    pub source: String,
    /// Movies with a metric of this source.
    pub films: i64,
    /// When the newest metric was fetched.
    pub newest_at: DateTime<Utc>,
}

impl From<MetricSource> for SourceStatus {
    fn from(MetricSource { source, movies, newest }: MetricSource) -> Self {
        Self { source, films: movies, newest_at: newest }
    }
}

/// Movies that wait for new scores.
#[derive(Debug, Serialize)]
pub struct QueueStatus {
    /// Number of these movies.
    pub films: u64,
    /// Since when the oldest entry of the queue has waited; `None` if the queue is empty.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// A job.
#[derive(Debug, Serialize)]
pub struct JobStatus {
    /// Job id.
    pub id: i64,
    /// Name of the task that it runs.
    pub task: String,
    /// `running`, `waiting` (for its first attempt), `retrying` (waits after a failed attempt), or `failed` (no
    /// attempts are left).
    pub state: &'static str,
    /// Number of attempts so far.
    pub attempts: i16,
    /// Maximum number of attempts.
    pub max_attempts: i16,
    /// Scheduled time.
    pub run_at: DateTime<Utc>,
    /// When the current attempt started; `None` if the job is not running.
    pub running_since: Option<DateTime<Utc>>,
    /// Error of the last failed attempt, if any.
    pub last_error: Option<String>,
}

impl From<Job> for JobStatus {
    fn from(job: Job) -> Self {
        let state = match &job {
            // Checked first, because the current attempt is counted in `attempts`: the last one would look failed.
            Job { running_since: Some(_), .. } => "running",
            job if job.attempts >= job.max_attempts => "failed",
            Job { last_error: Some(_), .. } => "retrying",
            _ => "waiting",
        };
        let Job { id, task, attempts, max_attempts, run_at, running_since, last_error } = job;
        Self { id, task, state, attempts, max_attempts, run_at, running_since, last_error }
    }
}

/// Status of one instance.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Caches by name.
    pub caches: BTreeMap<String, CacheStatus>,
    /// States of the circuit breakers by name.
    pub breakers: BTreeMap<String, String>,
    /// Connection pools by name, without those that are not configured.
    pub pools: BTreeMap<String, PoolStatus>,
}

/// Reads the status of the data. `configured` are the target lists of the setting.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable.
pub(super) async fn of_data(store: &Store, configured: &[String]) -> Result<DataStatus, ServiceError> {
    let status = StatusReport::new(store.clone(), configured.to_vec()).now().await?;
    let queue = store.queue_length().await?;
    let successes = store.task_successes().await?.into_iter();
    Ok(DataStatus {
        database_identity: store.identity().await?.into(),
        scored_films: status.scored_movies,
        scored_at: status.scored_at,
        snapshot_at: status.snapshot_at,
        target_lists: status.target_lists,
        targets: status.targets.into_iter().map(TargetStatus::from).collect(),
        metric_sources: status.metric_sources.into_iter().map(SourceStatus::from).collect(),
        criteria_without_data: status.criteria_without_data.iter().map(ToString::to_string).collect(),
        search_index: store.search_index(QueryName::TaskStatus).await?.as_str(),
        queue: QueueStatus { films: queue.movies, oldest_at: queue.oldest },
        last_success: successes.map(|(task, at)| (task.as_str(), at)).collect(),
        jobs: store.jobs().await?.into_iter().map(JobStatus::from).collect(),
    })
}

/// The status of this instance.
fn of_instance(metrics: &Metrics) -> InstanceStatus {
    fn by_name<L: Label, T>(status: impl Fn(L) -> T) -> impl Iterator<Item = (String, T)> {
        L::ALL.iter().map(move |&value| (value.as_str().to_owned(), status(value)))
    }
    let pools = by_name(|pool: Pool| metrics.store.pool_status(pool));
    InstanceStatus {
        caches: by_name(|cache: CacheName| metrics.caches.status(cache)).collect(),
        breakers: by_name(|breaker: BreakerName| metrics.breakers.state(breaker).as_str().to_owned()).collect(),
        // The maximum of a pool is 0 until the pool is measured, and a replica that is not configured is never
        // measured.
        pools: pools.filter(|(_, pool)| pool.max > 0.0).collect(),
    }
}

/// The handler of `/status`: reads the status of the data and of this instance for each request.
pub(super) fn probe(store: Store, configured: Vec<String>, metrics: Metrics) -> Probe<Value> {
    Probe::new(move || {
        let (store, configured, metrics) = (store.clone(), configured.clone(), metrics.clone());
        async move {
            let (data, database_error) = match timeout(DATA_TIMEOUT, of_data(&store, &configured)).await {
                Ok(Ok(data)) => (Some(data), None),
                Ok(Err(error)) => (None, Some(error.to_string())),
                Err(_) => (None, Some("no response".to_owned())),
            };
            json!(Status { data, database_error, instance: of_instance(&metrics) })
        }
    })
}
