//! Manual hard invalidation, for when an operator knows that cached results are wrong.

use std::sync::Arc;

use super::{Administrator, ServiceError, Services};
use crate::scoring::Decade;
use crate::store::Profile;
use crate::versions::Scope;

/// What to invalidate.
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
    /// Results under the weights of the profile with this name.
    Profile(String),
}

/// Outcome of an invalidation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalidation {
    /// Scope of the invalidated results; `None` for all.
    pub scope: Option<Scope>,
    /// The profile, if one was named.
    pub profile: Option<Arc<Profile>>,
    /// Number of raised versions.
    pub versions: usize,
    /// Number of this instance's entries with scores, rankings or validations that were invalidated.
    pub entries: usize,
}

impl Services {
    /// Invalidates results on all instances for an administrator; the next requests recompute them.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an invalid decade, [`ServiceError::NotFound`] for an unknown list or profile,
    /// [`ServiceError::Store`] if the database is unavailable. Nothing is invalidated then.
    pub async fn invalidate(&self, by: &Administrator, target: Target) -> Result<Invalidation, ServiceError> {
        self.invalidate_target(Some(by.label()), target).await
    }

    /// Invalidates results on all instances for the command line, whose user has the credentials of the database.
    ///
    /// # Errors
    /// As [`Services::invalidate`].
    pub async fn invalidate_by_command(&self, target: Target) -> Result<Invalidation, ServiceError> {
        self.invalidate_target(None, target).await
    }

    /// Invalidates `target`, and logs it, with the label of the administrator if there is one.
    async fn invalidate_target(&self, admin: Option<&str>, target: Target) -> Result<Invalidation, ServiceError> {
        let (scope, profile) = self.resolve_target(target).await?;
        // Counted before they are invalidated: after that, every lookup of an invalidated entry removes it.
        let entries = self.count_entries(scope.as_ref());
        let versions = match &scope {
            Some(scope) => self.store.invalidate(scope, &self.versions).await.map(|()| 1),
            None => self.store.invalidate_all(self.reference.configured_targets(), &self.versions).await,
        }?;
        let (list, decade) = match &scope {
            Some(Scope::List(list, decade)) => (Some(list), Some(decade.year())),
            _ => (None, None),
        };
        let (all, profile_name) = (scope.is_none(), profile.as_ref().map(|profile| profile.name.as_str()));
        tracing::info!(
            admin,
            all,
            list,
            decade,
            profile = profile_name,
            versions,
            entries,
            "cached results invalidated"
        );
        Ok(Invalidation { scope, profile, versions, entries })
    }

    /// Finds the scope of a target. Reads lists and profiles from the database, because their cached values may be
    /// those that are wrong.
    async fn resolve_target(&self, target: Target) -> Result<(Option<Scope>, Option<Arc<Profile>>), ServiceError> {
        match target {
            Target::All => Ok((None, None)),
            Target::Decade { list, decade } => {
                let decade = Decade::starting(decade)
                    .map_err(|problem| ServiceError::invalid("scope.decade.decade", problem))?;
                let known = self.store.list_names(self.reference.configured_targets()).await?;
                if known.iter().any(|known| known.key == list) {
                    Ok((Some(Scope::List(list, decade)), None))
                } else {
                    Err(ServiceError::not_found(
                        "scope.decade.list",
                        format!("unknown list \"{list}\"; the query `lists` returns all keys"),
                    ))
                }
            }
            Target::Profile(name) => {
                let profile = self.store.profiles().await?.into_iter().find(|profile| profile.name == name);
                let profile = profile.ok_or_else(|| {
                    let problem = format!(
                        "unknown profile \"{name}\"; the query `profiles(activeOnly: false)` returns all names"
                    );
                    ServiceError::not_found("scope.profile", problem)
                })?;
                // Results are cached under the weights without the criteria that have no data.
                let weights = profile.weights.among(self.store.criteria_with_data().await?);
                Ok((Some(Scope::Weights(weights.fingerprint())), Some(Arc::new(profile))))
            }
        }
    }
}
