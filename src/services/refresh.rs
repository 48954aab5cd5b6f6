//! Refreshes: person quality, scores, blind scores and the snapshot, in the order in which each needs the last.

use super::ServiceError;
use crate::store::{Batch, Changes, Store, StoreError};

/// Rows of a batch: some tenths of a second of work, and little memory.
const BATCH: i64 = 20_000;

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
    while let Some(batch) = store.refresh_person_quality(run.last_id, BATCH).await? {
        run.add(batch);
    }
    if run.changes.changed > 0 {
        store.analyze_people().await?;
    }
    Ok(run.changes)
}

/// Brings all stored scores up to date with the formula.
///
/// # Errors
/// As [`person_quality`].
pub async fn scores(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Changes, ServiceError> {
    let (total, _) = store.refresh_size().await?;
    let queued = store.queue_all_films().await?;
    let mut run = Run::new(Step::Scores, total, progress);
    while let Some(batch) = store.refresh_scores(run.last_id, BATCH).await? {
        run.add(batch);
    }
    run.changes.changed += store.remove_orphaned_scores().await?;
    store.forget_queued(queued).await?;
    if run.changes.changed >= run.changes.rows {
        order(store).await?;
    }
    if run.changes.changed > 0 {
        store.analyze_scores().await?;
    }
    Ok(run.changes)
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
