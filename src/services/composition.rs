//! [`Services`]: the use cases of requests, over one store.

use std::sync::Arc;

use super::auth::Authenticator;
use super::cache_policy::CacheLimits;
use super::movies::Movies;
use super::predictions::Predictions;
use super::profiles::Profiles;
use super::reference::ReferenceData;
use super::status::StatusReport;
use super::validation::Validation;
use crate::breaker::{Breaker, BreakerMetrics, BreakerName};
use crate::cache::CacheContext;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;
use crate::versions::{Scope, Versions};

/// The use cases of requests, over one store.
#[derive(Debug)]
pub struct Services {
    /// Authentication of administrators.
    pub auth: Authenticator,
    /// Movies and their details.
    pub movies: Movies,
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
        let score_table = Breaker::new(BreakerName::ScoreTable, breakers.clone());
        Self {
            auth: Authenticator::new(config.admin_tokens_file.clone(), cache_context.clock.clone()),
            movies: Movies::new(store.clone(), cache_context, limits, cache_enabled),
            predictions: Predictions::new(store.clone(), cache_context, limits, cache_enabled, score_table),
            profiles: Profiles::new(store.clone(), cache_context, limits),
            status: StatusReport::new(store.clone(), targets.clone()),
            validation: Validation::new(store.clone(), Arc::clone(&reference), cache_context, limits, cache_enabled),
            reference,
            store: store.clone(),
            clock: cache_context.clock.clone(),
            person_quality: config.person_quality_enabled.unwrap_or(true),
            versions: cache_context.versions.clone(),
        }
    }

    /// Number of entries in this instance's caches `columns`, `predictions` and `validation` that depend on `scope`;
    /// all entries of these caches if it is `None`. The other caches are not counted.
    #[must_use]
    pub fn count_entries(&self, scope: Option<&Scope>) -> usize {
        self.predictions.count_entries(scope) + self.validation.count_entries(scope)
    }
}
