//! Predictions: which movies of a decade are most likely to join a list.
//!
//! One use case, start to end: the decade's columns are in memory, a page is arithmetic over them.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::ServiceError;
use crate::cache::VersionedCache;
use crate::clock::Clock;
use crate::scoring::{
    Decade, Filter, Inputs, Membership, MovieId, Page, Place, Ranking, ScoreVector, Standing, Weights,
};
use crate::store::{ColumnsSource, LoadedColumns, Scope, Store, StoreError, Versions};

/// Rankings over score columns, which are loaded when a decade is first asked for.
#[derive(Debug)]
pub struct Predictions {
    store: Store,
    versions: Versions,
    clock: Clock,
    columns: VersionedCache<Decade, DecadeInMemory>,
}

/// A decade in memory, and what it was made of.
#[derive(Debug)]
pub struct DecadeInMemory {
    loaded: LoadedColumns,
    /// The data version that was current when loading began.
    pub data_version: i64,
    /// When it was read.
    pub as_of: DateTime<Utc>,
}

/// One film of a decade with what a prediction of it says.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredFilm {
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

impl ScoredFilm {
    /// Where it stands in its ranking.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { score: self.score, id: self.id }
    }
}

/// A page of films of one decade.
#[derive(Debug, Clone)]
pub struct FilmPage {
    /// In order of the ranking.
    pub films: Vec<ScoredFilm>,
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

/// Which films of a decade to page through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// Films that are not on the list: predictions.
    Candidates,
    /// Films that are: confirmed additions.
    Listed,
}

/// One page to rank.
#[derive(Debug, Clone)]
pub struct PageRequest<'a> {
    /// The target list.
    pub list: &'a str,
    /// The decade.
    pub decade: Decade,
    /// The weights.
    pub weights: Weights,
    /// Candidates or listed films.
    pub shelf: Shelf,
    /// What to narrow it to.
    pub filter: Filter,
    /// The last film of the page before.
    pub after: Option<Standing>,
    /// Films at most.
    pub first: usize,
}

impl Predictions {
    pub(super) fn new(store: Store, versions: Versions, clock: Clock) -> Self {
        Self { store, versions, clock, columns: VersionedCache::default() }
    }

    /// A page of a decade's candidates or listed films, best first. Empty where the decade has no film.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn page(&self, request: PageRequest<'_>) -> Result<FilmPage, ServiceError> {
        let decade = self.decade(request.decade).await?;
        let membership = match request.shelf {
            Shelf::Candidates => Membership::NotOn(request.list),
            Shelf::Listed => Membership::On(request.list),
        };
        let ranking = Ranking::of(&decade.loaded.columns.scores, request.weights, membership);
        let page = ranking.page(&decade.loaded.columns, &request.filter, request.after, request.first);
        let Page { places, total, has_previous, has_next } = page;
        let listed = request.shelf == Shelf::Listed;
        let films = places.into_iter().map(|place| decade.film(place, listed)).collect();
        let (data_version, as_of) = (decade.data_version, decade.as_of);
        Ok(FilmPage { films, total, has_previous, has_next, data_version, as_of })
    }

    /// Every full film of a decade, candidates first, each best first.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when the decade is not in memory and cannot be loaded.
    pub async fn all(&self, list: &str, decade: Decade, weights: Weights) -> Result<Vec<ScoredFilm>, ServiceError> {
        let decade = self.decade(decade).await?;
        let columns = &decade.loaded.columns.scores;
        let shelf = |membership, listed| {
            let ranking = Ranking::of(columns, weights, membership);
            let places = ranking.top(ranking.len()).into_iter();
            places.map(|place| decade.film(place, listed)).collect::<Vec<_>>()
        };
        Ok([shelf(Membership::NotOn(list), false), shelf(Membership::On(list), true)].concat())
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
    ) -> Result<Option<ScoredFilm>, ServiceError> {
        let decade = self.decade(decade).await?;
        let columns = &decade.loaded.columns.scores;
        let Some(row) = columns.row_of(id) else { return Ok(None) };
        let listed = columns.on_list(list)(row);
        let membership = if listed { Membership::On(list) } else { Membership::NotOn(list) };
        let places = Ranking::of(columns, weights, membership).places_of([row]);
        Ok(places.first().map(|place| decade.film(*place, listed)))
    }

    /// The columns of a decade, from memory or the score table; where that cannot serve, by the direct query.
    async fn decade(&self, decade: Decade) -> Result<Arc<DecadeInMemory>, ServiceError> {
        // Read before loading: what changes meanwhile makes this entry old, never a newer one look current.
        let data_version = self.versions.of(&Scope::Scores(decade));
        let load = || async {
            let loaded = match self.store.columns_from_table(decade).await {
                Err(StoreError::ScoreTable(reason)) => {
                    tracing::info!(%decade, reason, "scores come from the direct query");
                    self.store.columns_from_view(decade).await?
                }
                loaded => loaded?,
            };
            Ok(DecadeInMemory { loaded, data_version, as_of: self.clock.now() })
        };
        self.columns.get(decade, data_version, load).await
    }
}

impl DecadeInMemory {
    fn film(&self, place: Place, listed: bool) -> ScoredFilm {
        let attributes = &self.loaded.columns.attributes;
        ScoredFilm {
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
