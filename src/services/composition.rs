//! [`Services`]: the use cases of requests, over one store.

use std::sync::Arc;

use super::ServiceError;
use super::auth::Authenticator;
use super::cache_policy::CacheLimits;
use super::learned::LearnedRankings;
use super::movies::Movies;
use super::predictions::Predictions;
use super::profiles::{Profiles, WeightSelection, selection};
use super::reference::ReferenceData;
use super::status::StatusReport;
use super::validation::Validation;
use crate::breaker::{Breaker, BreakerMetrics, BreakerName};
use crate::cache::CacheContext;
use crate::clock::Clock;
use crate::config::{Config, PosterBaseUrl};
use crate::scoring::{Decade, MovieId};
use crate::store::Store;
use crate::versions::{Scope, Versions};

/// The use cases of requests, over one store.
#[derive(Debug)]
pub struct Services {
    /// Authentication of administrators.
    pub auth: Authenticator,
    /// Learned rankings.
    pub learned: LearnedRankings,
    /// Movies and their details.
    pub movies: Movies,
    /// Where posters are; `None` if clients shall not be sent to another server.
    pub posters: Option<PosterBaseUrl>,
    /// Rankings.
    pub predictions: Predictions,
    /// Weight profiles.
    pub profiles: Profiles,
    /// Lists, genres, countries and the data origin.
    pub reference: Arc<ReferenceData>,
    /// Service status.
    pub status: StatusReport,
    /// Validations.
    pub validation: Validation,
    /// Current data versions.
    pub versions: Versions,
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// Whether Cinegraph computes the quality of people if it owns the movie tables.
    pub(super) person_quality: bool,
}

impl Services {
    /// Creates the use cases. The caller must keep the versions of `cache_context` current. Otherwise, cached values
    /// are served although the data has changed.
    #[must_use]
    pub fn new(store: &Store, cache_context: &CacheContext, config: &Config, breakers: &BreakerMetrics) -> Self {
        let (limits, cache_enabled) = (&CacheLimits::from(config), config.cache_enabled);
        let targets = &config.target_lists;
        let reference = Arc::new(ReferenceData::new(store.clone(), targets.clone(), cache_context, limits));
        let learned = LearnedRankings::new(store.clone(), cache_context, limits);
        let score_table = Breaker::new(BreakerName::ScoreTable, breakers.clone());
        Self {
            auth: Authenticator::new(config.admin_tokens_file.clone(), cache_context.clock.clone()),
            movies: Movies::new(store.clone(), cache_context, limits, cache_enabled),
            posters: config.poster_base_url.clone(),
            predictions: Predictions::new(
                store.clone(),
                cache_context,
                limits,
                cache_enabled,
                score_table,
                learned.clone(),
            ),
            profiles: Profiles::new(store.clone(), cache_context, limits),
            status: StatusReport::new(store.clone(), targets.clone()),
            validation: Validation::new(
                store.clone(),
                Arc::clone(&reference),
                learned.clone(),
                cache_context,
                limits,
                cache_enabled,
            ),
            learned,
            reference,
            store: store.clone(),
            clock: cache_context.clock.clone(),
            person_quality: config.person_quality_enabled.unwrap_or(true),
            versions: cache_context.versions.clone(),
        }
    }

    /// Selects the weights of the profile `name`, or of the default profile if it is `None`.
    ///
    /// # Errors
    /// As [`selection`]; [`ServiceError::Store`] if the profiles are not cached and cannot be loaded.
    pub async fn select_profile(&self, name: Option<&str>) -> Result<WeightSelection, ServiceError> {
        let criteria = self.reference.names().await?.criteria;
        selection(&self.profiles.all().await?, name, criteria)
    }

    /// The movies of a decade that are on a list but not fully imported.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn unhittable_movies(&self, list: &str, decade: Decade) -> Result<Vec<MovieId>, ServiceError> {
        Ok(self.store.unhittable_movies(list, decade).await?)
    }

    /// Number of entries in this instance's caches `columns`, `predictions` and `validation` that depend on `scope`;
    /// all entries of these caches if it is `None`. The other caches are not counted.
    #[must_use]
    pub fn count_entries(&self, scope: Option<&Scope>) -> usize {
        self.predictions.count_entries(scope) + self.validation.count_entries(scope) + self.learned.count_entries(scope)
    }
}
