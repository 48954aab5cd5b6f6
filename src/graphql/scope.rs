//! What one operation shares between its resolvers: services, loaders, and what it has read already.

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use tokio::sync::OnceCell;

use super::batches::{AtOnce, Waiting};
use super::error::ApiError;
use super::loaders::Loaders;
use super::prediction::WeightsInput;
use crate::scoring::Weights;
use crate::services::profiles::{Taste, taste};
use crate::services::{ServiceError, Services};
use crate::store::{ListName, Profile};
use crate::telemetry::Metrics;

/// More keys than any page has: a batch is never split.
const BATCH_MAX: usize = 1_000_000;

/// Shared by the resolvers of one operation, and by nobody else.
pub(super) struct RequestScope {
    services: Arc<Services>,
    loaders: DataLoader<Loaders, HashMapCache>,
    profiles: OnceCell<Vec<Arc<Profile>>>,
    lists: OnceCell<Arc<[ListName]>>,
}

/// The weights and the list that a question is about.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) taste: Taste,
    pub(super) list: String,
}

impl Question {
    /// The same for the same ranking, whatever the profile is called.
    pub(super) fn key(&self) -> String {
        let shares = self.taste.weights.shares().map(|share| format!("{:016x}", share.to_bits()));
        format!("{} {}", self.list, shares.join(" "))
    }
}

impl RequestScope {
    /// A scope whose look-ups wait in `waiting` until they are run.
    pub(super) fn new(services: Arc<Services>, metrics: Metrics, waiting: Waiting) -> Self {
        let loaders = Loaders::new(Arc::clone(&services), metrics);
        let loaders = DataLoader::with_cache(loaders, waiting, AtOnce, HashMapCache::default());
        Self { services, loaders: loaders.max_batch_size(BATCH_MAX), profiles: OnceCell::new(), lists: OnceCell::new() }
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// One value, loaded together with those that other resolvers ask for.
    pub(super) async fn load<K>(&self, key: K) -> Result<Option<<Loaders as Loader<K>>::Value>, ApiError>
    where
        K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = ApiError>,
    {
        self.loaders.load_one(key).await
    }

    /// All profiles, by name.
    pub(super) async fn profiles(&self) -> Result<&[Arc<Profile>], ApiError> {
        let profiles = self.profiles.get_or_try_init(|| self.services.profiles.all()).await;
        profiles.map(Vec::as_slice).map_err(ApiError::from)
    }

    /// All lists, by key.
    pub(super) async fn lists(&self) -> Result<&[ListName], ApiError> {
        let read = || async { self.services.catalogue.lists().await.map(Into::into) };
        self.lists.get_or_try_init(read).await.map(AsRef::as_ref).map_err(ApiError::from)
    }

    /// A list that is there.
    pub(super) async fn list(&self, key: String) -> Result<String, ApiError> {
        if self.lists().await?.iter().any(|list| list.key == key) {
            Ok(key)
        } else {
            Err(ServiceError::not_found("list", format!("there is no list \"{key}\"")).into())
        }
    }

    /// The three arguments that every question about scores takes.
    pub(super) async fn question(
        &self,
        profile: Option<String>,
        weights: Option<WeightsInput>,
        list: String,
    ) -> Result<Question, ApiError> {
        let taste = match (profile, weights) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input("weights", "exclude a profile: give one of the two, or neither"));
            }
            (None, Some(weights)) => Taste { weights: Weights::try_from(weights)?, profile: None },
            (profile, None) => taste(self.profiles().await?, profile.as_deref())?,
        };
        Ok(Question { taste, list: self.list(list).await? })
    }
}

/// The scope of the operation that a resolver belongs to.
pub(super) fn scope<'a>(ctx: &Context<'a>) -> &'a RequestScope {
    ctx.data_unchecked()
}
