//! The page of a movie: its rank and the breakdown of its score.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, json};

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html};
use super::criteria::{CRITERIA, Segment, segments};
use super::numbers::{one_decimal, or_dash};
use super::page_query::PageQuery;
use super::problem::PageError;
use super::queries::{Country, Named, Part, run_query};
use crate::graphql::OperationPipeline;
use crate::http::state::HttpState;

const MOVIE: &str = include_str!("queries/movie.graphql");

/// Maximum number of profiles whose ranks the page shows. Each takes one alias and one root field of the query, and
/// `DocumentLimits` allows 30 of each.
const PROFILES_MAX: usize = 25;

#[derive(Deserialize)]
struct PredictionData {
    prediction: Option<ExplainedPrediction>,
}

#[derive(Deserialize)]
struct ExplainedPrediction {
    rank: Option<usize>,
    unranked: Option<String>,
    score: f64,
    likelihood: f64,
    coverage: u8,
    source: String,
    breakdown: Vec<Part>,
    movie: MovieDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MovieDetails {
    title: String,
    year: Option<i32>,
    decade: Option<i32>,
    original_language: Option<String>,
    genres: Vec<Named>,
    countries: Vec<Country>,
    lists: Vec<Membership>,
    metrics: Vec<Metric>,
    festivals: Festivals,
    people: Vec<Credited>,
}

#[derive(Deserialize)]
struct Membership {
    name: String,
    position: Option<i32>,
    edition: Option<String>,
}

#[derive(Deserialize)]
struct Metric {
    source: String,
    #[serde(rename = "type")]
    kind: String,
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Festivals {
    wins: u32,
    nominations: u32,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    organization: String,
    year: i32,
    category: String,
    person_name: Option<String>,
    won: bool,
}

#[derive(Deserialize)]
struct Credited {
    person: Person,
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Person {
    name: String,
    quality: Option<Quality>,
}

#[derive(Deserialize)]
struct Quality {
    score: f64,
}

/// Rank and scores under one profile.
#[derive(Deserialize)]
struct Standing {
    rank: Option<usize>,
    score: f64,
    likelihood: f64,
}

/// Contribution of one criterion, and the data it is derived from.
struct Reason {
    key: &'static str,
    name: &'static str,
    value: String,
    weight: String,
    points: String,
    facts: Vec<String>,
}

#[derive(Template)]
#[template(path = "movie.html")]
struct MoviePage {
    page: Chrome,
    explained: ExplainedPrediction,
    standings: Vec<(String, Standing)>,
}

/// `GET /films/{id}`.
pub(super) async fn get<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::None).await;
    let result = async {
        let mut variables = context.query()?.selection_variables()?;
        variables.insert("by".to_owned(), json!({ "id": id }));
        let result = run_query::<PredictionData, E>(&state.pipeline, MOVIE, variables).await?;
        let explained = result.data.prediction.ok_or_else(PageError::movie_not_found)?;
        Ok((explained, standings(&state.pipeline, &context.page, &id).await?, result.end))
    };
    match result.await {
        Ok((explained, standings, end)) => {
            let view = MoviePage { page: context.page, explained, standings };
            (Extension(end), html(StatusCode::OK, &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}

/// Rank and scores of the movie under each profile, up to [`PROFILES_MAX`], from one operation.
async fn standings<E: Executor>(
    pipeline: &OperationPipeline<E>,
    page: &Chrome,
    id: &str,
) -> Result<Vec<(String, Standing)>, PageError> {
    let names: Vec<&str> = page.frame.profiles.iter().take(PROFILES_MAX).map(|profile| profile.name.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut variables = Map::new();
    variables.insert("by".to_owned(), json!({ "id": id }));
    variables.insert("list".to_owned(), page.query.list().into());
    variables.extend(names.iter().enumerate().map(|(index, name)| (format!("p{index}"), (*name).into())));
    let document = standings_document(names.len());
    let mut predictions = run_query::<HashMap<String, Option<Standing>>, E>(pipeline, document, variables).await?.data;
    let standing =
        |(index, name): (usize, &&str)| Some(((*name).to_owned(), predictions.remove(&format!("p{index}"))??));
    Ok(names.iter().enumerate().filter_map(standing).collect())
}

/// A query with one aliased prediction per profile; alias and variable of the first are `p0`.
fn standings_document(profiles: usize) -> String {
    let declared: String = (0..profiles).map(|index| format!(" $p{index}: String!")).collect();
    let field =
        |index| format!(" p{index}: prediction(by: $by, profile: $p{index}, list: $list) {{ rank score likelihood }}");
    let fields: String = (0..profiles).map(field).collect();
    format!("query PageRanks($by: MovieBy!, $list: String!{declared}) {{{fields} }}")
}

impl MoviePage {
    fn score(&self) -> String {
        one_decimal(self.explained.score)
    }

    fn likelihood(&self) -> String {
        one_decimal(self.explained.likelihood)
    }

    fn segments(&self) -> Vec<Segment> {
        segments(&self.explained.breakdown)
    }

    /// Year, genres, countries and language, as far as they are known. They are separate parts, because the template
    /// must isolate each: some may be written from right to left.
    fn summary(&self) -> Vec<String> {
        let movie = &self.explained.movie;
        let year = movie.year.map(|year| year.to_string()).unwrap_or_default();
        let genres = movie.genres.iter().map(|genre| genre.name.clone()).collect::<Vec<_>>().join(", ");
        let countries = movie.countries.iter().map(|country| country.name.clone()).collect::<Vec<_>>().join(", ");
        let language = movie.original_language.clone().unwrap_or_default();
        let parts = [year, genres, countries, language];
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// The movie's rank among the candidates of its decade, or why it has no rank.
    fn rank(&self) -> String {
        let decade = self.explained.movie.decade.unwrap_or_default();
        match (self.explained.rank, self.explained.unranked.as_deref()) {
            (Some(rank), _) => format!("Rank {rank} of the {decade}s"),
            (None, Some("LISTED")) => "Already on the list".to_owned(),
            (None, Some("NOT_FULL")) => "No rank, because the data is incomplete".to_owned(),
            (None, Some("NO_RELEASE_DATE")) => "No rank, because the release date is unknown".to_owned(),
            // The cached ranking does not contain the movie yet.
            (None, _) => "Not ranked yet".to_owned(),
        }
    }

    /// Link to the list of the movie's decade.
    fn decade_link(&self) -> String {
        let decade = self.explained.movie.decade.map(|decade| decade.to_string()).unwrap_or_default();
        PageQuery { decade, ..self.page.query.on_first_page().without_filters() }.link("/")
    }

    fn reasons(&self) -> Vec<Reason> {
        let reason = |((key, name, _), part): ((&'static str, &'static str, _), &Part)| Reason {
            key,
            name,
            value: one_decimal(part.value * 100.0),
            weight: one_decimal(part.weight * 100.0),
            points: one_decimal(part.contribution),
            facts: self.facts(key),
        };
        CRITERIA.into_iter().zip(&self.explained.breakdown).map(reason).collect()
    }

    /// The data that a criterion is computed from.
    fn facts(&self, key: &str) -> Vec<String> {
        let movie = &self.explained.movie;
        match key {
            "popular" => vec![
                self.fact("tmdb", "rating_average", "TMDb", " of 10"),
                self.fact("imdb", "rating_average", "IMDb", " of 10"),
            ],
            "critical" => vec![
                self.fact("metacritic", "metascore", "Metacritic", " of 100"),
                self.fact("rotten_tomatoes", "tomatometer", "Rotten Tomatoes", " %"),
            ],
            "industry" => {
                vec![format!("{} won of {} nominations", movie.festivals.wins, movie.festivals.nominations)]
            }
            "cultural" => vec![
                format!("On {} {}", movie.lists.len(), if movie.lists.len() == 1 { "list" } else { "lists" }),
                self.fact("tmdb", "popularity_score", "Popularity on TMDb", ""),
            ],
            _ => vec!["Mean quality of the credited people".to_owned()],
        }
    }

    fn fact(&self, source: &str, kind: &str, name: &str, unit: &str) -> String {
        let metrics = &self.explained.movie.metrics;
        let value = metrics.iter().find(|metric| metric.source == source && metric.kind == kind);
        match value.and_then(|metric| metric.value) {
            Some(value) => format!("{name} {value}{unit}"),
            None => format!("{name} not known"),
        }
    }
}

impl Credited {
    fn quality(&self) -> String {
        or_dash(self.person.quality.as_ref().map(|quality| one_decimal(quality.score)))
    }

    /// Width of the bar that shows the quality, in percent; 0 if the quality is unknown.
    fn quality_width(&self) -> String {
        one_decimal(self.person.quality.as_ref().map_or(0.0, |quality| quality.score))
    }

    fn roles(&self) -> String {
        self.roles.join(", ")
    }
}

impl Standing {
    fn rank(&self) -> String {
        or_dash(self.rank)
    }

    fn score(&self) -> String {
        one_decimal(self.score)
    }

    fn likelihood(&self) -> String {
        one_decimal(self.likelihood)
    }
}
