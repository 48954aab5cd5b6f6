//! Use cases: predict, validate, refresh, import. Decisions are made here, for every way in.
//!
//! SQL belongs in `store`, arithmetic in `scoring`, GraphQL and HTTP types in the storeys above.

pub mod catalogue;
mod error;
pub mod generate;
pub mod import;
pub mod predictions;
pub mod profiles;
pub mod refresh;
pub mod status;
pub mod validation;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Store, Versions};

pub use catalogue::Catalogue;
pub use error::ServiceError;
pub use predictions::Predictions;
pub use profiles::Profiles;
pub use status::StatusReport;
pub use validation::Validation;

/// The use cases that requests need, sharing one store.
#[derive(Debug)]
pub struct Services {
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
}

impl Services {
    /// Use cases over a store. Somebody must keep `versions` current, or what is in memory stays there.
    #[must_use]
    pub fn new(store: &Store, versions: &Versions, config: &Config, clock: &Clock) -> Self {
        Self {
            catalogue: Catalogue::new(store.clone(), versions.clone()),
            predictions: Predictions::new(store.clone(), versions.clone(), clock.clone()),
            profiles: Profiles::new(store.clone()),
            status: StatusReport::new(store.clone()),
            validation: Validation::new(store.clone(), versions.clone(), config.target_lists.clone()),
        }
    }
}
