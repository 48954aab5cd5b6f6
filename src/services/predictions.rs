//! Predictions: which movies of a decade are most likely to join a list.
//!
//! The columns of a decade are cached. Pages are computed from them, and cached as windows of 100 movies.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ServiceError;
use super::cache_policy::{CacheLimits, estimated_size, share};
use super::learned::{LearnedRankings, LearnedRows, LearnedScore, RankedBy};
use crate::breaker::{Breaker, Fallback};
use crate::cache::{
    Cache, CacheContext, CacheName, DataSource, DependencyScope, Key, LoadStart, Loaded, ReadMode, SharedValue,
};
use crate::clock::Clock;
use crate::scoring::{
    Criterion, Decade, FORMULA_VERSION, Filter, Inputs, Membership, MovieId, Page, Place, Ranking, ScoreVector,
    Standing, Weights,
};
use crate::store::{ColumnsSource, LoadedColumns, ScoreTableFault, Store, StoreError};
use crate::versions::{Scope, VersionSet, Versions};

/// Estimated memory of a movie in the columns of its decade, including its title.
const COLUMN_BYTES: usize = 120;

/// Movies of a cached page: the maximum page size of the API, so that one entry serves pages of any size.
const WINDOW: usize = 100;

/// Maximum number of times that columns are loaded for a page of a minimum data version. The first load may have been
/// in flight already when the version became known; the second one starts later. The third one is a reserve.
const LATEST_LOADS: usize = 3;

/// Rankings over score columns, which are loaded when a decade is first requested.
#[derive(Debug, Clone)]
pub struct Predictions {
    store: Store,
    score_table: Breaker,
    versions: Versions,
    clock: Clock,
    limits: CacheLimits,
    learned: LearnedRankings,
    /// Also used if the caching of results is disabled, since every page is computed from columns.
    columns: Cache<Decade, CachedDecade, ServiceError>,
    /// `None` if the caching of results is disabled.
    windows: Option<Cache<PageKey, RankingPage, ServiceError>>,
}

impl Key for Decade {}

/// Cache key of a window: the request without its page size. Floats are compared by their bits, since `f64` is not
/// `Eq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageKey {
    list: String,
    decade: Decade,
    status: ListStatus,
    weights: [u64; 5],
    /// Version of the learned ranking; `None` for the formula.
    model: Option<i64>,
    filter: String,
    min_probability: Option<u64>,
    after: Option<(u64, MovieId)>,
    custom: bool,
}

impl Key for PageKey {
    fn is_custom(&self) -> bool {
        self.custom
    }

    fn shared(&self) -> Option<String> {
        // The names of this type and its fields are part of the hash: if one is renamed, Redis has no windows at first.
        let hash = Sha256::digest(format!("{self:?}"));
        let hash = hash.first_chunk().copied().map_or(0, u128::from_be_bytes);
        (!self.custom).then(|| format!("cinegraph:{FORMULA_VERSION}:predictions:{hash:032x}"))
    }
}

/// Cached columns of a decade.
#[derive(Debug)]
pub struct CachedDecade {
    loaded: LoadedColumns,
    /// Data version of the decade's scores when the load started.
    pub data_version: i64,
    /// When the load ended.
    pub as_of: DateTime<Utc>,
}

/// A movie with its prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredMovie {
    /// Movie id.
    pub id: MovieId,
    /// Rank among the candidates of its decade; `None` if it is not a candidate.
    pub rank: Option<usize>,
    /// Score of the formula, 0 to 100, unrounded.
    pub score: f64,
    /// What the learned ranking says; `None` if the movie was ranked by the formula, or not scored by the learned ranking
    /// yet.
    pub learned: Option<LearnedScore>,
    /// The five criteria.
    pub vector: ScoreVector,
    /// Whether it is on the list.
    pub listed: bool,
    /// How many of the four rating inputs are above 0.
    pub coverage: u8,
    /// When the criteria were computed.
    pub computed_at: DateTime<Utc>,
    /// Source of the criteria.
    pub source: ColumnsSource,
}

impl ScoredMovie {
    /// Its sort key in a ranking.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { score: self.learned.as_ref().map_or(self.score, |learned| learned.log_odds), id: self.id }
    }
}

/// A page of a decade's ranking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RankingPage {
    /// In ranking order.
    pub movies: Vec<ScoredMovie>,
    /// Number of movies on all pages: those that pass the filter.
    pub total: usize,
    /// Whether movies precede the page.
    pub has_previous: bool,
    /// Whether movies follow the page.
    pub has_next: bool,
    /// Data version of the scores.
    pub data_version: i64,
    /// When the scores were read.
    pub as_of: DateTime<Utc>,
    /// Version of the learned ranking that ranked the movies; `None` if the formula did, also for lack of learned scores.
    pub model_version: Option<i64>,
}

impl SharedValue for RankingPage {
    const LAYOUT: [u8; 4] = [48, 14, 197, 168];
}

impl RankingPage {
    /// A page of the first `first` movies of this one.
    fn cut(&self, first: usize) -> Self {
        let movies: Vec<_> = self.movies.iter().take(first).cloned().collect();
        Self { has_next: self.has_next || movies.len() < self.movies.len(), movies, ..*self }
    }
}

/// List status of movies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListStatus {
    /// Movies that are not on the list: predictions.
    Candidates,
    /// Movies on the list: confirmed additions.
    Listed,
}

/// Request for a page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The target list.
    pub list: String,
    /// The decade.
    pub decade: Decade,
    /// What the movies are ranked by.
    pub by: RankedBy,
    /// Minimum probability of a learned ranking. Movies whose probability is not known do not reach it.
    pub min_probability: Option<f64>,
    /// Whether the weights are custom, that is, equal to no profile's.
    pub custom: bool,
    /// Candidates or listed movies.
    pub status: ListStatus,
    /// Filter.
    pub filter: Filter,
    /// Last movie of the previous page; `None` for the first page.
    pub after: Option<Standing>,
    /// Maximum number of movies. While results are cached, a page has at most 100 movies, the size of a window.
    pub first: usize,
}

/// Where a movie stands among the movies of its decade.
#[derive(Debug, Clone)]
pub struct DecadeStanding {
    /// The movie directly before it, of the candidates or of the listed movies, whichever it belongs to.
    pub previous: Option<ScoredMovie>,
    /// The movie directly after it.
    pub next: Option<ScoredMovie>,
    /// For each criterion: the share of the decade's movies that have a lower value, 0 to 1.
    pub lower_shares: [f64; Criterion::COUNT],
}

/// The best candidates of a decade.
#[derive(Debug, Clone)]
pub struct Top {
    /// In ranking order.
    pub movies: Vec<ScoredMovie>,
    /// Movies that the caller asked about and that are not among the best but still in the decade, in no particular
    /// order.
    pub others: Vec<ScoredMovie>,
    /// Data version of the scores.
    pub data_version: i64,
}

impl Predictions {
    pub(super) fn new(
        store: Store,
        cache_context: &CacheContext,
        limits: &CacheLimits,
        cache_enabled: bool,
        score_table: Breaker,
        learned: LearnedRankings,
    ) -> Self {
        Self {
            learned,
            store,
            score_table,
            versions: cache_context.versions.clone(),
            clock: cache_context.clock.clone(),
            limits: *limits,
            columns: Cache::new(limits.settings(CacheName::Columns, share::COLUMNS), cache_context),
            windows: cache_enabled
                .then(|| Cache::shared(limits.settings(CacheName::Predictions, share::PREDICTIONS), cache_context)),
        }
    }

    /// Number of cached entries that depend on `scope`; all entries if it is `None`.
    pub(super) fn count_entries(&self, scope: Option<&Scope>) -> usize {
        let depends = |version_set: &VersionSet| scope.is_none_or(|scope| version_set.version(scope).is_some());
        self.columns.count(depends) + self.windows.as_ref().map_or(0, |windows| windows.count(depends))
    }

    /// A page of a decade's candidates or listed movies, best first. Empty if the decade has no movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the decade is not cached and cannot be loaded.
    pub async fn page(&self, request: PageRequest) -> Result<RankingPage, ServiceError> {
        let first = request.first;
        let Some(windows) = &self.windows else { return self.rank(&request, first).await };
        let key = PageKey {
            list: request.list.clone(),
            decade: request.decade,
            status: request.status,
            weights: request.by.weights.shares().map(f64::to_bits),
            model: request.by.model.as_ref().map(|model| model.version),
            min_probability: request.min_probability.map(f64::to_bits),
            filter: format!("{:?}", request.filter),
            after: request.after.map(|after| (after.score.to_bits(), after.id)),
            custom: request.custom,
        };
        let this = self.clone();
        let load = async move {
            let version_set = this.version_set_of(&request);
            let value = this.rank(&request, WINDOW).await?;
            let bytes = estimated_size(&value, value.movies.len() * size_of::<ScoredMovie>());
            let ttl = this.limits.ranking(request.decade);
            // The cache replaces this source by the slower one that reading the columns recorded.
            Ok(Loaded { value, version_set, ttl, bytes, source: DataSource::CacheFresh })
        };
        Ok(windows.get(key, load).await?.cut(first))
    }

    /// As [`page`](Self::page), from data with the version `at_least` or a later one: for a client that has seen that
    /// version and must not see older data, neither from the cache nor in an outage.
    ///
    /// # Errors
    /// As [`page`](Self::page); [`ServiceError::Conflict`] if the database has not reached the version.
    pub async fn page_at_least(&self, request: PageRequest, at_least: i64) -> Result<RankingPage, ServiceError> {
        self.require_version(request.decade, at_least).await?;
        let reader = DependencyScope::current();
        let mode = reader.as_ref().map_or(ReadMode::Request, |reader| reader.mode());
        // Each attempt has a scope of its own, so that the response does not get the dependencies of a page that was
        // too old to be used.
        let accepted = |page: RankingPage, scope: &DependencyScope| {
            let page = Some(page).filter(|page| page.data_version >= at_least)?;
            if let Some(reader) = &reader {
                reader.absorb(&scope.snapshot());
            }
            Some(page)
        };
        // Usually the page in the cache is new enough.
        let scope = DependencyScope::new(mode);
        let page = Arc::clone(&scope).of(self.page(request.clone())).await?;
        if let Some(page) = accepted(page, &scope) {
            return Ok(page);
        }
        for _ in 0..LATEST_LOADS {
            let scope = DependencyScope::new(ReadMode::Latest);
            let page = Arc::clone(&scope).of(self.latest_page(&request)).await?;
            if let Some(page) = accepted(page, &scope) {
                return Ok(page);
            }
        }
        // Loads that started after the version became known return older data only if the database was replaced
        // meanwhile.
        self.require_version(request.decade, at_least).await?;
        Err(ServiceError::NotReady("the data has just been replaced; retry"))
    }

    /// Checks that the scores of a decade have reached the version `at_least`. Reads the versions from the database if
    /// this process does not know of it: the client may have it from another instance.
    async fn require_version(&self, decade: Decade, at_least: i64) -> Result<(), ServiceError> {
        let known = || self.versions.of(&Scope::Scores(decade));
        if known() < at_least {
            self.store.read_versions(&self.versions).await?;
        }
        let known = known();
        if known >= at_least {
            return Ok(());
        }
        // Waiting would not help: the versions were just read from the primary, so `at_least` is no version of this
        // data.
        let problem = format!(
            "is {at_least}, but the data of this decade has version {known}: the number is of another decade, or of a \
             state of the database that was replaced; leave it out, and continue with the `dataVersion` of the response"
        );
        Err(ServiceError::conflict("atLeast", problem))
    }

    /// A page computed from columns with every change that this process knows of, if the current scope has
    /// [`ReadMode::Latest`]. Neither reads nor stores windows: cached ones may lack changes for some seconds.
    async fn latest_page(&self, request: &PageRequest) -> Result<RankingPage, ServiceError> {
        if let Some(dependencies) = DependencyScope::current() {
            let start = LoadStart::now(&self.clock, &self.versions);
            let validity = start.validity(self.limits.ranking(request.decade));
            dependencies.record(&self.version_set_of(request), validity, DataSource::Memory);
        }
        self.rank(request, request.first).await
    }

    /// Versions that a ranking depends on besides those of the columns.
    fn version_set_of(&self, request: &PageRequest) -> VersionSet {
        let (list, weights) = (request.list.clone(), request.by.weights.fingerprint());
        self.versions.set_of([Scope::List(list, request.decade), Scope::Weights(weights)])
    }

    /// Computes a page of at most `first` movies from the columns.
    async fn rank(&self, request: &PageRequest, first: usize) -> Result<RankingPage, ServiceError> {
        let ranked = self.ranked(request.decade, &request.by).await?;
        let decade = &ranked.decade;
        let membership = match request.status {
            ListStatus::Candidates => Membership::NotOn(&request.list),
            ListStatus::Listed => Membership::On(&request.list),
        };
        if request.min_probability.is_some() && ranked.learned.is_none() {
            return Err(ServiceError::NotReady("the learned ranking is computing its scores of this decade; retry"));
        }
        let (ranking, columns) = (ranked.ranking(membership), &decade.loaded.columns);
        let page = match (request.min_probability, &ranked.learned) {
            (Some(min), Some(learned)) => {
                let passes = |row| learned.is_at_least(row, min);
                ranking.page_where(columns, &request.filter, passes, request.after, first)
            }
            _ => ranking.page(columns, &request.filter, request.after, first),
        };
        let Page { places, total, has_previous, has_next } = page;
        let listed = request.status == ListStatus::Listed;
        let movies = places.into_iter().map(|place| ranked.movie(place, listed)).collect();
        let (data_version, as_of) = (decade.data_version, decade.as_of);
        let model_version = ranked.learned.as_ref().map(|learned| learned.version);
        Ok(RankingPage { movies, total, has_previous, has_next, data_version, as_of, model_version })
    }

    /// The `count` best candidates of a decade. Also returns the current state of each movie in `about` that is not
    /// among them but still in the decade. Both come from the same data version.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the decade is not cached and cannot be loaded.
    pub async fn top(
        &self,
        list: &str,
        decade: Decade,
        by: &RankedBy,
        count: usize,
        about: &[ScoredMovie],
    ) -> Result<Top, ServiceError> {
        let ranked = self.ranked(decade, by).await?;
        let columns = &ranked.decade.loaded.columns.scores;
        let candidates = ranked.ranking(Membership::NotOn(list));
        let movies: Vec<_> = candidates.top(count).into_iter().map(|place| ranked.movie(place, false)).collect();

        let best: HashSet<MovieId> = movies.iter().map(|movie| movie.id).collect();
        let remaining: Vec<usize> = about
            .iter()
            .filter(|movie| !best.contains(&movie.id))
            .filter_map(|movie| columns.row_of(movie.id))
            .collect();
        let places = |ranking: &Ranking, listed| {
            ranking
                .places_of(remaining.iter().copied())
                .into_iter()
                .map(move |place| (place, listed))
                .collect::<Vec<_>>()
        };
        let mut others = places(&candidates, false);
        // Movies on the list are not among the candidates. Their ranking is computed only if it is needed.
        if others.len() < remaining.len() {
            others.extend(places(&ranked.ranking(Membership::On(list)), true));
        }
        let others = others.into_iter().map(|(place, listed)| ranked.movie(place, listed)).collect();
        Ok(Top { movies, others, data_version: ranked.decade.data_version })
    }

    /// All fully imported movies of a decade: first the candidates, then the listed movies, both best first.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the decade is not cached and cannot be loaded.
    pub async fn all(&self, list: &str, decade: Decade, by: &RankedBy) -> Result<Vec<ScoredMovie>, ServiceError> {
        let ranked = self.ranked(decade, by).await?;
        let movies = |membership, listed| {
            let ranking = ranked.ranking(membership);
            let places = ranking.top(ranking.len()).into_iter();
            places.map(|place| ranked.movie(place, listed)).collect::<Vec<_>>()
        };
        Ok([movies(Membership::NotOn(list), false), movies(Membership::On(list), true)].concat())
    }

    /// Inputs of the criteria of a decade's fully imported movies, sorted by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn inputs(&self, decade: Decade) -> Result<Vec<(MovieId, Inputs)>, ServiceError> {
        Ok(self.store.inputs_of(decade).await?)
    }

    /// One movie of a decade; `None` if it is not among the decade's fully imported movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the decade is not cached and cannot be loaded.
    pub async fn movie(
        &self,
        id: MovieId,
        decade: Decade,
        list: &str,
        by: &RankedBy,
    ) -> Result<Option<ScoredMovie>, ServiceError> {
        let ranked = self.ranked(decade, by).await?;
        let columns = &ranked.decade.loaded.columns.scores;
        let Some(row) = columns.row_of(id) else { return Ok(None) };
        let listed = columns.on_list(list)(row);
        let membership = if listed { Membership::On(list) } else { Membership::NotOn(list) };
        let places = ranked.ranking(membership).places_of([row]);
        Ok(places.first().map(|place| ranked.movie(*place, listed)))
    }

    /// Where a movie stands in its decade; `None` if it is not among the ranked movies of the decade.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the decade is not cached and cannot be loaded.
    pub async fn standing(
        &self,
        id: MovieId,
        decade: Decade,
        list: &str,
        by: &RankedBy,
    ) -> Result<Option<DecadeStanding>, ServiceError> {
        let ranked = self.ranked(decade, by).await?;
        let columns = &ranked.decade.loaded.columns.scores;
        let Some(row) = columns.row_of(id) else { return Ok(None) };
        let listed = columns.on_list(list)(row);
        let ranking = ranked.ranking(if listed { Membership::On(list) } else { Membership::NotOn(list) });
        let Some(place) = ranking.places_of([row]).first().copied() else { return Ok(None) };
        let (previous, next) = ranking.neighbours(&place.standing);
        let movie = |place: Place| ranked.movie(place, listed);
        let lower_shares = columns.lower_shares(row);
        Ok(Some(DecadeStanding { previous: previous.map(movie), next: next.map(movie), lower_shares }))
    }

    /// The columns of a decade, and its learned scores if a learned ranking orders the movies.
    async fn ranked(&self, decade: Decade, by: &RankedBy) -> Result<RankedDecade, ServiceError> {
        let Some(model) = &by.model else {
            return Ok(RankedDecade { decade: self.decade(decade).await?, weights: by.weights, learned: None });
        };
        let (decade, columns) = tokio::try_join!(self.decade(decade), self.learned.columns(model, decade))?;
        let learned = columns.map(|columns| columns.by_rows_of(model.version, &decade.loaded.columns.scores));
        Ok(RankedDecade { decade, weights: by.weights, learned })
    }

    /// Columns of a decade, from the cache or the score table, with the direct query as fallback. Whoever reads them
    /// computes from them, which is recorded as the source of the result.
    async fn decade(&self, decade: Decade) -> Result<Arc<CachedDecade>, ServiceError> {
        let this = self.clone();
        let load = async move {
            let version_set = this.versions.set_of([Scope::Scores(decade)]);
            let data_version = version_set.version(&Scope::Scores(decade)).unwrap_or_default();
            let loaded = this.load(decade).await?;
            let (source, ttl) = match loaded.source {
                ColumnsSource::ScoreTable => (DataSource::Database, this.limits.past()),
                // The direct query has confirmed that the decade has no movies. The score table could not give a better
                // result, so the entry need not expire soon.
                ColumnsSource::DirectQuery if loaded.columns.scores.is_empty() => {
                    (DataSource::Fallback, this.limits.past())
                }
                ColumnsSource::DirectQuery => (DataSource::Fallback, this.limits.fallback()),
            };
            let bytes = estimated_size(&loaded, loaded.columns.scores.len() * COLUMN_BYTES);
            let value = CachedDecade { loaded, data_version, as_of: this.clock.now() };
            Ok(Loaded { value, version_set, ttl, bytes, source })
        };
        let columns = self.columns.get(decade, load).await?;
        if let Some(dependencies) = DependencyScope::current() {
            dependencies.record_source(DataSource::Memory);
        }
        Ok(columns)
    }

    /// Loads the columns of a decade from the score table, or from the direct query if the score table fails or its
    /// breaker is open.
    async fn load(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        if let Some(permit) = self.score_table.permit() {
            match self.store.columns_from_table(decade).await {
                Ok(loaded) => {
                    permit.succeeded();
                    return Ok(loaded);
                }
                // The direct query would fail too, since it reads the same database. In this case and the next one, the
                // permit is dropped without a result, because the score table is not at fault.
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // The decade may have no movies, or its scores may not be computed yet. The direct query can tell.
                Err(StoreError::ScoreTable(ScoreTableFault::NoMovie)) => {
                    return self.store.columns_from_view(decade).await;
                }
                Err(error) => {
                    permit.failed();
                    tracing::warn!(%decade, %error, "score table failed; falling back to the direct query");
                    if let StoreError::ScoreTable(ScoreTableFault::OtherFormula) = error {
                        self.queue_outdated(decade).await;
                    }
                }
            }
        }
        let loaded = self.store.columns_from_view(decade).await;
        let outcome = match &loaded {
            Ok(_) => Fallback::Ok,
            Err(StoreError::TooManyDirectQueries(_)) => Fallback::Shed,
            Err(_) => Fallback::Error,
        };
        self.score_table.count_fallback(outcome);
        loaded
    }
}

impl Predictions {
    /// Queues the scores of a decade that have another formula version. Until the drain has recomputed them, the score
    /// table cannot serve the decade.
    async fn queue_outdated(&self, decade: Decade) {
        match self.store.queue_outdated(decade).await {
            Ok(0) => {}
            Ok(films) => tracing::info!(%decade, films, "outdated scores queued for recomputation"),
            Err(error) => tracing::warn!(%decade, %error, "cannot queue outdated scores"),
        }
    }
}

/// The movies of a decade, and what they are ranked by.
struct RankedDecade {
    decade: Arc<CachedDecade>,
    weights: Weights,
    /// Scores of the learned ranking.
    learned: Option<LearnedRows>,
}

impl RankedDecade {
    fn ranking(&self, membership: Membership<'_>) -> Ranking {
        let columns = &self.decade.loaded.columns.scores;
        match &self.learned {
            Some(learned) => Ranking::by_scores(columns, |row| learned.log_odds(row), membership),
            None => Ranking::of(columns, self.weights, membership),
        }
    }

    /// The movie at a place in the ranking of the candidates, or in that of the listed movies if `listed`.
    fn movie(&self, place: Place, listed: bool) -> ScoredMovie {
        let loaded = &self.decade.loaded;
        let (attributes, vector) = (&loaded.columns.attributes, loaded.columns.scores.vector(place.row));
        ScoredMovie {
            id: place.standing.id,
            rank: (!listed).then_some(place.rank),
            score: vector.score(self.weights),
            learned: self.learned.as_ref().and_then(|learned| learned.score(place.row)),
            vector,
            listed,
            coverage: attributes.coverage[place.row],
            computed_at: attributes.computed_at[place.row],
            source: loaded.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout_of;

    #[test]
    fn the_layout_of_pages_in_redis_is_that_of_their_type() {
        let movie = ScoredMovie {
            id: MovieId(i64::MAX),
            rank: Some(usize::MAX),
            score: 100.0,
            learned: Some(LearnedScore {
                version: i64::MAX,
                log_odds: 1.0,
                known_groups: u8::MAX,
                total_groups: u8::MAX,
                codes: vec![u8::MAX],
            }),
            vector: ScoreVector([1.0; 5]),
            listed: true,
            coverage: 4,
            computed_at: DateTime::UNIX_EPOCH,
            source: ColumnsSource::DirectQuery,
        };
        let page = RankingPage {
            movies: vec![movie],
            total: usize::MAX,
            has_previous: true,
            has_next: true,
            data_version: i64::MAX,
            as_of: DateTime::UNIX_EPOCH,
            model_version: Some(i64::MAX),
        };
        assert_eq!(layout_of(&page), RankingPage::LAYOUT, "the type has changed: store the new layout in LAYOUT");
    }
}
