//! Invalidation by hand, for when somebody knows better than the versions that an answer is wrong.

use std::sync::Arc;

use super::{Administrator, ServiceError, Services, see_changes};
use crate::scoring::Decade;
use crate::store::Profile;
use crate::versions::Scope;

/// What somebody wants to be invalidated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    All,
    /// Predictions and confirmed additions of a list in a decade, by its first year.
    Decade {
        /// The list's key.
        list: String,
        /// The decade's first year.
        decade: i32,
    },
    /// Answers under the weights of a profile, by its name.
    Profile(String),
}

/// What was invalidated.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalidation {
    /// What answers must depend on to be concerned; none for all of them.
    pub scope: Option<Scope>,
    /// Whose weights these are, where a profile was named.
    pub profile: Option<Arc<Profile>>,
    /// How many versions were raised.
    pub versions: usize,
    /// How many values of this instance that concerns.
    pub entries: usize,
}

impl Services {
    /// Makes every instance compute anew what is named, before it answers the next question about it.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the decade is none, [`ServiceError::NotFound`] when there is no such list or
    /// profile, [`ServiceError::Store`] when the database does not answer; nothing is invalidated then.
    pub async fn invalidate(&self, by: &Administrator, target: Target) -> Result<Invalidation, ServiceError> {
        let (scope, profile) = self.resolve_target(target).await?;
        let versions = match &scope {
            Some(scope) => self.store.invalidate(scope).await.map(|()| 1),
            None => self.store.invalidate_all().await,
        }?;
        let entries = self.count_entries(scope.as_ref());
        see_changes(&self.store, &self.versions).await;
        let name = profile.as_ref().map(|profile| profile.name.as_str());
        tracing::info!(admin = by.label(), ?scope, profile = name, versions, entries, "invalidated");
        Ok(Invalidation { scope, profile, versions, entries })
    }

    async fn resolve_target(&self, target: Target) -> Result<(Option<Scope>, Option<Arc<Profile>>), ServiceError> {
        match target {
            Target::All => Ok((None, None)),
            Target::Decade { list, decade } => {
                let decade = Decade::starting(decade)
                    .map_err(|problem| ServiceError::invalid("scope.decade.decade", problem))?;
                if self.store.list_names().await?.iter().any(|known| known.key == list) {
                    Ok((Some(Scope::List(list, decade)), None))
                } else {
                    Err(ServiceError::not_found("scope.decade.list", format!("there is no list \"{list}\"")))
                }
            }
            Target::Profile(name) => {
                let profile = self.store.profiles().await?.into_iter().find(|profile| profile.name == name);
                let profile = profile.ok_or_else(|| {
                    ServiceError::not_found("scope.profile", format!("there is no profile \"{name}\""))
                })?;
                Ok((Some(Scope::Weights(profile.weights.fingerprint())), Some(Arc::new(profile))))
            }
        }
    }
}
