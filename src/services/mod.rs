//! Use cases: predict, validate, refresh, import. All decisions are made here, for every entry point.
//!
//! SQL belongs in `store`, arithmetic in `scoring`, GraphQL and HTTP types in the layers above.

pub mod auth;
pub mod cache_policy;
pub mod catalogue;
pub mod drain;
mod error;
pub mod generate;
pub mod import;
pub mod invalidation;
pub mod live_updates;
pub mod predictions;
pub mod profiles;
pub mod refresh;
pub mod refresh_request;
pub mod status;
pub mod validation;
pub mod warming;

use crate::breaker::{Breaker, BreakerMetrics, BreakerName};
use crate::cache::CacheContext;
use crate::config::Config;
use crate::store::Store;
use crate::versions::{Scope, Versions};

pub use auth::{Administrator, Authenticator, Bearer};
pub use cache_policy::CacheLimits;
pub use catalogue::Catalogue;
pub use error::ServiceError;
pub use predictions::Predictions;
pub use profiles::Profiles;
pub use status::StatusReport;
pub use validation::Validation;

/// The use cases of requests, over one store.
#[derive(Debug)]
pub struct Services {
    /// Authentication of administrators.
    pub auth: Authenticator,
    /// Movies, lists and details.
    pub catalogue: Catalogue,
    /// Rankings.
    pub predictions: Predictions,
    /// Weight profiles.
    pub profiles: Profiles,
    /// Service status.
    pub status: StatusReport,
    /// Backtests.
    pub validation: Validation,
    /// Current data versions.
    pub versions: Versions,
    store: Store,
}

impl Services {
    /// Creates the use cases. The caller keeps the versions of `cache_context` current; otherwise cached values miss
    /// changes.
    #[must_use]
    pub fn new(store: &Store, cache_context: &CacheContext, config: &Config, breakers: &BreakerMetrics) -> Self {
        let (limits, keep) = (&CacheLimits::from(config), config.cache_enabled);
        let score_table = Breaker::new(BreakerName::ScoreTable, breakers.clone());
        Self {
            auth: Authenticator::of(config.admin_tokens_file.clone()),
            catalogue: Catalogue::new(store.clone(), cache_context, limits, keep),
            predictions: Predictions::new(store.clone(), cache_context, limits, keep, score_table),
            profiles: Profiles::new(store.clone(), cache_context, limits),
            store: store.clone(),
            status: StatusReport::new(store.clone()),
            validation: Validation::new(store.clone(), cache_context, limits, keep, config.target_lists.clone()),
            versions: cache_context.versions.clone(),
        }
    }

    /// Number of this instance's cached entries that depend on `scope`; all entries if it is `None`.
    #[must_use]
    pub fn count_entries(&self, scope: Option<&Scope>) -> usize {
        self.predictions.count_entries(scope) + self.validation.count_entries(scope)
    }
}

/// Applies the versions of a change that was just committed, without waiting for the version listener.
async fn see_changes(store: &Store, versions: &Versions) {
    // The change is committed even if this fails; the version listener applies it a moment later.
    if let Err(error) = store.read_versions(versions).await {
        tracing::warn!(%error, "cannot read the data versions after a change; the version listener will apply them");
    }
}
