//! Data loaders: load the details of all movies of a page in one batch per kind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use tracing::{Instrument, Span};

use super::error::ApiError;
use super::metrics::GraphqlMetrics;
use crate::scoring::MovieId;
use crate::services::Services;
use crate::services::movies::DetailKey;
use crate::store::{Country, Credit, FestivalEntry, Genre, LiveScore, Metric, Movie, Person, PersonId, PersonQuality};
use crate::telemetry::integer;

/// Names of all loaders, as metric labels. Must contain the name of every `loader!` below: batches of other names are
/// counted as `other`.
pub const LOADERS: &[&str] = &[
    "movie_by_id",
    "genres_by_movie",
    "countries_by_movie",
    "metrics_by_movie",
    "festivals_by_movie",
    "credits_by_movie",
    "person_by_id",
    "quality_by_person",
    "live_score_by_movie",
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
loader!(MovieGenres => Arc<Vec<Genre>>, "genres_by_movie", |s, ids: DetailKey<MovieId>| s.movies.genres_of(&ids), |key| key.0, MovieGenres);
loader!(MovieCountries => Arc<Vec<Country>>, "countries_by_movie", |s, ids: DetailKey<MovieId>| s.movies.countries_of(&ids), |key| key.0, MovieCountries);
loader!(MovieMetrics => Arc<Vec<Metric>>, "metrics_by_movie", |s, ids: DetailKey<MovieId>| s.movies.metrics_of(&ids), |key| key.0, MovieMetrics);
loader!(MovieFestivals => Arc<Vec<FestivalEntry>>, "festivals_by_movie", |s, ids: DetailKey<MovieId>| s.movies.festival_entries_of(&ids), |key| key.0, MovieFestivals);
loader!(MovieCredits => Arc<Vec<Credit>>, "credits_by_movie", |s, ids: DetailKey<MovieId>| s.movies.credits_of(&ids), |key| key.0, MovieCredits);
loader!(PersonKey => Arc<Person>, "person_by_id", |s, ids: DetailKey<PersonId>| s.movies.people(&ids), |key| key.0, PersonKey);
loader!(PersonQualityKey => Arc<PersonQuality>, "quality_by_person", |s, ids: DetailKey<PersonId>| s.movies.qualities_of(&ids), |key| key.0, PersonQualityKey);
loader!(LiveScoreOf => LiveScore, "live_score_by_movie", |s, ids: MovieId| s.movies.live_scores(&ids), |key| key.0, LiveScoreOf);
