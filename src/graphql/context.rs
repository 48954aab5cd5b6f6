//! Request context: what the resolvers of one operation share (services, data loaders, reference data already read).

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::batch_scheduler::{NoDelay, PendingBatches};
use super::error::ApiError;
use super::loaders::Loaders;
use super::metrics::GraphqlMetrics;
use super::pagination::CursorScope;
use super::types::weights::WeightsInput;
use crate::cache::DependencyScope;
use crate::scoring::Weights;
use crate::services::profiles::{WeightSelection, selection};
use crate::services::reference::Reference;
use crate::services::validation::TestedWeights;
use crate::services::{ServiceError, Services};
use crate::store::{ListSummary, Profile};
use crate::versions::Epoch;

/// Maximum number of keys in a batch. Far above the number of keys that an operation can request within the usual limit
/// of its cost, so that a batch is not split. The library's default of 1,000 is below the keys of one page: 100 movies
/// with 100 people each.
const BATCH_MAX: usize = 1_000_000;

/// State of one operation, shared by its resolvers only.
pub(super) struct RequestContext {
    services: Arc<Services>,
    /// Epoch of the data when the operation started, for its cursors.
    epoch: Epoch,
    loaders: DataLoader<Loaders, HashMapCache>,
    profiles: OnceCell<Arc<Vec<Arc<Profile>>>>,
    reference: OnceCell<Arc<Reference>>,
    list_summaries: OnceCell<Arc<Vec<ListSummary>>>,
}

/// What a ranking depends on: weights and target list.
#[derive(Debug, Clone)]
pub(super) struct RankingParams {
    pub(super) selection: WeightSelection,
    /// Whether the weights equal those of no profile. There may be any number of such weights, so their results are
    /// cached in a small space of their own.
    pub(super) custom: bool,
    pub(super) list: String,
}

impl RankingParams {
    /// The weights in the form that the validation service takes.
    pub(super) fn for_validation(&self) -> TestedWeights {
        TestedWeights { weights: self.selection.weights, custom: self.custom }
    }

    /// Text that identifies the ranking: the list and the exact bits of the weights. The same for a profile and for
    /// equal weights that a client sends.
    pub(super) fn key(&self) -> String {
        let shares = self.selection.weights.shares().map(|share| format!("{:016x}", share.to_bits()));
        format!("{} {}", self.list, shares.join(" "))
    }
}

impl RequestContext {
    /// A context whose data loaders queue their batches in `batches`.
    pub(super) fn new(services: Arc<Services>, metrics: GraphqlMetrics, batches: PendingBatches) -> Self {
        let loaders = Loaders::new(Arc::clone(&services), metrics);
        let loaders = DataLoader::with_cache(loaders, batches, NoDelay, HashMapCache::default());
        Self {
            // Read here, before any data is loaded, as `CursorScope::of` requires.
            epoch: services.versions.epoch(),
            services,
            loaders: loaders.max_batch_size(BATCH_MAX),
            profiles: OnceCell::new(),
            reference: OnceCell::new(),
            list_summaries: OnceCell::new(),
        }
    }

    pub(super) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The scope of cursors into the list that `parts` determine.
    pub(super) fn cursors(&self, parts: &[&str]) -> CursorScope {
        CursorScope::of(self.epoch, parts)
    }

    /// Loads the value of `key` in a batch with the keys that other resolvers request. `None` if there is no such
    /// value.
    ///
    /// The future is boxed to make it small. All fields of a type have futures of the same size, that of the largest
    /// one, and they are moved: otherwise even a plain title would cost as much as a field that loads.
    pub(super) fn load<K>(&self, key: K) -> BoxFuture<'_, Result<Option<<Loaders as Loader<K>>::Value>, ApiError>>
    where
        K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = ApiError>,
    {
        self.loaders.load_one(key).boxed()
    }

    /// All profiles, ordered by name. Read once per operation, so that all of its resolvers see the same profiles.
    pub(super) async fn profiles(&self) -> Result<&[Arc<Profile>], ApiError> {
        let profiles = self.profiles.get_or_try_init(|| self.services.profiles.all()).await;
        profiles.map(|profiles| profiles.as_slice()).map_err(ApiError::from)
    }

    /// The names of lists, genres and countries. Read once per operation.
    pub(super) async fn reference(&self) -> Result<&Reference, ApiError> {
        let reference = self.reference.get_or_try_init(|| self.services.reference.names()).await;
        reference.map(AsRef::as_ref).map_err(ApiError::from)
    }

    /// The movie counts of all lists. Read once per operation.
    pub(super) async fn list_summaries(&self) -> Result<&[ListSummary], ApiError> {
        let summaries = self.list_summaries.get_or_try_init(|| self.services.reference.list_summaries()).await;
        summaries.map(|summaries| summaries.as_slice()).map_err(ApiError::from)
    }

    /// Returns `key` if it is the key of a list.
    ///
    /// # Errors
    /// `NOT_FOUND` if it is not.
    pub(super) async fn list(&self, key: String) -> Result<String, ApiError> {
        if self.reference().await?.lists.iter().any(|list| list.key == key) {
            Ok(key)
        } else {
            Err(ServiceError::not_found("list", format!("unknown list \"{key}\"; the query `lists` returns all keys"))
                .into())
        }
    }

    /// Resolves `profile`, `weights` and `list`, the arguments of every query that ranks by one set of weights.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if both `profile` and `weights` are given or the weights are invalid, `NOT_FOUND` if the
    /// profile or the list does not exist.
    pub(super) async fn ranking_params(
        &self,
        profile: Option<String>,
        weights: Option<WeightsInput>,
        list: String,
    ) -> Result<RankingParams, ApiError> {
        let selection = match (profile, weights) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input("weights", "cannot be combined with `profile`: pass one, or neither"));
            }
            (None, Some(weights)) => WeightSelection { weights: Weights::try_from(weights)?, profile: None },
            (profile, None) => selection(self.profiles().await?, profile.as_deref())?,
        };
        let weights = selection.weights;
        let custom =
            selection.profile.is_none() && !self.profiles().await?.iter().any(|profile| profile.weights == weights);
        if custom && let Some(dependencies) = DependencyScope::current() {
            dependencies.record_custom();
        }
        Ok(RankingParams { selection, custom, list: self.list(list).await? })
    }
}

/// The request context of the operation that a resolver belongs to.
pub(super) fn context<'a>(ctx: &Context<'a>) -> &'a RequestContext {
    ctx.data_unchecked()
}
