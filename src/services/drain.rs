//! The drain: recomputes the scores of changed movies in batches, oldest first, and folds changed titles.
//!
//! A batch takes at most some tenths of a second, which bounds the delay of changes made meanwhile. Entries that name a
//! movie take precedence over a pass over all movies, whichever came first.

use super::ServiceError;
use crate::store::{Drained, Store, StoreError};

/// Movies per batch.
const BATCH: i64 = 2_500;

/// Titles per batch. Folding one takes about a microsecond.
const TITLE_BATCH: i64 = 10_000;

/// A batch with invalid data is retried with this fraction of its movies, until the invalid one is isolated.
const SHRINK: i64 = 8;

/// Drains the queue step by step.
#[derive(Debug)]
pub struct Drain {
    store: Store,
    size: i64,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The queue was empty.
    Idle,
    /// Another instance is draining the queue.
    Elsewhere,
    /// Scores were computed or titles folded; more may be queued.
    Drained {
        /// Movies computed.
        movies: u64,
        /// Movies whose scores changed.
        changed: u64,
    },
}

impl Drain {
    /// A drain with the full batch size.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone(), size: BATCH }
    }

    /// Whether the queue has entries. One cheap statement.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn is_due(&self) -> Result<bool, ServiceError> {
        Ok(self.store.is_anything_queued().await?)
    }

    /// Computes a batch of the oldest queued movies, and a batch of the pass over all movies if one is queued; then folds
    /// a batch of titles, and makes new names of genres and countries visible.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable; movies that were not computed stay queued.
    pub async fn step(&mut self) -> Result<Step, ServiceError> {
        let named = self.named().await?;
        let all = self.store.drain_all_movies(BATCH).await?;
        let titles = self.store.fold_queued_titles(TITLE_BATCH).await?;
        let more = self.store.raise_renamed().await? || titles;
        Ok(match (named, all) {
            (Drained::Movies { movies, changed }, Drained::Movies { movies: more, changed: also }) => {
                Step::Drained { movies: movies + more, changed: changed + also }
            }
            (Drained::Movies { movies, changed }, _) | (_, Drained::Movies { movies, changed }) => {
                Step::Drained { movies, changed }
            }
            _ if more => Step::Drained { movies: 0, changed: 0 },
            (Drained::LockedElsewhere, _) | (_, Drained::LockedElsewhere) => Step::Elsewhere,
            (Drained::Nothing, Drained::Nothing) => Step::Idle,
        })
    }

    /// Runs steps until the queue is empty or another instance drains it.
    ///
    /// # Errors
    /// As [`Drain::step`].
    pub async fn run(&mut self) -> Result<(), ServiceError> {
        while let Step::Drained { .. } = self.step().await? {}
        Ok(())
    }

    /// Computes a batch of queued movies. A movie that cannot be computed must not block the others: it is isolated,
    /// logged and dropped from the queue with its scores unchanged.
    async fn named(&mut self) -> Result<Drained, ServiceError> {
        loop {
            match self.store.drain_movies(self.size).await {
                Err(error) if error.is_data_fault() && self.size > 1 => self.size = (self.size / SHRINK).max(1),
                Err(error) if error.is_data_fault() => {
                    let movie_id = self.store.drop_oldest_entry().await?;
                    report_fault(movie_id, &error);
                    self.size = BATCH;
                }
                Err(error) => return Err(error.into()),
                Ok(drained) => {
                    self.size = (self.size * SHRINK).min(BATCH);
                    return Ok(drained);
                }
            }
        }
    }
}

fn report_fault(movie_id: Option<i64>, error: &StoreError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(movie_id, %error, cause, "cannot compute the scores of a movie; its stored scores stay unchanged");
}
