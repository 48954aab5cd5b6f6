//! Service status for operators and pages.

use chrono::{DateTime, Utc};

use super::ServiceError;
use crate::scoring::{Criterion, FORMULA_VERSION};
use crate::store::{Job, MetricSource, Store, Task};
use crate::telemetry::{Label as _, label};

/// Reads the status from the database.
#[derive(Debug)]
pub struct StatusReport {
    store: Store,
    /// The target lists of the setting.
    configured: Vec<String>,
}

/// Status of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Movies with stored scores.
    pub scored_movies: usize,
    /// When the newest stored score was computed; `None` if there is none.
    pub scored_at: Option<DateTime<Utc>>,
    /// When the validation snapshot was taken; `None` if there is none yet.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// Lists with blind scores in the snapshot; empty if there is no snapshot.
    pub target_lists: Vec<String>,
    /// The target lists as they are chosen, sorted by key. The next snapshot has exactly these.
    pub targets: Vec<TargetList>,
    /// Sources of metrics as of the snapshot, those of the most movies first.
    pub metric_sources: Vec<MetricSource>,
    /// Criteria that are left out of the weights for lack of data.
    pub criteria_without_data: Vec<Criterion>,
}

/// A target list and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetList {
    /// Key of the list.
    pub key: String,
    /// Whether the setting names it; otherwise it was chosen at run time.
    pub configured: bool,
    /// Whether its blind scores are there.
    pub state: TargetState,
}

label! {
    /// State of the blind scores of a target list.
    TargetState {
        // The snapshot has them.
        Ready = "ready",
        // A snapshot is being taken.
        Computing = "computing",
        // They wait for the next snapshot.
        Waiting = "waiting",
        // All attempts to take a snapshot have failed; the next ones are within the hour.
        Failed = "failed",
    }
}

impl StatusReport {
    /// Reads from this database. `configured` are the target lists of the setting.
    #[must_use]
    pub fn new(store: Store, configured: Vec<String>) -> Self {
        Self { store, configured }
    }

    /// Reads the current status.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn now(&self) -> Result<Status, ServiceError> {
        let scores = self.store.score_table().await?;
        // Jobs first: if the job that computes a list ends meanwhile, the snapshot has the list.
        let missing = missing_state(&self.store.jobs().await?);
        let targets = self.store.target_lists(&self.configured).await?;
        let snapshot = self.store.snapshot().await?;
        let is_ready = |key: &String| {
            let current = snapshot.as_ref().filter(|snapshot| snapshot.formula_version == FORMULA_VERSION);
            current.is_some_and(|snapshot| snapshot.target_lists.contains(key))
        };
        let target = |key: String| TargetList {
            configured: self.configured.contains(&key),
            state: if is_ready(&key) { TargetState::Ready } else { missing },
            key,
        };
        let targets = targets.into_iter().map(target).collect();
        let metric_sources = self.store.metric_sources().await?;
        Ok(Status {
            scored_movies: scores.movies,
            scored_at: scores.newest,
            snapshot_at: snapshot.as_ref().map(|snapshot| snapshot.taken_at),
            criteria_without_data: snapshot.iter().flat_map(|snapshot| snapshot.criteria.missing()).collect(),
            target_lists: snapshot.map(|snapshot| snapshot.target_lists).unwrap_or_default(),
            targets,
            metric_sources,
        })
    }
}

/// The state of target lists that the snapshot does not have.
fn missing_state(jobs: &[Job]) -> TargetState {
    // Sorted: running, pending, failed.
    match jobs.iter().find(|job| job.task == Task::SnapshotRefresh.as_str()) {
        Some(Job { running_since: Some(_), .. }) => TargetState::Computing,
        Some(job) if job.attempts >= job.max_attempts => TargetState::Failed,
        _ => TargetState::Waiting,
    }
}
