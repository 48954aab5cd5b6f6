//! Request context: what the resolvers of one operation share (services, data loaders, reference data already read).

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::batch_scheduler::{NoDelay, PendingBatches};
use super::error::ApiError;
use super::loaders::{HitRatesOf, Loaders};
use super::metrics::GraphqlMetrics;
use super::pagination::CursorScope;
use super::types::weights::WeightsInput;
use crate::cache::DependencyScope;
use crate::scoring::{Criterion, Decade, Weights};
use crate::services::learned::RankingKind;
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
    /// What the client has asked for. If it is a learned ranking and the selection has no model, none is served.
    pub(super) ranking: RankingKind,
}

impl RankingParams {
    /// What the movies are ranked by.
    pub(super) fn ranked_by(&self) -> RankingKind {
        if self.selection.model.is_some() { self.ranking } else { RankingKind::Formula }
    }

    /// The weights in the form that the validation service takes.
    pub(super) fn for_validation(&self) -> TestedWeights {
        TestedWeights { weights: self.selection.weights, custom: self.custom, model: self.selection.model.clone() }
    }

    /// Key of the hit rates of this ranking for candidates of a decade.
    pub(super) fn hit_rates(&self, decade: Decade) -> HitRatesOf {
        HitRatesOf { list: self.list.clone(), weights: self.for_validation(), decade, ranking: self.key() }
    }

    /// Text that identifies the ranking: the list, the exact bits of the weights, and what ranks. The same for a profile and
    /// for equal weights that a client sends, and for each version of a learned ranking: a new one changes scores.
    pub(super) fn key(&self) -> String {
        let shares = self.selection.weights.shares().map(|share| format!("{:016x}", share.to_bits()));
        let ranking = match self.ranked_by() {
            RankingKind::Formula => String::new(),
            learned => format!(" {learned:?}"),
        };
        format!("{} {}{ranking}", self.list, shares.join(" "))
    }

    /// List, weights and ranking of a [`key`](Self::key); `None` if the text is none.
    fn read_key(key: &str) -> Option<(&str, Weights, RankingKind)> {
        let learned = [RankingKind::Learned, RankingKind::LearnedWithoutLists];
        let named = learned.into_iter().find_map(|kind| Some((key.strip_suffix(&format!(" {kind:?}"))?, kind)));
        let (mut list, ranking) = named.unwrap_or((key, RankingKind::Formula));
        let mut shares = [0.0; Criterion::COUNT];
        for share in shares.iter_mut().rev() {
            let (before, bits) = list.rsplit_once(' ')?;
            *share = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
            list = before;
        }
        Some((list, Weights::normalised(shares).ok()?, ranking))
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

    /// Whether `key` is the key of a list.
    async fn has_list(&self, key: &str) -> Result<bool, ApiError> {
        Ok(self.reference().await?.lists.iter().any(|list| list.key == key))
    }

    /// Returns `key` if it is the key of a list, and the default list for `None`.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such list.
    pub(super) async fn list(&self, key: Option<String>) -> Result<String, ApiError> {
        let key = match key {
            Some(key) => key,
            None => self.reference().await?.default_list.clone(),
        };
        if self.has_list(&key).await? {
            Ok(key)
        } else {
            Err(ServiceError::not_found("list", format!("unknown list \"{key}\"; the query `lists` returns all keys"))
                .into())
        }
    }

    /// The decade that begins with this year; the default decade for `None`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if no decade begins with this year.
    pub(super) async fn decade(&self, year: Option<i32>) -> Result<Decade, ApiError> {
        match year {
            Some(year) => Ok(Decade::starting(year).map_err(ServiceError::from)?),
            None => Ok(self.reference().await?.default_decade),
        }
    }

    /// Resolves `profile`, `weights`, `list` and `ranking`, the arguments of every query that ranks. If no learned ranking
    /// of the list is served, the formula ranks in its place.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if more than one of `profile`, `weights` and a learned `ranking` is given or the weights are
    /// invalid, `NOT_FOUND` if the profile or the list does not exist.
    pub(super) async fn ranking_params(
        &self,
        profile: Option<String>,
        weights: Option<WeightsInput>,
        list: Option<String>,
        ranking: RankingKind,
    ) -> Result<RankingParams, ApiError> {
        if ranking.variant().is_some() && (profile.is_some() || weights.is_some()) {
            return Err(ApiError::bad_input(
                "ranking",
                "a learned ranking has no profile and no weights: leave both out, or pass `FORMULA`",
            ));
        }
        let criteria = self.reference().await?.criteria;
        let selection = match (profile, weights) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input("weights", "cannot be combined with `profile`: pass one, or neither"));
            }
            (None, Some(weights)) => WeightSelection::custom(Weights::try_from(weights)?, criteria),
            (profile, None) => selection(self.profiles().await?, profile.as_deref(), criteria)?,
        };
        let custom = selection.profile.is_none() && self.profile_of(&selection).await?.is_none();
        let list = self.list(list).await?;
        self.ranked_with(selection, custom, list, ranking).await
    }

    /// The ranking with this [`key`](RankingParams::key), under the profile that has its weights, if there is one. `None` if
    /// there is no such ranking, or no longer: the list was deleted, or the learned ranking is not served.
    pub(super) async fn ranking_of(&self, key: &str) -> Result<Option<RankingParams>, ApiError> {
        let Some((list, weights, ranking)) = RankingParams::read_key(key) else { return Ok(None) };
        if !self.has_list(list).await? {
            return Ok(None);
        }
        let selection = WeightSelection::custom(weights, self.reference().await?.criteria);
        let profile = self.profile_of(&selection).await?;
        let custom = profile.is_none();
        let params =
            self.ranked_with(WeightSelection { profile, ..selection }, custom, list.to_owned(), ranking).await?;
        Ok((params.ranked_by() == ranking).then_some(params))
    }

    /// The profile with these weights, the default one first.
    async fn profile_of(&self, selection: &WeightSelection) -> Result<Option<Arc<Profile>>, ApiError> {
        let criteria = self.reference().await?.criteria;
        let same = |profile: &&Arc<Profile>| profile.weights.among(criteria) == selection.weights;
        Ok(self.profiles().await?.iter().filter(same).max_by_key(|profile| profile.is_default).cloned())
    }

    async fn ranked_with(
        &self,
        selection: WeightSelection,
        custom: bool,
        list: String,
        ranking: RankingKind,
    ) -> Result<RankingParams, ApiError> {
        if custom && let Some(dependencies) = DependencyScope::current() {
            dependencies.record_custom();
        }
        let model = self.services.learned.served_as(&list, ranking).await?;
        Ok(RankingParams { selection: WeightSelection { model, ..selection }, custom, list, ranking })
    }
}

/// The request context of the operation that a resolver belongs to.
pub(super) fn context<'a>(ctx: &Context<'a>) -> &'a RequestContext {
    ctx.data_unchecked()
}
