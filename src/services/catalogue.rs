//! Movies, and everything that hangs on them, many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::ServiceError;
use crate::cache::VersionedCache;
use crate::scoring::MovieId;
use crate::store::{
    Country, Credit, FestivalEntry, Genre, ListName, ListSummary, LiveScore, Metric, Movie, MovieKey, PersonId,
    PersonQuality, ReferenceKind, Store, Versions,
};

/// Look-ups by id. What is not there is left out of an answer.
#[derive(Debug)]
pub struct Catalogue {
    store: Store,
    versions: Versions,
    summaries: VersionedCache<(), Vec<ListSummary>>,
}

impl Catalogue {
    pub(super) fn new(store: Store, versions: Versions) -> Self {
        Self { store, versions, summaries: VersionedCache::default() }
    }

    /// The id of a movie, however it is named.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn movie_id(&self, key: &MovieKey) -> Result<Option<MovieId>, ServiceError> {
        Ok(self.store.movie_id(key).await?)
    }

    /// Movies by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn movies(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Movie>, ServiceError> {
        Ok(self.store.movies_by_id(ids).await?.into_iter().map(|movie| (movie.id, movie)).collect())
    }

    /// Scores of movies of any status, computed now.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn live_scores(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, LiveScore>, ServiceError> {
        Ok(self.store.live_scores(ids).await?.into_iter().collect())
    }

    /// Genres of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn genres_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Genre>>, ServiceError> {
        Ok(self.store.genres_of(ids).await?)
    }

    /// Production countries of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn countries_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Country>>, ServiceError> {
        Ok(self.store.countries_of(ids).await?)
    }

    /// Metrics of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn metrics_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Metric>>, ServiceError> {
        Ok(self.store.metrics_of(ids).await?)
    }

    /// Nominations of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn festival_entries_of(
        &self,
        ids: &[MovieId],
    ) -> Result<HashMap<MovieId, Vec<FestivalEntry>>, ServiceError> {
        Ok(self.store.festival_entries_of(ids).await?)
    }

    /// Credits of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn credits_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Credit>>, ServiceError> {
        Ok(self.store.credits_of(ids).await?)
    }

    /// Qualities of people.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn qualities_of(&self, ids: &[PersonId]) -> Result<HashMap<PersonId, PersonQuality>, ServiceError> {
        Ok(self.store.qualities_of(ids).await?)
    }

    /// The movies whose title contains a text, by title: those after `after`, at most `limit`, with their titles in lower
    /// case.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn titled(
        &self,
        contains: &str,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, ServiceError> {
        Ok(self.store.movies_by_title(contains, after, limit).await?)
    }

    /// All lists with their movies counted by decade.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when they are not in memory and cannot be loaded.
    pub async fn list_summaries(&self) -> Result<Arc<Vec<ListSummary>>, ServiceError> {
        let load = || async { Ok(self.store.list_summaries().await?) };
        self.summaries.get((), self.versions.total(), load).await
    }

    /// All genres, by name.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn genres(&self) -> Result<Vec<Genre>, ServiceError> {
        Ok(self.store.genres().await?)
    }

    /// All lists, by key.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn lists(&self) -> Result<Vec<ListName>, ServiceError> {
        Ok(self.store.list_names().await?)
    }

    /// Database ids of genres or countries by name.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn reference_ids(&self, kind: ReferenceKind, names: &[String]) -> Result<Vec<u32>, ServiceError> {
        Ok(self.store.reference_ids(kind, names).await?)
    }
}
