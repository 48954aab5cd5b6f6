//! Weight profiles: reading, selecting and changing them.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cache_policy::{CacheLimits, estimated_size, share};
use super::learned::{RankedBy, ServedModel};
use super::{Administrator, ServiceError};
use crate::cache::{Cache, CacheContext, CacheName, DataSource, Loaded};
use crate::clock::Clock;
use crate::scoring::{CriteriaWithData, Weights, fold_title};
use crate::store::{Profile, ProfileChanges, ProfileDraft, ProfileId, Store, StoreError, retry_conflicts};
use crate::versions::{Scope, Versions};

/// Maximum length of a name in characters: the size of the database column.
const NAME_MAX: usize = 255;

/// Maximum length of a description in characters. A choice, since the database column has no limit.
const DESCRIPTION_MAX: usize = 2_000;

/// Unique index on profile names.
const NAME_INDEX: &str = "metric_weight_profiles_name_index";

/// Reads profiles, which are cached, and changes them.
#[derive(Debug)]
pub struct Profiles {
    store: Store,
    versions: Versions,
    clock: Clock,
    limits: CacheLimits,
    all: Cache<(), Vec<Arc<Profile>>, ServiceError>,
}

/// Weights to rank by, and the profile that they are from.
#[derive(Debug, Clone)]
pub struct WeightSelection {
    /// The weights of the profile or the custom weights, without the criteria that have no data.
    pub weights: Weights,
    /// Profile of the weights; `None` for custom weights.
    pub profile: Option<Arc<Profile>>,
    /// The learned ranking that orders the movies, while the scores are those of the weights; `None` if the scores do.
    pub model: Option<ServedModel>,
}

impl WeightSelection {
    /// Selects the weights of a profile.
    #[must_use]
    pub fn of(profile: &Arc<Profile>, criteria: CriteriaWithData) -> Self {
        Self { weights: profile.weights.among(criteria), profile: Some(Arc::clone(profile)), model: None }
    }

    /// Selects custom weights.
    #[must_use]
    pub fn custom(weights: Weights, criteria: CriteriaWithData) -> Self {
        Self { weights: weights.among(criteria), profile: None, model: None }
    }

    /// What movies are ranked by.
    #[must_use]
    pub fn ranked_by(&self) -> RankedBy {
        RankedBy { weights: self.weights, model: self.model.clone() }
    }
}

impl Profiles {
    pub(super) fn new(store: Store, cache_context: &CacheContext, limits: &CacheLimits) -> Self {
        let all = Cache::new(limits.settings(CacheName::Profiles, share::PROFILES), cache_context);
        Self {
            store,
            versions: cache_context.versions.clone(),
            clock: cache_context.clock.clone(),
            limits: *limits,
            all,
        }
    }

    /// All profiles, including inactive ones, sorted by name.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn all(&self) -> Result<Arc<Vec<Arc<Profile>>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let version_set = versions.set_of([Scope::Profiles]);
            let value: Vec<_> = store.profiles().await?.into_iter().map(Arc::new).collect();
            let bytes = estimated_size(&value, value.len() * size_of::<Profile>());
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.all.get((), load).await
    }

    /// Creates a profile, which is neither the default nor a system profile.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an invalid name or description, [`ServiceError::Conflict`] for a duplicate name,
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn create(&self, by: &Administrator, draft: ProfileDraft) -> Result<Arc<Profile>, ServiceError> {
        check(&draft)?;
        retry_conflicts(ServiceError::is_conflict, || self.create_once(by, &draft)).await
    }

    async fn create_once(&self, by: &Administrator, draft: &ProfileDraft) -> Result<Arc<Profile>, ServiceError> {
        let mut changes = self.store.change_profiles().await?;
        let id = changes.insert(draft, self.clock.now()).await.map_err(refused)?;
        let profile = existing(&mut changes, id).await?;
        changes.commit(&self.versions).await?;
        let (admin, id) = (by.label(), id.0);
        tracing::info!(admin, profile = profile.name, id, weights = ?profile.weights.shares(), "profile created");
        Ok(Arc::new(profile))
    }

    /// Replaces the state of a profile by a draft. `expected` is the time of the last change that the caller knows of
    /// (optimistic concurrency); `None` replaces any state.
    ///
    /// # Errors
    /// As [`Profiles::create`]; [`ServiceError::NotFound`] for an unknown profile, [`ServiceError::Conflict`] for a
    /// profile that was changed since `expected`, [`ServiceError::Forbidden`] for deactivating the default.
    pub async fn update(
        &self,
        by: &Administrator,
        id: ProfileId,
        draft: ProfileDraft,
        expected: Option<DateTime<Utc>>,
    ) -> Result<Arc<Profile>, ServiceError> {
        check(&draft)?;
        retry_conflicts(ServiceError::is_conflict, || self.update_once(by, id, &draft, expected)).await
    }

    async fn update_once(
        &self,
        by: &Administrator,
        id: ProfileId,
        draft: &ProfileDraft,
        expected: Option<DateTime<Utc>>,
    ) -> Result<Arc<Profile>, ServiceError> {
        let mut changes = self.store.change_profiles().await?;
        let before = existing(&mut changes, id).await?;
        if expected.is_some_and(|expected| expected != before.updated_at) {
            let problem = format!(
                "the profile was changed at {}: read it again and repeat the change",
                before.updated_at.to_rfc3339()
            );
            return Err(ServiceError::conflict("expectedUpdatedAt", problem));
        }
        if before.is_default && !draft.active {
            return Err(ServiceError::forbidden(
                "input.active",
                "the default profile cannot be deactivated: make another one the default first",
            ));
        }
        let now = self.clock.now();
        changes.update(id, draft, now).await.map_err(refused)?;
        // Writing the weights would replace the category weights of the host application, which they may have been
        // computed from, by others that only map back to the same weights.
        if draft.weights != before.weights {
            changes.set_weights(id, draft.weights, now).await?;
        }
        let after = existing(&mut changes, id).await?;
        changes.commit(&self.versions).await?;
        tracing::info!(
            admin = by.label(),
            profile = before.name,
            id = id.0,
            changed = differences(&before, &after),
            "profile updated"
        );
        Ok(Arc::new(after))
    }

    /// Deletes a profile.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown profile, [`ServiceError::Forbidden`] for a system profile or the
    /// default, [`ServiceError::Store`] if the database is unavailable.
    pub async fn delete(&self, by: &Administrator, id: ProfileId) -> Result<(), ServiceError> {
        retry_conflicts(ServiceError::is_conflict, || self.delete_once(by, id)).await
    }

    async fn delete_once(&self, by: &Administrator, id: ProfileId) -> Result<(), ServiceError> {
        let mut changes = self.store.change_profiles().await?;
        let before = existing(&mut changes, id).await?;
        if before.is_system {
            return Err(ServiceError::forbidden("id", "a system profile cannot be deleted; it can be deactivated"));
        }
        if before.is_default {
            return Err(ServiceError::forbidden(
                "id",
                "the default profile cannot be deleted: make another one the default first",
            ));
        }
        changes.delete(id).await?;
        changes.commit(&self.versions).await?;
        let weights = before.weights.shares();
        tracing::info!(admin = by.label(), profile = before.name, id = id.0, ?weights, "profile deleted");
        Ok(())
    }

    /// Makes a profile the default instead of the current one.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown profile, [`ServiceError::Forbidden`] for an inactive one,
    /// [`ServiceError::Conflict`] if another application changes the default at the same time, [`ServiceError::Store`]
    /// if the database is unavailable.
    pub async fn make_default(&self, by: &Administrator, id: ProfileId) -> Result<Arc<Profile>, ServiceError> {
        retry_conflicts(ServiceError::is_conflict, || self.make_default_once(by, id)).await
    }

    async fn make_default_once(&self, by: &Administrator, id: ProfileId) -> Result<Arc<Profile>, ServiceError> {
        let mut changes = self.store.change_profiles().await?;
        let before = existing(&mut changes, id).await?;
        if !before.active {
            return Err(ServiceError::forbidden("id", "an inactive profile cannot be the default: activate it first"));
        }
        changes.make_default(id, self.clock.now()).await.map_err(refused)?;
        changes.record_default_choice().await?;
        let after = existing(&mut changes, id).await?;
        changes.commit(&self.versions).await?;
        tracing::info!(admin = by.label(), profile = after.name, id = id.0, "profile made the default");
        Ok(Arc::new(after))
    }
}

/// Reads a profile, which stays locked until the end of the transaction.
async fn existing(changes: &mut ProfileChanges, id: ProfileId) -> Result<Profile, ServiceError> {
    changes.profile(id).await?.ok_or_else(|| {
        ServiceError::not_found(
            "id",
            "there is no such profile; the query `profiles(activeOnly: false)` returns all IDs",
        )
    })
}

fn check(draft: &ProfileDraft) -> Result<(), ServiceError> {
    if draft.name.trim().is_empty() {
        return Err(ServiceError::invalid("input.name", "is empty"));
    }
    let description = draft.description.as_deref().unwrap_or_default();
    for (field, text, max) in
        [("input.name", draft.name.as_str(), NAME_MAX), ("input.description", description, DESCRIPTION_MAX)]
    {
        let length = text.chars().count();
        if length > max {
            return Err(ServiceError::invalid(field, format!("has {length} characters, expected {max} at most")));
        }
        if text.contains('\0') {
            return Err(ServiceError::invalid(field, "contains a NUL character"));
        }
    }
    Ok(())
}

/// Maps a unique violation to a conflict.
fn refused(error: StoreError) -> ServiceError {
    match error.duplicate_in() {
        Some(NAME_INDEX) => ServiceError::conflict("input.name", "another profile has this name"),
        // The only other unique index is that of the default.
        Some(_) => {
            ServiceError::conflict("id", "the default changed at the same time: read the profiles again, and retry")
        }
        None => error.into(),
    }
}

/// The fields that differ, for the log: with both values, except for the description, which may be long.
fn differences(before: &Profile, after: &Profile) -> String {
    let mut found = Vec::new();
    if before.name != after.name {
        found.push(format!("name: {:?} -> {:?}", before.name, after.name));
    }
    if before.description != after.description {
        found.push("description".to_owned());
    }
    if before.weights != after.weights {
        found.push(format!("weights: {:?} -> {:?}", before.weights.shares(), after.weights.shares()));
    }
    if before.active != after.active {
        found.push(format!("active: {} -> {}", before.active, after.active));
    }
    found.join("; ")
}

/// The profile with this name; if there is none, the one whose name differs only in case and accents.
#[must_use]
pub fn named<'a>(profiles: &'a [Arc<Profile>], name: &str) -> Option<&'a Arc<Profile>> {
    let folded = fold_title(name);
    let is_similar = |profile: &&Arc<Profile>| fold_title(&profile.name) == folded;
    profiles.iter().find(|profile| profile.name == name).or_else(|| profiles.iter().find(is_similar))
}

/// Selects the weights of the profile `name`, or of the default profile if it is `None`, from all profiles. `criteria` are
/// those that have data.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown or inactive profile, [`ServiceError::NotReady`] if no active profile is
/// the default.
pub fn selection(
    profiles: &[Arc<Profile>],
    name: Option<&str>,
    criteria: CriteriaWithData,
) -> Result<WeightSelection, ServiceError> {
    let found = match name {
        Some(name) => match named(profiles, name) {
            Some(profile) if profile.active => Ok(profile),
            Some(_) => Err(ServiceError::not_found(
                "profile",
                format!("the profile \"{name}\" is not active; the query `profiles` returns the active ones"),
            )),
            None => Err(ServiceError::not_found(
                "profile",
                format!("unknown profile \"{name}\"; the query `profiles` returns all names"),
            )),
        },
        None => profiles.iter().find(|profile| profile.is_default && profile.active).ok_or(ServiceError::NotReady(
            "no active profile is the default: set is_default on one row of metric_weight_profiles, or name a profile \
             or weights in the query",
        )),
    };
    found.map(|profile| WeightSelection::of(profile, criteria))
}
