//! Refreshes: person quality, scores, blind scores and the snapshot, in order of dependency; and requests to recompute
//! scores, which the drain serves from the queue.

use std::collections::HashSet;
use std::time::Duration;

use super::{Administrator, ServiceError, Services};
use crate::scoring::MovieId;
use crate::store::{Batch, Changes, RefreshRequest, Store, StoreError, Task};

/// People per batch. A choice: some tenths of a second of work, and little memory.
const PERSON_BATCH: i64 = 20_000;

/// Movies per batch. A changed movie waits for at most one batch, and its new scores should be served within a second.
const SCORE_BATCH: i64 = 2_500;

/// People whose names are folded per batch. A choice: the votes for their movies are summed up in some tenths of a second.
pub(super) const NAME_BATCH: i64 = 5_000;

/// Maximum number of movies in a request to recompute scores. A choice: a few batches. All movies can be requested
/// without their ids.
const REQUESTED_MOVIES_MAX: usize = 10_000;

/// How often to check whether another instance has finished its refresh, which may take minutes. A choice.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Phase of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Person quality.
    PersonQuality,
    /// Scores of movies.
    Scores,
    /// Names of people, for searches.
    Names,
    /// Blind scores and the snapshot.
    Snapshot,
}

impl Step {
    /// Display name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonQuality => "person quality",
            Self::Scores => "scores",
            Self::Names => "names of people",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Progress of a refresh.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Current phase.
    pub step: Step,
    /// Rows processed in this phase, at most `total`.
    pub done: u64,
    /// Number of rows of this phase when it started.
    pub total: u64,
}

/// Computes the quality of all people; returns the number of computed and of changed rows.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable. Completed batches stay; the next run starts from the
/// first row again, and writes only rows that differ.
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
        store.analyze_person_quality().await?;
    }
    store.record_success(Task::PersonQuality).await?;
    Ok(run.changes)
}

/// Updates all stored scores. Waits while another instance does so.
///
/// # Errors
/// As [`person_quality`].
pub async fn scores(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Changes, ServiceError> {
    let lock = loop {
        if let Some(lock) = store.full_refresh().await? {
            break lock;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    let work = async {
        // The entry for all movies replaces the entries in the queue. If this run fails, it stays, and the drain
        // computes all movies.
        let queued = store.queue_all_movies().await?;
        let reconciled = all_scores(store, progress).await?;
        store.remove_entry(queued).await?;
        Ok(reconciled.changes)
    };
    lock.hold(work).await
}

/// Checks all stored scores against the formula, and corrects wrong ones. Leaves the queue unchanged: queued movies are
/// late, not wrong. `None` while another instance refreshes all scores.
///
/// # Errors
/// As [`person_quality`].
pub async fn reconcile(
    store: &Store,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Option<Reconciled>, ServiceError> {
    let Some(lock) = store.full_refresh().await? else { return Ok(None) };
    let reconciled = lock.hold(all_scores(store, progress)).await?;
    // Validations need a snapshot with the new lists.
    if reconciled.lists_changed {
        store.request_task(Task::SnapshotRefresh).await?;
    }
    Ok(Some(reconciled))
}

/// Result of checking all scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Movies computed, and movies whose stored row differed in any column.
    pub changes: Changes,
    /// Movies with wrong scores that were not queued; 0 if every change was noticed.
    pub corrected: u64,
    /// Whether a movie joined or left a list.
    pub lists_changed: bool,
}

/// Computes all scores in batches, and updates the stored rows that differ. The caller holds the lock of a full
/// refresh.
async fn all_scores(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Reconciled, ServiceError> {
    let (total, _) = store.refresh_size().await?;
    let mut run = Run::new(Step::Scores, total, progress);
    let mut reconciled = Reconciled::default();
    while let Some(computed) = store.refresh_scores(run.last_id, SCORE_BATCH).await? {
        run.add(computed.batch);
        reconciled.corrected += computed.corrected;
        reconciled.lists_changed |= computed.lists_changed;
    }
    // If every row is new. `changed` may exceed `rows`, because it includes removed rows.
    if run.changes.changed >= run.changes.rows {
        cluster(store).await?;
    }
    let changes = run.changes;
    if changes.changed > 0 {
        store.analyze_scores().await?;
    }
    // Searches may find former names until the next check; the scores count all the same.
    if let Err(error) = names(store, progress).await {
        tracing::warn!(%error, "names of people not checked");
    }
    store.record_success(Task::ScoreRefresh).await?;
    Ok(Reconciled { changes, ..reconciled })
}

/// Folds the names of people that differ from the stored ones. After the scores, with which the votes for their movies are
/// stored.
async fn names(store: &Store, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<(), ServiceError> {
    let (_, total) = store.refresh_size().await?;
    let mut run = Run::new(Step::Names, total, progress);
    while let Some(batch) = store.refresh_names(run.last_id, NAME_BATCH).await? {
        run.add(batch);
    }
    Ok(())
}

/// Whether Cinegraph computes person quality: `setting` if it is given, otherwise whether Cinegraph owns the movie
/// tables.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable, or is not migrated.
pub async fn computes_person_quality(store: &Store, setting: Option<bool>) -> Result<bool, ServiceError> {
    let installation = store.installation().await?;
    Ok(setting.unwrap_or(installation.owns_catalogue))
}

/// Stores the rows of the score table in order of release date, so that those of a decade are on few pages. Called only
/// when every row is new: later updates keep rows on their pages, so the order lasts. If other sessions keep the table
/// locked, it stays unordered.
async fn cluster(store: &Store) -> Result<(), ServiceError> {
    match store.order_scores().await {
        Err(error @ StoreError::TimedOut { .. }) => {
            tracing::warn!(%error, "score table not clustered; loading uncached decades takes longer");
            Ok(())
        }
        ordered => Ok(ordered?),
    }
}

/// Recomputes blind scores and takes a new snapshot for validations. `configured` are the target lists of the setting.
/// Returns all target lists.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable; the previous snapshot then stays.
pub async fn snapshot(
    store: &Store,
    configured: &[String],
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<String>, ServiceError> {
    progress(Progress { step: Step::Snapshot, done: 0, total: 1 });
    let target_lists = store.refresh_snapshot(configured).await?;
    store.record_success(Task::SnapshotRefresh).await?;
    progress(Progress { step: Step::Snapshot, done: 1, total: 1 });
    Ok(target_lists)
}

/// One pass over all rows, in batches of ascending ids.
struct Run<'a> {
    step: Step,
    total: u64,
    /// The next batch starts after this id.
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
        // Rows that were added since the start are not in `total`.
        (self.progress)(Progress { step: self.step, done: self.changes.rows.min(self.total), total: self.total });
    }
}

impl Services {
    /// Queues the movies `ids` for recomputation, or all movies if it is `None`. Returns the request, and the number of
    /// distinct ids; `None` for all movies.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for no ids or too many, [`ServiceError::NotFound`] for an unknown movie; nothing is
    /// queued then. [`ServiceError::Store`] if the database is unavailable.
    pub async fn request_scores(
        &self,
        by: &Administrator,
        ids: Option<Vec<MovieId>>,
    ) -> Result<(RefreshRequest, Option<usize>), ServiceError> {
        let movies = match &ids {
            Some(ids) => Some(self.count_distinct_movies(ids).await?),
            None => None,
        };
        let request = self.store.request_scores(ids.as_deref()).await?;
        tracing::info!(admin = by.label(), films = movies, all = movies.is_none(), "score recomputation requested");
        Ok((request, movies))
    }

    /// Checks that `ids` are neither none nor too many, and that all movies exist; returns the number of distinct ids.
    async fn count_distinct_movies(&self, ids: &[MovieId]) -> Result<usize, ServiceError> {
        if ids.is_empty() {
            return Err(ServiceError::invalid("movieIds", "is empty: leave it out to rescore all movies"));
        }
        if ids.len() > REQUESTED_MOVIES_MAX {
            let problem = format!("has {} IDs, expected {REQUESTED_MOVIES_MAX} at most", ids.len());
            return Err(ServiceError::invalid("movieIds", problem));
        }
        let existing: HashSet<_> = self.store.existing_movies(ids).await?.into_iter().collect();
        match ids.iter().position(|id| !existing.contains(id)) {
            Some(missing) => Err(ServiceError::not_found(format!("movieIds[{missing}]"), "there is no such movie")),
            None => Ok(existing.len()),
        }
    }
}
