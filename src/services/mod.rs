//! Use cases: predict, validate, refresh, import. Decisions are made here, for every way in.
//!
//! SQL belongs in `store`, arithmetic in `scoring`, GraphQL and HTTP types in the storeys above.

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

use crate::breaker::BreakerSettings;
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

/// The use cases that requests need, sharing one store.
#[derive(Debug)]
pub struct Services {
    /// Who may change things.
    pub auth: Authenticator,
    /// Movies, lists and what hangs on them.
    pub catalogue: Catalogue,
    /// Rankings.
    pub predictions: Predictions,
    /// Weight profiles.
    pub profiles: Profiles,
    /// How the service is.
    pub status: StatusReport,
    /// Backtests.
    pub validation: Validation,
    /// How new answers must be.
    pub versions: Versions,
    store: Store,
}

impl Services {
    /// Use cases over a store. Somebody must keep the versions of `around` current, or what is in memory stays there.
    #[must_use]
    pub fn new(store: &Store, cache_context: &CacheContext, config: &Config) -> Self {
        let (limits, keep) = (&CacheLimits::from(config), config.cache_enabled);
        Self {
            auth: Authenticator::of(config.admin_tokens_file.clone()),
            catalogue: Catalogue::new(store.clone(), cache_context, limits, keep),
            predictions: Predictions::new(store.clone(), cache_context, limits, keep, BreakerSettings::from(config)),
            profiles: Profiles::new(store.clone(), cache_context, limits),
            store: store.clone(),
            status: StatusReport::new(store.clone()),
            validation: Validation::new(store.clone(), cache_context, limits, keep, config.target_lists.clone()),
            versions: cache_context.versions.clone(),
        }
    }

    /// How many values that this instance keeps depend on `scope`; all of them where none is named.
    #[must_use]
    pub fn count_entries(&self, scope: Option<&Scope>) -> usize {
        self.predictions.count_entries(scope) + self.validation.count_entries(scope)
    }
}

/// Lets this instance see at once what it has just committed, without waiting to be told.
async fn see_changes(store: &Store, versions: &Versions) {
    // The change is made, whatever becomes of this; who follows the versions will tell of it a moment later.
    if let Err(error) = store.read_versions(versions).await {
        tracing::warn!(%error, "a change is made but not seen yet");
    }
}
