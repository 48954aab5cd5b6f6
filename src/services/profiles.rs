//! Weight profiles: which there are, and whose taste a question is asked under.

use std::sync::Arc;

use super::ServiceError;
use super::caches::{CacheLimits, bytes_of};
use crate::cache::{Cache, Made, Surroundings};
use crate::scoring::Weights;
use crate::store::{Profile, Scope, Store, Versions};
use crate::telemetry::{CacheName, Source};

/// Profiles, in memory.
#[derive(Debug)]
pub struct Profiles {
    store: Store,
    versions: Versions,
    limits: CacheLimits,
    all: Cache<(), Vec<Arc<Profile>>, ServiceError>,
}

/// Weights, and the profile that they are of; none for weights of the caller's own.
#[derive(Debug, Clone)]
pub struct Taste {
    /// The weights.
    pub weights: Weights,
    /// Whose they are.
    pub profile: Option<Arc<Profile>>,
}

impl Taste {
    /// The taste of a profile.
    #[must_use]
    pub fn of(profile: &Arc<Profile>) -> Self {
        Self { weights: profile.weights, profile: Some(Arc::clone(profile)) }
    }
}

impl Profiles {
    pub(super) fn new(store: Store, around: &Surroundings, limits: &CacheLimits) -> Self {
        let all = Cache::new(limits.settings(CacheName::Profiles, 1), around);
        Self { store, versions: around.versions.clone(), limits: *limits, all }
    }

    /// All profiles, by name, the inactive ones too.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when they are not in memory and cannot be loaded.
    pub async fn all(&self) -> Result<Arc<Vec<Arc<Profile>>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let stamp = versions.stamp([Scope::Profiles]);
            let value: Vec<_> = store.profiles().await?.into_iter().map(Arc::new).collect();
            let bytes = bytes_of(&value, value.len() * size_of::<Profile>());
            Ok(Made { value, stamp, lifetime: limits.profiles(), bytes, source: Source::Database })
        };
        self.all.get((), load).await
    }
}

/// The taste of a named profile, or the default's, among all profiles.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown or inactive one, [`ServiceError::NotReady`] where no active profile is the
/// default.
pub fn taste(profiles: &[Arc<Profile>], name: Option<&str>) -> Result<Taste, ServiceError> {
    let found = match name {
        Some(name) => match profiles.iter().find(|profile| profile.name == name) {
            Some(profile) if profile.active => Ok(profile),
            Some(_) => Err(ServiceError::not_found("profile", format!("the profile \"{name}\" is not active"))),
            None => Err(ServiceError::not_found("profile", format!("there is no profile \"{name}\""))),
        },
        None => profiles.iter().find(|profile| profile.is_default && profile.active).ok_or(ServiceError::NotReady(
            "no active profile is the default: set is_default on one row of metric_weight_profiles, or name a profile \
             or weights in the query",
        )),
    };
    found.map(Taste::of)
}
