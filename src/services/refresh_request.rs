//! Requests to recompute scores, which the drain serves from the queue.

use std::collections::HashSet;

use super::{Administrator, ServiceError, Services};
use crate::scoring::MovieId;
use crate::store::RefreshRequest;

/// Maximum number of movies per request.
const MOVIES_MAX: usize = 10_000;

impl Services {
    /// Queues some or all movies for recomputation; returns the number of distinct ones if they are named.
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
        tracing::info!(admin = by.label(), films = movies, all = movies.is_none(), "scores requested");
        Ok((request, movies))
    }

    /// Number of distinct movies; all must exist.
    async fn count_distinct_movies(&self, ids: &[MovieId]) -> Result<usize, ServiceError> {
        if ids.is_empty() {
            return Err(ServiceError::invalid("movieIds", "is empty; leave it out for all movies"));
        }
        if ids.len() > MOVIES_MAX {
            let problem = format!("has {} ids, expected {MOVIES_MAX} at most", ids.len());
            return Err(ServiceError::invalid("movieIds", problem));
        }
        let existing: HashSet<_> = self.store.existing_movies(ids).await?.into_iter().collect();
        match ids.iter().position(|id| !existing.contains(id)) {
            Some(missing) => Err(ServiceError::not_found(format!("movieIds[{missing}]"), "there is no such movie")),
            None => Ok(existing.len()),
        }
    }
}
