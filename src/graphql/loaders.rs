//! Loaders: whatever a page asks about its movies is asked for all of them at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use tracing::{Instrument, Span};

use super::error::ApiError;
use crate::scoring::MovieId;
use crate::services::Services;
use crate::services::catalogue::DetailKey;
use crate::store::{Country, Credit, FestivalEntry, Genre, LiveScore, Metric, Movie, PersonId, PersonQuality};
use crate::telemetry::Metrics;

/// The names of all loaders, for metrics.
pub const LOADERS: &[&str] = &[
    "movie_by_id",
    "genres_by_movie",
    "countries_by_movie",
    "metrics_by_movie",
    "festivals_by_movie",
    "credits_by_movie",
    "quality_by_person",
    "live_score_by_movie",
];

/// Loads by keys of several kinds.
pub(super) struct Loaders {
    services: Arc<Services>,
    metrics: Metrics,
}

impl Loaders {
    pub(super) fn new(services: Arc<Services>, metrics: Metrics) -> Self {
        Self { services, metrics }
    }
}

/// Genres of a movie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct GenresOf(pub(super) DetailKey<MovieId>);

/// Production countries of a movie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CountriesOf(pub(super) DetailKey<MovieId>);

/// Metrics of a movie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MetricsOf(pub(super) DetailKey<MovieId>);

/// Nominations of a movie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FestivalsOf(pub(super) DetailKey<MovieId>);

/// Credits of a movie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CreditsOf(pub(super) DetailKey<MovieId>);

/// The quality of a person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct QualityOf(pub(super) DetailKey<PersonId>);

/// The score of a movie that is in no decade's columns.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LiveScoreOf(pub(super) MovieId);

fn batch_span(loader: &'static str, keys: usize) -> Span {
    tracing::info_span!(
        "batch",
        otel.name = format!("dataloader {loader}"),
        graphql.processing.r#type = "dataloader_batch",
        graphql.dataloader.name = loader,
        graphql.dataloader.batch.size = keys,
    )
}

/// A loader: its key, what it gives, its name, and the look-up that serves it.
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

loader!(MovieId => Arc<Movie>, "movie_by_id", |s, ids: MovieId| s.catalogue.movies(&ids), |key| *key, |id| id);
loader!(GenresOf => Arc<Vec<Genre>>, "genres_by_movie", |s, ids: DetailKey<MovieId>| s.catalogue.genres_of(&ids), |key| key.0, GenresOf);
loader!(CountriesOf => Arc<Vec<Country>>, "countries_by_movie", |s, ids: DetailKey<MovieId>| s.catalogue.countries_of(&ids), |key| key.0, CountriesOf);
loader!(MetricsOf => Arc<Vec<Metric>>, "metrics_by_movie", |s, ids: DetailKey<MovieId>| s.catalogue.metrics_of(&ids), |key| key.0, MetricsOf);
loader!(FestivalsOf => Arc<Vec<FestivalEntry>>, "festivals_by_movie", |s, ids: DetailKey<MovieId>| s.catalogue.festival_entries_of(&ids), |key| key.0, FestivalsOf);
loader!(CreditsOf => Arc<Vec<Credit>>, "credits_by_movie", |s, ids: DetailKey<MovieId>| s.catalogue.credits_of(&ids), |key| key.0, CreditsOf);
loader!(QualityOf => Arc<PersonQuality>, "quality_by_person", |s, ids: DetailKey<PersonId>| s.catalogue.qualities_of(&ids), |key| key.0, QualityOf);
loader!(LiveScoreOf => LiveScore, "live_score_by_movie", |s, ids: MovieId| s.catalogue.live_scores(&ids), |key| key.0, LiveScoreOf);
