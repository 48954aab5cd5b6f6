//! The drain: films that have changed get new scores, a batch at a time, oldest first.
//!
//! A batch takes some tenths of a second at most, so that a change made meanwhile waits no longer than that. Films that
//! are named are computed before a pass over all films goes on, whichever came first.

use super::ServiceError;
use crate::store::{Drained, Store, StoreError};

/// Films of a batch.
const BATCH: i64 = 2_500;

/// A batch that PostgreSQL cannot compute is tried again with this part of its films, until the one at fault is alone.
const SHRINK: i64 = 8;

/// Drains the queue, step by step.
#[derive(Debug)]
pub struct Drain {
    store: Store,
    size: i64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing waited.
    Idle,
    /// Another instance is at it.
    Elsewhere,
    /// Scores were computed; more may wait.
    Drained {
        /// Of this many films.
        films: u64,
        /// Of which this many had changed.
        changed: u64,
    },
}

impl Drain {
    /// A drain that has not begun.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone(), size: BATCH }
    }

    /// Whether a step would do anything. One cheap statement.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn is_due(&self) -> Result<bool, ServiceError> {
        Ok(self.store.is_anything_queued().await?)
    }

    /// Computes the scores of the films that wait longest, and goes on with all films where these are to be computed.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer; what was not computed stays in the queue.
    pub async fn step(&mut self) -> Result<Step, ServiceError> {
        let named = self.named().await?;
        let all = self.store.drain_all_movies(BATCH).await?;
        Ok(match (named, all) {
            (Drained::Films { films, changed }, Drained::Films { films: more, changed: also }) => {
                Step::Drained { films: films + more, changed: changed + also }
            }
            (Drained::Films { films, changed }, _) | (_, Drained::Films { films, changed }) => {
                Step::Drained { films, changed }
            }
            (Drained::LockedElsewhere, _) | (_, Drained::LockedElsewhere) => Step::Elsewhere,
            (Drained::Nothing, Drained::Nothing) => Step::Idle,
        })
    }

    /// Steps until nothing is left that can be done.
    ///
    /// # Errors
    /// As [`Drain::step`].
    pub async fn run(&mut self) -> Result<(), ServiceError> {
        while let Step::Drained { .. } = self.step().await? {}
        Ok(())
    }

    /// The films that are named. One that cannot be computed must not keep the others waiting: it is found, named in the
    /// log and left as it is.
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
    tracing::error!(movie_id, %error, cause, "scores of this film cannot be computed; they stay as they are");
}
