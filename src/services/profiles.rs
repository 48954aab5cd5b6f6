//! Weight profiles: which there are, and whose taste a question is asked under.

use std::sync::Arc;

use super::ServiceError;
use crate::scoring::Weights;
use crate::store::{Profile, Store};

/// Profiles, read anew for each question.
#[derive(Debug)]
pub struct Profiles {
    store: Store,
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
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// All profiles, by name, the inactive ones too.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn all(&self) -> Result<Vec<Arc<Profile>>, ServiceError> {
        Ok(self.store.profiles().await?.into_iter().map(Arc::new).collect())
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
