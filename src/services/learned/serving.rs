//! Serving learned rankings: the model of a list, and the scores of a decade's movies.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Datelike;

use super::kind::RankingKind;
use crate::cache::{Cache, CacheContext, CacheName, DataSource, Key, Loaded};
use crate::scoring::learned::{DecadeCodes, Explanation, LearnedRanking, ReasonContext, Variant, probability};
use crate::scoring::{Decade, MovieId, ScoreColumns, Weights};
use crate::services::ServiceError;
use crate::services::cache_policy::{CacheLimits, estimated_size, share};
use crate::services::import::language_name;
use crate::store::{ListName, ModelCodes, ModelStatus, ModelVersion, Movie, Store, StoreError, Task};
use crate::versions::{Scope, VersionSet, Versions};

/// Fewest groups of features of which something must be known before a probability is shown. A choice: of four groups, one
/// or two usually repeat how well known a movie is.
const KNOWN_GROUPS_MIN: u8 = 4;

/// Estimated memory of a model and of the report of a version.
const MODEL_BYTES: usize = 600 * 1024;
const REPORT_BYTES: usize = 8 * 1024;

/// The learned rankings of all lists.
#[derive(Debug, Clone)]
pub struct LearnedRankings {
    store: Store,
    versions: Versions,
    limits: CacheLimits,
    /// By list.
    models: Cache<ListKey, Vec<Arc<ModelState>>, ServiceError>,
    /// By id of the version, which never changes its model.
    rankings: Cache<VersionKey, Option<Arc<LearnedRanking>>, ServiceError>,
    columns: Cache<ColumnsKey, Option<Arc<LearnedColumns>>, ServiceError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ListKey(String);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct VersionKey(i64);
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ColumnsKey {
    list: String,
    version: i64,
    decade: Decade,
}

impl Key for ListKey {}
impl Key for VersionKey {}
impl Key for ColumnsKey {}

/// What is known of a ranking: the version that is served, and the last training.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelState {
    /// Whether other lists are inputs.
    pub variant: Variant,
    /// The version that is served; `None` if none was accepted, or a newer program cannot read its model.
    pub served: Option<ModelVersion>,
    /// The last training, of which a refusal says why the list is not learnable.
    pub latest: ModelVersion,
}

/// A model that is served.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// Key of the target list.
    pub list: String,
    /// Id of the version.
    pub version: i64,
    /// The model.
    pub ranking: Arc<LearnedRanking>,
}

/// What movies are ranked by: a learned ranking, or the formula.
#[derive(Debug, Clone)]
pub struct RankedBy {
    /// Weights of the formula, whose scores are shown in any case.
    pub weights: Weights,
    /// The learned ranking that orders the movies; `None` for the formula.
    pub model: Option<ServedModel>,
}

/// Scores of a decade's movies under one version.
#[derive(Debug)]
pub struct LearnedColumns {
    /// By ascending id.
    movies: Vec<MovieId>,
    /// Log-odds.
    scores: Vec<f64>,
    /// Number of groups of which something is known.
    known: Vec<u8>,
    codes: DecadeCodes,
    /// Number of groups that the model has.
    total_groups: u8,
    /// The last columns that these were read beside, by their order, and the place here of the movie in each row.
    places: Mutex<Option<OrderAndPlaces>>,
}

/// The order of other columns ([`ScoreColumns::rows_by_id`]), and places by their rows.
type OrderAndPlaces = (Arc<[u32]>, Arc<[u32]>);

/// The place of a movie that the model has not scored yet.
const NOWHERE: u32 = u32::MAX;

/// What a learned ranking says about a movie.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LearnedScore {
    /// Id of the version.
    pub version: i64,
    /// Log-odds that the movie is on the list.
    pub log_odds: f64,
    /// Number of groups of features of which something is known.
    pub known_groups: u8,
    /// Number of groups that the model has.
    pub total_groups: u8,
    /// The movie's feature codes, by which its score is explained.
    pub codes: Vec<u8>,
}

impl LearnedColumns {
    fn of(ranking: &LearnedRanking, decade: Decade, movies: Vec<MovieId>, codes: DecadeCodes) -> Self {
        let model = ranking.for_decade(decade);
        Self {
            scores: model.scores(&codes),
            known: model.count_known_groups(&codes),
            total_groups: u8::try_from(model.total_groups()).unwrap_or(u8::MAX),
            movies,
            codes,
            places: Mutex::default(),
        }
    }

    /// Memory in bytes, besides the value itself.
    fn size(&self) -> usize {
        self.codes.size()
            + self.movies.len() * (size_of::<MovieId>() + size_of::<f64>() + size_of::<u8>() + size_of::<u32>())
    }

    /// Where the movies of the rows of `columns` are in these ones.
    fn places(&self, columns: &ScoreColumns) -> Arc<[u32]> {
        let order = columns.rows_by_id();
        let mut last = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, places)) = &*last
            && Arc::ptr_eq(of, order)
        {
            return Arc::clone(places);
        }
        let mut places = vec![NOWHERE; columns.len()];
        // Both are read in the order of their ids.
        let mut own = self.movies.iter().zip(0..).peekable();
        for row in order.iter().map(|row| *row as usize) {
            let id = columns.id(row);
            while own.next_if(|(other, _)| **other < id).is_some() {}
            places[row] = own.peek().filter(|(other, _)| **other == id).map_or(NOWHERE, |(_, place)| *place);
        }
        let places = Arc::from(places);
        *last = Some((Arc::clone(order), Arc::clone(&places)));
        places
    }

    /// These columns, read by the rows of others.
    #[must_use]
    pub fn by_rows_of(self: Arc<Self>, version: i64, columns: &ScoreColumns) -> LearnedRows {
        LearnedRows { version, places: self.places(columns), learned: self }
    }
}

/// Scores of a decade's movies under one version, by the rows of the columns that movies are ranked in.
#[derive(Debug)]
pub struct LearnedRows {
    /// Id of the version.
    pub version: i64,
    learned: Arc<LearnedColumns>,
    places: Arc<[u32]>,
}

impl LearnedRows {
    fn place(&self, row: usize) -> Option<usize> {
        self.places.get(row).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// Score of the movie in a row, in log-odds; `None` if the model has not scored it yet.
    #[must_use]
    pub fn log_odds(&self, row: usize) -> Option<f64> {
        Some(self.learned.scores[self.place(row)?])
    }

    /// Whether the probability of the movie in a row is known, and at least `min`.
    #[must_use]
    pub fn is_at_least(&self, row: usize, min: f64) -> bool {
        let is_enough =
            |at: usize| self.learned.known[at] >= KNOWN_GROUPS_MIN && probability(self.learned.scores[at]) >= min;
        self.place(row).is_some_and(is_enough)
    }

    /// What the model says about the movie in a row; `None` if it has not scored it yet.
    #[must_use]
    pub fn score(&self, row: usize) -> Option<LearnedScore> {
        let (at, learned) = (self.place(row)?, &self.learned);
        Some(LearnedScore {
            version: self.version,
            log_odds: learned.scores[at],
            known_groups: learned.known[at],
            total_groups: learned.total_groups,
            codes: learned.codes.of(at),
        })
    }
}

impl LearnedScore {
    /// The probability that the movie is on the list; `None` if too little is known of it to show one.
    #[must_use]
    pub fn probability(&self) -> Option<f64> {
        (self.known_groups >= KNOWN_GROUPS_MIN).then(|| self.calibrated())
    }

    /// The calibrated probability, however little is known of the movie.
    #[must_use]
    pub fn calibrated(&self) -> f64 {
        probability(self.log_odds)
    }
}

impl LearnedRankings {
    pub(in crate::services) fn new(store: Store, cache_context: &CacheContext, limits: &CacheLimits) -> Self {
        Self {
            store,
            versions: cache_context.versions.clone(),
            limits: *limits,
            models: Cache::new(limits.settings(CacheName::Profiles, share::PROFILES), cache_context),
            rankings: Cache::new(limits.settings(CacheName::Profiles, share::MODELS), cache_context),
            columns: Cache::new(limits.settings(CacheName::Columns, share::LEARNED_COLUMNS), cache_context),
        }
    }

    /// Number of cached columns that depend on `scope`; all if it is `None`.
    pub(in crate::services) fn count_entries(&self, scope: Option<&Scope>) -> usize {
        let depends = |version_set: &VersionSet| scope.is_none_or(|scope| version_set.version(scope).is_some());
        self.columns.count(depends)
    }

    /// What is known of a list's ranking; `None` if it was never trained.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is not cached and cannot be loaded.
    pub async fn state(&self, list: &str, variant: Variant) -> Result<Option<Arc<ModelState>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let list = list.to_owned();
        let key = ListKey(list.clone());
        let load = async move {
            let version_set = versions.set_of([Scope::Model(list.clone())]);
            let all = store.model_versions(Some(&list)).await?;
            let value: Vec<_> = Variant::ALL
                .into_iter()
                .filter_map(|variant| {
                    let mut own = all.iter().filter(|version| version.variant == variant);
                    let latest = own.clone().next()?.clone();
                    let served = own.find(|one| one.status == ModelStatus::Accepted).cloned();
                    Some(Arc::new(ModelState { variant, served, latest }))
                })
                .collect();
            let bytes = estimated_size(&value, value.len() * REPORT_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        let states = self.models.get(key, load).await?;
        Ok(states.iter().find(|state| state.variant == variant).cloned())
    }

    /// The model of this kind of ranking; `None` for the formula, and if none is served: the formula ranks then.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is not cached and cannot be loaded.
    pub async fn served_as(&self, list: &str, kind: RankingKind) -> Result<Option<ServedModel>, ServiceError> {
        match kind.variant() {
            Some(variant) => self.served(list, variant).await,
            None => Ok(None),
        }
    }

    /// The model that ranks a list's candidates; `None` if none is served.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is not cached and cannot be loaded.
    pub async fn served(&self, list: &str, variant: Variant) -> Result<Option<ServedModel>, ServiceError> {
        let Some(served) = self.state(list, variant).await?.and_then(|state| Some(state.served.as_ref()?.id)) else {
            return Ok(None);
        };
        let ranking = self.ranking(served).await?;
        Ok(ranking.map(|ranking| ServedModel { list: list.to_owned(), version: served, ranking }))
    }

    /// The model of a version; `None` if it is gone or of another release.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is not cached and cannot be loaded.
    pub async fn ranking(&self, version: i64) -> Result<Option<Arc<LearnedRanking>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let version_set = versions.set_of([]);
            let value = match store.model(version).await?.map(|bytes| LearnedRanking::from_bytes(&bytes)) {
                Some(Ok(ranking)) => Some(Arc::new(ranking)),
                Some(Err(error)) => {
                    tracing::warn!(%error, version, "stored model not usable; the formula is served until the next training");
                    None
                }
                None => None,
            };
            let ttl = if value.is_some() { limits.past() } else { limits.negative() };
            let bytes = estimated_size(&value, MODEL_BYTES);
            Ok(Loaded { value, version_set, ttl, bytes, source: DataSource::Database })
        };
        Ok((*self.rankings.get(VersionKey(version), load).await?).clone())
    }

    /// Explains a movie's score. `names` are the names of all lists. `None` if the model of this version is gone, or the movie
    /// has no release date any more.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the model is not cached and cannot be loaded.
    pub async fn explain(
        &self,
        score: &LearnedScore,
        movie: &Movie,
        names: &[ListName],
    ) -> Result<Option<Explanation>, ServiceError> {
        let Some(ranking) = self.ranking(score.version).await? else { return Ok(None) };
        let Some((day, decade)) = movie.release_date.and_then(|day| Some((day, Decade::of(day)?))) else {
            return Ok(None);
        };
        let name = |key: &String| names.iter().find(|list| list.key == *key).map_or(key, |list| &list.name).clone();
        let lists: Vec<String> = ranking.lists.iter().map(name).collect();
        let language = movie.original_language.as_deref().and_then(language_name);
        let context = ReasonContext { year: day.year(), decade, language, lists: &lists };
        Ok(Some(ranking.explain(&score.codes, &context)))
    }

    /// The scores of a decade's movies under a model; `None` if it has none of the decade, or none that can be read. Then they
    /// are computed in the background.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn columns(
        &self,
        model: &ServedModel,
        decade: Decade,
    ) -> Result<Option<Arc<LearnedColumns>>, ServiceError> {
        let (this, model) = (self.clone(), model.clone());
        let key = ColumnsKey { list: model.list.clone(), version: model.version, decade };
        let load = async move {
            let version_set = this.versions.set_of([Scope::Model(model.list.clone())]);
            let stored = this.codes(model.version, decade).await?;
            let value =
                stored.map(|stored| Arc::new(LearnedColumns::of(&model.ranking, decade, stored.movies, stored.codes)));
            let bytes = estimated_size(&value, value.as_ref().map_or(0, |columns| columns.size()));
            let ttl = if value.is_some() { this.limits.past() } else { this.limits.negative() };
            Ok(Loaded { value, version_set, ttl, bytes, source: DataSource::Database })
        };
        Ok((*self.columns.get(key, load).await?).clone())
    }

    /// The stored codes of a decade. If there are none that can be read, the task that computes them is requested.
    async fn codes(&self, version: i64, decade: Decade) -> Result<Option<ModelCodes>, ServiceError> {
        let is_damaged = match self.store.model_codes(version, decade).await {
            Ok(None) => false,
            Err(StoreError::Unreadable(_)) => true,
            codes => return Ok(codes?),
        };
        if let Err(error) = self.request_codes(version, decade, is_damaged).await {
            tracing::warn!(%error, version, %decade, "cannot request the codes of a learned ranking");
        }
        Ok(None)
    }

    async fn request_codes(&self, version: i64, decade: Decade, is_damaged: bool) -> Result<(), StoreError> {
        // A decade without movies needs no codes.
        if !self.store.decades_with_movies(Decade::LAST).await?.contains(&decade.year()) {
            return Ok(());
        }
        tracing::warn!(version, %decade, is_damaged, "a learned ranking lacks codes of this decade; the formula ranks meanwhile");
        if is_damaged {
            self.store.discard_model_codes(version, decade).await?;
        }
        self.store.request_task(Task::ModelTrain).await
    }
}
