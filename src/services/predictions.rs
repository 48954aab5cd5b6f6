//! Predictions: which movies of a decade are most likely to join a list.
//!
//! One use case, start to end: the decade's columns are in memory, a page is arithmetic over them.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ServiceError;
use super::cache_policy::{CacheLimits, estimated_size};
use crate::breaker::{Breaker, BreakerSettings};
use crate::cache::{Cache, CacheContext, DependencyScope, Key, Loaded};
use crate::clock::Clock;
use crate::scoring::{
    Decade, FORMULA_VERSION, Filter, Inputs, Membership, MovieId, Page, Place, Ranking, ScoreVector, Standing, Weights,
};
use crate::store::{ColumnsSource, LoadedColumns, ScoreTableFault, Store, StoreError};
use crate::telemetry::{BreakerName, CacheName, Fallback, Metrics, Source};
use crate::versions::{Scope, VersionSet, Versions};

/// About what a film takes in the columns of its decade, its title included.
const COLUMN_BYTES: usize = 120;

/// Films of one kept answer: as many as the largest page, so that it serves a page of any size.
const WINDOW: usize = 100;

/// Rankings over score columns, which are loaded when a decade is first asked for.
#[derive(Debug, Clone)]
pub struct Predictions {
    store: Store,
    score_table: Breaker,
    versions: Versions,
    clock: Clock,
    metrics: Metrics,
    limits: CacheLimits,
    columns: Cache<Decade, CachedDecade, ServiceError>,
    windows: Option<Cache<PageKey, RankingPage, ServiceError>>,
}

impl Key for Decade {}

/// What determines a window of a ranking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageKey {
    list: String,
    decade: Decade,
    status: ListStatus,
    weights: [u64; 5],
    filter: String,
    after: Option<(u64, MovieId)>,
    custom: bool,
}

impl Key for PageKey {
    fn is_custom(&self) -> bool {
        self.custom
    }

    fn shared(&self) -> Option<String> {
        let hash = Sha256::digest(format!("{self:?}"));
        let hash = hash.first_chunk().copied().map_or(0, u128::from_be_bytes);
        (!self.custom).then(|| format!("cinegraph:{FORMULA_VERSION}:predictions:{hash:032x}"))
    }
}

/// A decade in memory, and what it was made of.
#[derive(Debug)]
pub struct CachedDecade {
    loaded: LoadedColumns,
    /// The data version that was current when loading began.
    pub data_version: i64,
    /// When it was read.
    pub as_of: DateTime<Utc>,
}

/// One film of a decade with what a prediction of it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredMovie {
    /// The film.
    pub id: MovieId,
    /// Its place among the candidates of its decade; none where it is no candidate.
    pub rank: Option<usize>,
    /// 0 to 100, unrounded.
    pub score: f64,
    /// Its five criteria.
    pub vector: ScoreVector,
    /// Whether it is on the list.
    pub listed: bool,
    /// How many of the four rating inputs are above 0.
    pub coverage: u8,
    /// When the criteria were computed.
    pub computed_at: DateTime<Utc>,
    /// Where they came from.
    pub source: ColumnsSource,
}

impl ScoredMovie {
    /// Where it stands in its ranking.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { score: self.score, id: self.id }
    }
}

/// A page of films of one decade.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RankingPage {
    /// In order of the ranking.
    pub films: Vec<ScoredMovie>,
    /// How many films pass the filter.
    pub total: usize,
    /// Whether films come before these.
    pub has_previous: bool,
    /// Whether films come after these.
    pub has_next: bool,
    /// The version of the data that this was computed from.
    pub data_version: i64,
    /// When the scores that this was computed from were read.
    pub as_of: DateTime<Utc>,
}

impl RankingPage {
    /// The same page with fewer films.
    fn cut(&self, first: usize) -> Self {
        let films: Vec<_> = self.films.iter().take(first).cloned().collect();
        Self { has_next: self.has_next || films.len() < self.films.len(), films, ..*self }
    }
}

/// Which films of a decade to page through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListStatus {
    /// Films that are not on the list: predictions.
    Candidates,
    /// Films that are: confirmed additions.
    Listed,
}

/// One page to rank.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The target list.
    pub list: String,
    /// The decade.
    pub decade: Decade,
    /// The weights.
    pub weights: Weights,
    /// Whether no profile has these weights.
    pub custom: bool,
    /// Candidates or listed films.
    pub status: ListStatus,
    /// What to narrow it to.
    pub filter: Filter,
    /// The last film of the page before.
    pub after: Option<Standing>,
    /// Films at most.
    pub first: usize,
}

/// The best candidates of a decade.
#[derive(Debug, Clone)]
pub struct Top {
    /// In order of the ranking.
    pub films: Vec<ScoredMovie>,
    /// Of the films that were asked about, those that are not among the best but still in the decade, in no order.
    pub others: Vec<ScoredMovie>,
    /// The version of the data that this was computed from.
    pub data_version: i64,
}

impl Predictions {
    pub(super) fn new(
        store: Store,
        cache_context: &CacheContext,
        limits: &CacheLimits,
        keep: bool,
        breaker: BreakerSettings,
    ) -> Self {
        Self {
            store,
            score_table: Breaker::new(BreakerName::ScoreTable, breaker, cache_context.metrics.clone()),
            versions: cache_context.versions.clone(),
            clock: cache_context.clock.clone(),
            metrics: cache_context.metrics.clone(),
            limits: *limits,
            columns: Cache::new(limits.settings(CacheName::Columns, 50), cache_context),
            windows: keep.then(|| Cache::shared(limits.settings(CacheName::Predictions, 15), cache_context)),
        }
    }

    /// How many kept values depend on `scope`; all of them where none is named.
    pub(super) fn count_entries(&self, scope: Option<&Scope>) -> usize {
        let of_it = |version_set: &VersionSet| scope.is_none_or(|scope| version_set.version(scope).is_some());
        self.columns.count(of_it) + self.windows.as_ref().map_or(0, |windows| windows.count(of_it))
    }

    /// A page of a decade's candidates or listed films, best first. Empty where the decade has no film.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn page(&self, request: PageRequest) -> Result<RankingPage, ServiceError> {
        let first = request.first;
        let Some(windows) = &self.windows else { return self.rank(&request, first).await };
        if request.custom
            && let Some(reading) = DependencyScope::current()
        {
            reading.record_custom();
        }
        let key = PageKey {
            list: request.list.clone(),
            decade: request.decade,
            status: request.status,
            weights: request.weights.shares().map(f64::to_bits),
            filter: format!("{:?}", request.filter),
            after: request.after.map(|after| (after.score.to_bits(), after.id)),
            custom: request.custom,
        };
        let this = self.clone();
        let load = async move {
            let version_set = this.versions.set_of([
                Scope::List(request.list.clone(), request.decade),
                Scope::Weights(request.weights.fingerprint()),
            ]);
            let value = this.rank(&request, WINDOW).await?;
            let bytes = estimated_size(&value, value.films.len() * size_of::<ScoredMovie>());
            let lifetime = this.limits.ranking(request.decade);
            Ok(Loaded { value, version_set, lifetime, bytes, source: Source::CacheFresh })
        };
        Ok(windows.get(key, load).await?.cut(first))
    }

    async fn rank(&self, request: &PageRequest, first: usize) -> Result<RankingPage, ServiceError> {
        let decade = self.decade(request.decade).await?;
        let membership = match request.status {
            ListStatus::Candidates => Membership::NotOn(&request.list),
            ListStatus::Listed => Membership::On(&request.list),
        };
        let ranking = Ranking::of(&decade.loaded.columns.scores, request.weights, membership);
        let page = ranking.page(&decade.loaded.columns, &request.filter, request.after, first);
        let Page { places, total, has_previous, has_next } = page;
        let listed = request.status == ListStatus::Listed;
        let films = places.into_iter().map(|place| decade.film(place, listed)).collect();
        let (data_version, as_of) = (decade.data_version, decade.as_of);
        Ok(RankingPage { films, total, has_previous, has_next, data_version, as_of })
    }

    /// The best candidates of a decade, at most `count`, and what became of the films in `about`: all from one state of
    /// the data.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn top(
        &self,
        list: &str,
        decade: Decade,
        weights: Weights,
        count: usize,
        about: &[ScoredMovie],
    ) -> Result<Top, ServiceError> {
        let decade = self.decade(decade).await?;
        let columns = &decade.loaded.columns.scores;
        let candidates = Ranking::of(columns, weights, Membership::NotOn(list));
        let films: Vec<_> = candidates.top(count).into_iter().map(|place| decade.film(place, false)).collect();

        let best: HashSet<MovieId> = films.iter().map(|film| film.id).collect();
        let elsewhere: Vec<usize> =
            about.iter().filter(|film| !best.contains(&film.id)).filter_map(|film| columns.row_of(film.id)).collect();
        let places = |ranking: &Ranking, listed| {
            ranking
                .places_of(elsewhere.iter().copied())
                .into_iter()
                .map(move |place| (place, listed))
                .collect::<Vec<_>>()
        };
        let mut others = places(&candidates, false);
        if others.len() < elsewhere.len() {
            others.extend(places(&Ranking::of(columns, weights, Membership::On(list)), true));
        }
        let others = others.into_iter().map(|(place, listed)| decade.film(place, listed)).collect();
        Ok(Top { films, others, data_version: decade.data_version })
    }

    /// Every full film of a decade, candidates first, each best first.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn all(&self, list: &str, decade: Decade, weights: Weights) -> Result<Vec<ScoredMovie>, ServiceError> {
        let decade = self.decade(decade).await?;
        let columns = &decade.loaded.columns.scores;
        let status = |membership, listed| {
            let ranking = Ranking::of(columns, weights, membership);
            let places = ranking.top(ranking.len()).into_iter();
            places.map(|place| decade.film(place, listed)).collect::<Vec<_>>()
        };
        Ok([status(Membership::NotOn(list), false), status(Membership::On(list), true)].concat())
    }

    /// What the criteria of a decade's full films are made of, ordered by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the database does not answer.
    pub async fn inputs(&self, decade: Decade) -> Result<Vec<(MovieId, Inputs)>, ServiceError> {
        Ok(self.store.inputs_of(decade).await?)
    }

    /// One film of a decade; none where it is not among the decade's full films.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn film(
        &self,
        id: MovieId,
        decade: Decade,
        list: &str,
        weights: Weights,
    ) -> Result<Option<ScoredMovie>, ServiceError> {
        let decade = self.decade(decade).await?;
        let columns = &decade.loaded.columns.scores;
        let Some(row) = columns.row_of(id) else { return Ok(None) };
        let listed = columns.on_list(list)(row);
        let membership = if listed { Membership::On(list) } else { Membership::NotOn(list) };
        let places = Ranking::of(columns, weights, membership).places_of([row]);
        Ok(places.first().map(|place| decade.film(*place, listed)))
    }

    /// The columns of a decade, from memory or the score table; where that cannot serve, by the direct query.
    async fn decade(&self, decade: Decade) -> Result<Arc<CachedDecade>, ServiceError> {
        let this = self.clone();
        let load = async move {
            let version_set = this.versions.set_of([Scope::Scores(decade)]);
            let data_version = version_set.version(&Scope::Scores(decade)).unwrap_or_default();
            let loaded = this.load(decade).await?;
            let (source, lifetime) = match loaded.source {
                ColumnsSource::ScoreTable => (Source::Database, this.limits.past()),
                // Where there are no films, there is nothing that the table could serve better.
                ColumnsSource::DirectQuery if loaded.columns.scores.is_empty() => {
                    (Source::Fallback, this.limits.past())
                }
                ColumnsSource::DirectQuery => (Source::Fallback, this.limits.fallback()),
            };
            let bytes = estimated_size(&loaded, loaded.columns.scores.len() * COLUMN_BYTES);
            let value = CachedDecade { loaded, data_version, as_of: this.clock.now() };
            Ok(Loaded { value, version_set, lifetime, bytes, source })
        };
        self.columns.get(decade, load).await
    }

    /// The columns of a decade from the score table; where that fails, or has failed too often to be asked, by the
    /// direct query.
    async fn load(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        if let Some(permit) = self.score_table.permit() {
            match self.store.columns_from_table(decade).await {
                Ok(loaded) => {
                    permit.succeeded();
                    return Ok(loaded);
                }
                // Neither says anything of the table: that would be as far away, and there may be no film.
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(StoreError::ScoreTable(ScoreTableFault::NoFilm)) => {
                    return self.store.columns_from_view(decade).await;
                }
                Err(error) => {
                    permit.failed();
                    tracing::warn!(%decade, %error, "scores come from the direct query");
                }
            }
        }
        let loaded = self.store.columns_from_view(decade).await;
        let outcome = match &loaded {
            Ok(_) => Fallback::Ok,
            Err(StoreError::TooManyDirectQueries(_)) => Fallback::Shed,
            Err(_) => Fallback::Error,
        };
        self.metrics.fell_back(BreakerName::ScoreTable, outcome);
        loaded
    }
}

impl CachedDecade {
    fn film(&self, place: Place, listed: bool) -> ScoredMovie {
        let attributes = &self.loaded.columns.attributes;
        ScoredMovie {
            id: place.standing.id,
            rank: (!listed).then_some(place.rank),
            score: place.standing.score,
            vector: self.loaded.columns.scores.vector(place.row),
            listed,
            coverage: attributes.coverage[place.row],
            computed_at: attributes.computed_at[place.row],
            source: self.loaded.source,
        }
    }
}
