//! Data loaders: load the details of all movies of a page in one batch per kind.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use chrono::NaiveDate;
use tracing::{Instrument, Span};

use super::error::ApiError;
use super::error_code::ErrorCode;
use super::metrics::GraphqlMetrics;
use crate::scoring::{Decade, MovieId};
use crate::services::Services;
use crate::services::movies::DetailKey;
use crate::services::validation::{HitRates, TestedWeights};
use crate::store::{
    Biography, Country, Credit, Description, FestivalEntry, FilmographyPage, Genre, LiveScore, Metric, Movie, Person,
    PersonId, PersonQuality,
};
use crate::telemetry::integer;

/// Names of all loaders, as metric labels. Must contain the name of every `loader!` below: batches of other names are
/// counted as `other`.
pub const LOADERS: &[&str] = &[
    "movie_by_id",
    "description_by_movie",
    "directors_by_movie",
    "genres_by_movie",
    "countries_by_movie",
    "metrics_by_movie",
    "festivals_by_movie",
    "credits_by_movie",
    "person_by_id",
    "quality_by_person",
    "movies_by_person",
    "live_score_by_movie",
    "hit_rates_by_decade",
];

/// The loaders of an operation, one [`Loader`] implementation per key type.
pub(super) struct Loaders {
    services: Arc<Services>,
    metrics: GraphqlMetrics,
}

impl Loaders {
    pub(super) fn new(services: Arc<Services>, metrics: GraphqlMetrics) -> Self {
        Self { services, metrics }
    }
}

/// Key of what a movie is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieDescription(pub(super) DetailKey<MovieId>);

/// Key of a movie's directors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieDirectors(pub(super) DetailKey<MovieId>);

/// Key of a movie's genres.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieGenres(pub(super) DetailKey<MovieId>);

/// Key of a movie's production countries.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieCountries(pub(super) DetailKey<MovieId>);

/// Key of a movie's metrics.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieMetrics(pub(super) DetailKey<MovieId>);

/// Key of a movie's nominations.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieFestivals(pub(super) DetailKey<MovieId>);

/// Key of a movie's credits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MovieCredits(pub(super) DetailKey<MovieId>);

/// Key of a person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PersonKey(pub(super) DetailKey<PersonId>);

/// Key of a person's quality.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PersonQualityKey(pub(super) DetailKey<PersonId>);

/// Key of a score that is computed from the base tables, for a movie that is not in the columns of a decade.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LiveScoreOf(pub(super) MovieId);

/// Maximum number of rankings whose hit rates one batch computes.
const HIT_RATE_RANKINGS_MAX: usize = 10;

/// Key of the hit rates of a ranking in the decades other than one.
#[derive(Clone)]
pub(super) struct HitRatesOf {
    pub(super) list: String,
    pub(super) weights: TestedWeights,
    pub(super) decade: Decade,
    /// Identifies list and weights.
    pub(super) ranking: String,
}

impl PartialEq for HitRatesOf {
    fn eq(&self, other: &Self) -> bool {
        (self.decade, &self.ranking) == (other.decade, &other.ranking)
    }
}

impl Eq for HitRatesOf {}

impl Hash for HitRatesOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.decade, &self.ranking).hash(state);
    }
}

impl Loader<HitRatesOf> for Loaders {
    type Value = Arc<HitRates>;
    type Error = ApiError;

    async fn load(&self, keys: &[HitRatesOf]) -> Result<HashMap<HitRatesOf, Self::Value>, Self::Error> {
        const NAME: &str = "hit_rates_by_decade";
        self.metrics.loader_batch(NAME, keys.len());
        // Each ranking costs a validation of all decades, which the complexity of a field cannot tell.
        if keys.iter().map(|key| &key.ranking).collect::<HashSet<_>>().len() > HIT_RATE_RANKINGS_MAX {
            return Err(ApiError::new(
                ErrorCode::BadUserInput,
                &format!("`historicalHitRate` is selected for more than {HIT_RATE_RANKINGS_MAX} rankings at once"),
            ));
        }
        let load = async {
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                let HitRatesOf { list, weights, decade, .. } = key;
                let rates = self.services.validation.hit_rates(list, *decade, weights.clone()).await?;
                found.extend(rates.map(|rates| (key.clone(), Arc::new(rates))));
            }
            Ok(found)
        };
        load.instrument(batch_span(NAME, keys.len())).await
    }
}

fn batch_span(loader: &'static str, keys: usize) -> Span {
    tracing::info_span!(
        "batch",
        otel.name = format!("dataloader {loader}"),
        graphql.processing.r#type = "dataloader_batch",
        graphql.dataloader.name = loader,
        graphql.dataloader.batch.size = integer(keys),
    )
}

/// Implements [`Loader`] for a type of key: `loader!(key => value, name, |services, ids: id| service call, key to id,
/// id to key)`. Keys that the service call does not return have no value.
macro_rules! loader {
    ($key:ty => $value:ty, $name:literal, |$services:ident, $ids:ident: $id:ty| $load:expr, $unwrap:expr, $wrap:expr) => {
        impl Loader<$key> for Loaders {
            type Value = $value;
            type Error = ApiError;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, Self::Error> {
                self.metrics.loader_batch($name, keys.len());
                let $services = &self.services;
                let $ids: Vec<$id> = keys.iter().map($unwrap).collect();
                let found = $load.instrument(batch_span($name, keys.len())).await?;
                Ok(found.into_iter().map(|(id, value)| ($wrap(id), value)).collect())
            }
        }
    };
}

loader!(MovieId => Arc<Movie>, "movie_by_id", |s, ids: MovieId| s.movies.movies(&ids), |key| *key, |id| id);
loader!(MovieDescription => Arc<Description>, "description_by_movie", |s, ids: DetailKey<MovieId>| s.movies.descriptions_of(&ids), |key| key.0, MovieDescription);
loader!(MovieDirectors => Arc<Vec<Person>>, "directors_by_movie", |s, ids: DetailKey<MovieId>| s.movies.directors_of(&ids), |key| key.0, MovieDirectors);
loader!(MovieGenres => Arc<Vec<Genre>>, "genres_by_movie", |s, ids: DetailKey<MovieId>| s.movies.genres_of(&ids), |key| key.0, MovieGenres);
loader!(MovieCountries => Arc<Vec<Country>>, "countries_by_movie", |s, ids: DetailKey<MovieId>| s.movies.countries_of(&ids), |key| key.0, MovieCountries);
loader!(MovieMetrics => Arc<Vec<Metric>>, "metrics_by_movie", |s, ids: DetailKey<MovieId>| s.movies.metrics_of(&ids), |key| key.0, MovieMetrics);
loader!(MovieFestivals => Arc<Vec<FestivalEntry>>, "festivals_by_movie", |s, ids: DetailKey<MovieId>| s.movies.festival_entries_of(&ids), |key| key.0, MovieFestivals);
loader!(MovieCredits => Arc<Vec<Credit>>, "credits_by_movie", |s, ids: DetailKey<MovieId>| s.movies.credits_of(&ids), |key| key.0, MovieCredits);
loader!(PersonKey => Arc<Biography>, "person_by_id", |s, ids: DetailKey<PersonId>| s.movies.people(&ids), |key| key.0, PersonKey);
loader!(PersonQualityKey => Arc<PersonQuality>, "quality_by_person", |s, ids: DetailKey<PersonId>| s.movies.qualities_of(&ids), |key| key.0, PersonQualityKey);
loader!(FilmographyPage => Vec<(Option<NaiveDate>, MovieId)>, "movies_by_person", |s, pages: FilmographyPage| s.movies.movies_of_people(&pages), Clone::clone, |page| page);
loader!(LiveScoreOf => LiveScore, "live_score_by_movie", |s, ids: MovieId| s.movies.live_scores(&ids), |key| key.0, LiveScoreOf);
