//! The drain: recomputes the scores of changed movies in batches, oldest first, and folds changed titles and new names.
//!
//! An entry of the queue names one movie or stands for all movies. Each step computes a batch of the named movies, then
//! a batch of all movies: a movie that has changed does not wait until all movies are computed, even if that was
//! requested before. A batch takes at most some tenths of a second, which bounds the delay of changes made meanwhile.

use super::ServiceError;
use super::refresh::NAME_BATCH;
use crate::store::{Drained, Store, StoreError};

/// Movies whose scores are computed per batch. A choice: the batch takes some tenths of a second.
const BATCH: i64 = 2_500;

/// Movies whose titles are folded per batch. More than [`BATCH`], because folding a title takes about a microsecond.
const TITLE_BATCH: i64 = 10_000;

/// A batch that fails because of invalid data is retried with its size divided by this factor, until the movie with the
/// invalid data is alone in its batch. Each batch that succeeds multiplies the size again. Eight is a choice: from the
/// full size, it takes four retries.
const SIZE_FACTOR: i64 = 8;

/// Drains the queue step by step.
#[derive(Debug)]
pub struct Drain {
    store: Store,
    /// Number of movies in the next batch of named movies: [`BATCH`], or less after a batch with invalid data.
    size: i64,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The queue was empty.
    Idle,
    /// Another instance is draining the queue or refreshing all scores, and this step found nothing else to do.
    Elsewhere,
    /// Scores were computed, titles or names folded, or changed names made visible; more may be queued.
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

    /// Whether anything is queued: movies, titles, people or changed names. Costs one cheap statement.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn is_due(&self) -> Result<bool, ServiceError> {
        Ok(self.store.is_anything_queued().await?)
    }

    /// Computes a batch of the oldest named movies, and the next batch of all movies if an entry stands for these; then
    /// folds a batch of titles and of names of people, and makes new names of genres and countries visible.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable; movies that were not computed stay queued.
    pub async fn step(&mut self) -> Result<Step, ServiceError> {
        let named = self.drain_named_movies().await?;
        let all = self.store.drain_all_movies(BATCH).await?;
        let folded = self.store.fold_queued_titles(TITLE_BATCH).await?;
        // After all titles, which have the votes by which people are ordered.
        let named_people = !folded && self.store.fold_added_names(NAME_BATCH).await?;
        let renamed = self.store.raise_renamed().await?;
        Ok(match (named, all) {
            (Drained::Movies { movies: named, changed: named_changed }, Drained::Movies { movies, changed }) => {
                Step::Drained { movies: named + movies, changed: named_changed + changed }
            }
            (Drained::Movies { movies, changed }, _) | (_, Drained::Movies { movies, changed }) => {
                Step::Drained { movies, changed }
            }
            _ if folded || named_people || renamed => Step::Drained { movies: 0, changed: 0 },
            (Drained::LockedElsewhere, _) | (_, Drained::LockedElsewhere) => Step::Elsewhere,
            (Drained::Nothing, Drained::Nothing) => Step::Idle,
        })
    }

    /// Runs steps until nothing is queued or another instance drains the queue.
    ///
    /// # Errors
    /// As [`Drain::step`].
    pub async fn run(&mut self) -> Result<(), ServiceError> {
        while let Step::Drained { .. } = self.step().await? {}
        Ok(())
    }

    /// Computes a batch of named movies. A movie that cannot be computed must not block the others: it is isolated,
    /// logged and dropped from the queue with its scores unchanged.
    async fn drain_named_movies(&mut self) -> Result<Drained, ServiceError> {
        loop {
            match self.store.drain_movies(self.size).await {
                Err(error) if error.is_data_fault() && self.size > 1 => {
                    self.size = (self.size / SIZE_FACTOR).max(1);
                }
                Err(error) if error.is_data_fault() => {
                    // The batch was the oldest entry alone, so the fault is in its movie.
                    let movie_id = self.store.drop_oldest_entry().await?;
                    report_fault(movie_id, &error);
                    self.size = BATCH;
                }
                Err(error) => return Err(error.into()),
                Ok(drained) => {
                    self.size = (self.size * SIZE_FACTOR).min(BATCH);
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
