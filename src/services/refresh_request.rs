//! Requests for new scores, which the drain of the queue then computes.

use std::collections::HashSet;

use super::{Administrator, ServiceError, Services};
use crate::scoring::MovieId;
use crate::store::RefreshRequest;

/// Films of one request.
const FILMS_MAX: usize = 10_000;

impl Services {
    /// Queues films to be scored anew, or all; says how many distinct ones, where they are named.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for no film or too many, [`ServiceError::NotFound`] for one that is not there; nothing is
    /// queued then. [`ServiceError::Store`] when the database does not answer.
    pub async fn request_scores(
        &self,
        by: &Administrator,
        ids: Option<Vec<MovieId>>,
    ) -> Result<(RefreshRequest, Option<usize>), ServiceError> {
        let films = match &ids {
            Some(ids) => Some(self.distinct_films(ids).await?),
            None => None,
        };
        let request = self.store.request_scores(ids.as_deref()).await?;
        tracing::info!(admin = by.label(), films, all = films.is_none(), "scores requested");
        Ok((request, films))
    }

    /// How many distinct films these are; all must be there.
    async fn distinct_films(&self, ids: &[MovieId]) -> Result<usize, ServiceError> {
        if ids.is_empty() {
            return Err(ServiceError::invalid("movieIds", "is empty; leave it out for all movies"));
        }
        if ids.len() > FILMS_MAX {
            let problem = format!("has {} ids, expected {FILMS_MAX} at most", ids.len());
            return Err(ServiceError::invalid("movieIds", problem));
        }
        let there: HashSet<_> = self.store.existing_movies(ids).await?.into_iter().collect();
        match ids.iter().position(|id| !there.contains(id)) {
            Some(missing) => Err(ServiceError::not_found(format!("movieIds[{missing}]"), "there is no such movie")),
            None => Ok(there.len()),
        }
    }
}
