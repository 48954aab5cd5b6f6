//! Service status for operators and pages.

use chrono::{DateTime, Utc};

use super::ServiceError;
use crate::store::Store;

/// Reads the status from the database.
#[derive(Debug)]
pub struct StatusReport {
    store: Store,
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
}

impl StatusReport {
    /// Reads from this database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Reads the current status.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn now(&self) -> Result<Status, ServiceError> {
        let scores = self.store.score_table().await?;
        let snapshot = self.store.snapshot().await?;
        Ok(Status {
            scored_movies: scores.movies,
            scored_at: scores.newest,
            snapshot_at: snapshot.as_ref().map(|snapshot| snapshot.taken_at),
            target_lists: snapshot.map(|snapshot| snapshot.target_lists).unwrap_or_default(),
        })
    }
}
