//! How the service is: what operators and pages show beside the answers.

use chrono::{DateTime, Utc};

use super::ServiceError;
use crate::store::Store;

/// Looks at the database.
#[derive(Debug)]
pub struct StatusReport {
    store: Store,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Films with a stored score.
    pub scored_films: usize,
    /// When the newest of these was computed.
    pub scored_at: Option<DateTime<Utc>>,
    /// When the validation snapshot was taken.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// The lists that validations can be blind for.
    pub target_lists: Vec<String>,
}

impl StatusReport {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The state right now.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn now(&self) -> Result<Status, ServiceError> {
        let scores = self.store.score_table().await?;
        let snapshot = self.store.snapshot().await?;
        Ok(Status {
            scored_films: scores.films,
            scored_at: scores.newest,
            snapshot_at: snapshot.as_ref().map(|snapshot| snapshot.taken_at),
            target_lists: snapshot.map(|snapshot| snapshot.target_lists).unwrap_or_default(),
        })
    }
}
