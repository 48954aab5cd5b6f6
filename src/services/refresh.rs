//! Refreshes: person quality, scores, blind scores and the snapshot, in the order in which each needs the last.

use std::time::Duration;

use super::ServiceError;
use crate::store::{Batch, Changes, Store, StoreError};
use crate::telemetry::Task;

/// People of a batch: some tenths of a second of work, and little memory.
const PERSON_BATCH: i64 = 20_000;

/// Films of a batch. Changed films wait for at most one, and should be served anew within a second.
const SCORE_BATCH: i64 = 2_500;

/// How often to look whether another instance has finished.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is being computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Quality of people.
    PersonQuality,
    /// Scores of films.
    Scores,
    /// Blind scores and the snapshot.
    Snapshot,
}

impl Step {
    /// What a progress bar calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonQuality => "person quality",
            Self::Scores => "scores",
            Self::Snapshot => "snapshot",
        }
    }
}

/// How far a refresh is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being computed.
    pub step: Step,
    /// Rows done.
    pub done: u64,
    /// Rows in all.
    pub total: u64,
}

/// Computes the quality of all people; says how many it computed, and how many had changed.
///
/// # Errors
/// [`ServiceError::Store`] when the database does not answer. What was done stays, and the next run completes it.
pub async fn person_quality(
    store: &Store,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Changes, ServiceError> {
    let (_, total) = store.refresh_size().await?;
    let mut run = Run::new(Step::PersonQuality, total, progress);
    while let Some(batch) = store.refresh_person_quality(run.last_id, PERSON_BATCH).await? {
        run.add(batch);
    }
    if run.changes.changed > 0 {
        store.analyze_people().await?;
    }
    store.note_success(Task::PersonQuality).await?;
    Ok(run.changes)
}

/// Brings all stored scores up to date with the formula. Waits while another instance does so.
///
/// # Errors
/// As [`person_quality`].
pub async fn scores(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Changes, ServiceError> {
    let right = loop {
        if let Some(right) = store.full_refresh().await? {
            break right;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let queued = store.queue_all_movies().await?;
    let reconciled = all_scores(store, progress).await?;
    store.forget_queued(queued).await?;
    right.release().await?;
    Ok(reconciled.changes)
}

/// Checks all stored scores against the formula, and corrects what is wrong. The queue stays as it is: what waits there
/// will be computed, and is not wrong but late. None while another instance refreshes all scores.
///
/// # Errors
/// As [`person_quality`].
pub async fn reconcile(
    store: &Store,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Option<Reconciled>, ServiceError> {
    let Some(right) = store.full_refresh().await? else { return Ok(None) };
    let reconciled = all_scores(store, progress).await?;
    right.release().await?;
    if reconciled.lists_changed {
        store.request_task(Task::SnapshotRefresh).await?;
    }
    Ok(Some(reconciled))
}

/// What a check of all scores found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Films computed, and those that differed in anything that is stored with their scores.
    pub changes: Changes,
    /// Films whose scores were wrong and would have stayed so: 0 when every change was noticed.
    pub corrected: u64,
    /// Whether a film joined or left a list.
    pub lists_changed: bool,
}

async fn all_scores(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Reconciled, ServiceError> {
    let (total, _) = store.refresh_size().await?;
    let mut run = Run::new(Step::Scores, total, progress);
    let mut reconciled = Reconciled::default();
    while let Some(computed) = store.refresh_scores(run.last_id, SCORE_BATCH).await? {
        run.add(computed.batch);
        reconciled.corrected += computed.corrected;
        reconciled.lists_changed |= computed.lists_changed;
    }
    if run.changes.changed >= run.changes.rows {
        order(store).await?;
    }
    if run.changes.changed > 0 {
        store.analyze_scores().await?;
    }
    store.note_success(Task::ScoreRefresh).await?;
    Ok(Reconciled { changes: run.changes, ..reconciled })
}

/// Whether the quality of people is ours to compute: by the setting or, without it, where the film tables are ours.
///
/// # Errors
/// [`ServiceError::Store`] when the database does not answer, or is not migrated.
pub async fn computes_person_quality(store: &Store, setting: Option<bool>) -> Result<bool, ServiceError> {
    let installation = store.installation().await?;
    Ok(setting.unwrap_or(installation.owns_catalogue))
}

/// Sorts a score table of which every row is new. Later changes stay in place, so this is not done again.
async fn order(store: &Store) -> Result<(), ServiceError> {
    match store.order_scores().await {
        Err(error @ StoreError::TimedOut { .. }) => {
            tracing::warn!(%error, "the score table stays unsorted: reading a decade takes longer when it is not in memory");
            Ok(())
        }
        ordered => Ok(ordered?),
    }
}

/// Recomputes blind scores and takes a new snapshot for validations.
///
/// # Errors
/// [`ServiceError::Store`] when the database does not answer; the former snapshot then stays.
pub async fn snapshot(
    store: &Store,
    target_lists: &[String],
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), ServiceError> {
    progress(Progress { step: Step::Snapshot, done: 0, total: 1 });
    store.refresh_snapshot(target_lists).await?;
    store.note_success(Task::SnapshotRefresh).await?;
    progress(Progress { step: Step::Snapshot, done: 1, total: 1 });
    Ok(())
}

/// One pass over all rows.
struct Run<'a> {
    step: Step,
    total: u64,
    last_id: i64,
    changes: Changes,
    progress: &'a mut (dyn FnMut(Progress) + Send),
}

impl<'a> Run<'a> {
    fn new(step: Step, total: u64, progress: &'a mut (dyn FnMut(Progress) + Send)) -> Self {
        progress(Progress { step, done: 0, total });
        Self { step, total, last_id: i64::MIN, changes: Changes::default(), progress }
    }

    fn add(&mut self, batch: Batch) {
        self.last_id = batch.last_id;
        self.changes.rows += batch.rows;
        self.changes.changed += batch.changed;
        (self.progress)(Progress { step: self.step, done: self.changes.rows.min(self.total), total: self.total });
    }
}
