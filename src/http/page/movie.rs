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
use serde_json::{Map, Value, json};

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html, redirect};
use super::criteria::{CRITERIA, Criterion, Segment, segments};
use super::hit_rate::HitRate;
use super::learned::{LearnedReason, ReasonBar, reason_bars};
use super::numbers::{one_decimal, or_dash, probability, signed};
use super::poster::Poster;
use super::problem::PageError;
use super::queries::{Country, Named, Part, run_query};
use super::strengths::{Comparison, sentences};
use crate::graphql::OperationPipeline;
use crate::http::state::HttpState;

const MOVIE: &str = include_str!("queries/movie.graphql");
const HIT_RATE: &str = include_str!("queries/hit_rate.graphql");

/// Maximum number of profiles whose ranks the page shows. Each takes one alias and one root field of the query, and
/// `DocumentLimits` allows 30 of each.
const PROFILES_MAX: usize = 25;

#[derive(Deserialize)]
struct PredictionData {
    prediction: Option<ExplainedPrediction>,
}

#[derive(Deserialize)]
struct HitRateData {
    prediction: Option<RatedPrediction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RatedPrediction {
    historical_hit_rate: Option<HitRate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedPrediction {
    rank: Option<usize>,
    unranked: Option<String>,
    status: String,
    score: f64,
    coverage: u8,
    source: String,
    learned_score: Option<f64>,
    learned_base: Option<f64>,
    probability: Option<f64>,
    known_groups: Option<u8>,
    total_groups: Option<u8>,
    reasons: Option<Vec<LearnedReason>>,
    breakdown: Vec<Part>,
    standing: Option<DecadeStanding>,
    movie: MovieDetails,
}

#[derive(Deserialize)]
struct DecadeStanding {
    previous: Option<Neighbour>,
    next: Option<Neighbour>,
    criteria: Vec<CriterionStanding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CriterionStanding {
    lower_share: f64,
}

/// The film before or after this one in the ranking.
#[derive(Deserialize)]
struct Neighbour {
    rank: Option<usize>,
    movie: NeighbouringMovie,
}

#[derive(Deserialize)]
struct NeighbouringMovie {
    slug: String,
    title: String,
    year: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MovieDetails {
    slug: String,
    title: String,
    original_title: Option<String>,
    year: Option<i32>,
    decade: Option<i32>,
    overview: Option<String>,
    runtime: Option<u32>,
    language: Option<Language>,
    tmdb_url: Option<String>,
    imdb_url: Option<String>,
    letterboxd_url: Option<String>,
    poster_url: Option<String>,
    poster_url_of_twice: Option<String>,
    genres: Vec<Named>,
    countries: Vec<Country>,
    directors: Vec<Director>,
    lists: Vec<Membership>,
    ratings: Ratings,
    metrics: Vec<Metric>,
    festivals: Festivals,
    people: Vec<Credited>,
}

#[derive(Deserialize)]
struct Language {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Membership {
    name: String,
    position: Option<i32>,
    edition: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ratings {
    tmdb: Option<Rating>,
    imdb: Option<Rating>,
    metacritic: Option<Rating>,
    rotten_tomatoes: Option<Rating>,
}

#[derive(Deserialize)]
struct Rating {
    value: f64,
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
    wins: usize,
    nominations: usize,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    award: String,
    year: i32,
    category_name: String,
    person_name: Option<String>,
    won: bool,
}

#[derive(Deserialize)]
struct Credited {
    person: Person,
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Director {
    slug: String,
    name: String,
}

#[derive(Deserialize)]
struct Person {
    slug: String,
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
    /// `None` if the film has none, or the validation that it needs is not available.
    hit_rate: Option<HitRate>,
}

/// `GET /films/{slug}`. Other names of the film (its global ID, an older title, an ID that it has had) redirect to its
/// slug.
pub(super) async fn get<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut context = PageContext::load(&state, query.as_deref(), Tab::None).await;
    let result = async {
        let mut variables = context.query()?.selection_variables()?;
        variables.insert("by".to_owned(), json!({ "slug": slug }));
        let result = run_query::<PredictionData, E>(&state.pipeline, MOVIE, variables.clone()).await?;
        let explained = result.data.prediction.ok_or_else(PageError::movie_not_found)?;
        if explained.movie.slug != slug {
            return Ok((explained, Vec::new(), None, result.end));
        }
        let (standings, hit_rate) = tokio::join!(
            standings(&state.pipeline, &context.page, &slug),
            hit_rate(&state.pipeline, &explained, variables)
        );
        Ok((explained, standings?, hit_rate, result.end))
    };
    match result.await {
        Ok((explained, _, _, end)) if explained.movie.slug != slug => {
            (Extension(end), redirect(&format!("/films/{}", explained.movie.slug), query.as_deref())).into_response()
        }
        Ok((explained, standings, hit_rate, end)) => {
            context.page.part_of = if explained.status == "LISTED" { Tab::Additions } else { Tab::Predictions };
            let view = MoviePage { page: context.page, explained, standings, hit_rate };
            (Extension(end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}

/// Rank and scores of the movie under each profile, up to [`PROFILES_MAX`], from one operation.
async fn standings<E: Executor>(
    pipeline: &OperationPipeline<E>,
    page: &Chrome,
    slug: &str,
) -> Result<Vec<(String, Standing)>, PageError> {
    let names: Vec<&str> = page.frame.profiles.iter().take(PROFILES_MAX).map(|profile| profile.name.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut variables = Map::new();
    variables.insert("by".to_owned(), json!({ "slug": slug }));
    variables.insert("list".to_owned(), page.query.list().into());
    variables.extend(names.iter().enumerate().map(|(index, name)| (format!("p{index}"), (*name).into())));
    let document = standings_document(names.len());
    let mut predictions = run_query::<HashMap<String, Option<Standing>>, E>(pipeline, document, variables).await?.data;
    let standing =
        |(index, name): (usize, &&str)| Some(((*name).to_owned(), predictions.remove(&format!("p{index}"))??));
    Ok(names.iter().enumerate().filter_map(standing).collect())
}

/// How often films of the movie's rank were on the list in past decades; `None` without a rank, under a learned ranking,
/// and if it is not available: the page is complete without it.
async fn hit_rate<E: Executor>(
    pipeline: &OperationPipeline<E>,
    explained: &ExplainedPrediction,
    variables: Map<String, Value>,
) -> Option<HitRate> {
    if explained.rank.is_none() || explained.learned_score.is_some() {
        return None;
    }
    let result = run_query::<HitRateData, E>(pipeline, HIT_RATE, variables).await.ok()?;
    result.data.prediction?.historical_hit_rate.filter(|known| known.rate.is_some())
}

/// A query with one aliased prediction per profile; alias and variable of the first are `p0`.
fn standings_document(profiles: usize) -> String {
    let declared: String = (0..profiles).map(|index| format!(" $p{index}: String!")).collect();
    let field = |index| format!(" p{index}: prediction(by: $by, profile: $p{index}, list: $list) {{ rank score }}");
    let fields: String = (0..profiles).map(field).collect();
    format!("query PageRanks($by: MovieBy!, $list: String!{declared}) {{{fields} }}")
}

/// What the learned ranking says about a movie.
struct Learned<'a> {
    probability: String,
    points: String,
    base: String,
    known: u8,
    total: u8,
    bars: Vec<ReasonBar<'a>>,
}

impl MoviePage {
    /// What the learned ranking says; `None` if it has not scored the movie yet.
    fn learned(&self) -> Option<Learned<'_>> {
        let explained = &self.explained;
        Some(Learned {
            probability: explained.probability.map_or_else(|| "not enough known".to_owned(), probability),
            points: signed(explained.learned_score?),
            base: signed(explained.learned_base?),
            known: explained.known_groups?,
            total: explained.total_groups?,
            bars: reason_bars(explained.reasons.as_deref()?),
        })
    }

    fn score(&self) -> String {
        one_decimal(self.explained.score)
    }

    fn segments(&self) -> Vec<Segment> {
        segments(&self.explained.breakdown)
    }

    /// Year, running time, genres, countries and language, as far as they are known. They are separate parts, because the
    /// template must isolate each: some may be written from right to left.
    fn summary(&self) -> Vec<String> {
        let movie = &self.explained.movie;
        let year = movie.year.map(|year| year.to_string());
        let genres = Some(movie.genres.iter().map(|genre| genre.name.clone()).collect::<Vec<_>>().join(", "));
        let countries = Some(movie.countries.iter().map(|country| country.name.clone()).collect::<Vec<_>>().join(", "));
        let language = movie.language.as_ref().and_then(|language| language.name.clone());
        let parts = [year, movie.runtime.map(running_time), genres, countries, language];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect()
    }

    /// The poster, or the tile in its place.
    fn poster(&self) -> Poster {
        let movie = &self.explained.movie;
        Poster::large(&movie.title, movie.year, movie.poster_url.clone(), movie.poster_url_of_twice.clone())
    }

    /// The original title; `None` if it is the title.
    fn original_title(&self) -> Option<&str> {
        let movie = &self.explained.movie;
        movie.original_title.as_deref().filter(|original| *original != movie.title)
    }

    /// Links to the film at other sites.
    fn links_out(&self) -> Vec<(&'static str, &str)> {
        let movie = &self.explained.movie;
        let links = [("TMDb", &movie.tmdb_url), ("IMDb", &movie.imdb_url), ("Letterboxd", &movie.letterboxd_url)];
        links.into_iter().filter_map(|(name, url)| Some((name, url.as_deref()?))).collect()
    }

    /// Address of the page, without what it was ranked by.
    fn canonical(&self) -> String {
        format!("/films/{}", self.explained.movie.slug)
    }

    /// The page in one sentence, for search engines and previews of links.
    fn description(&self) -> String {
        let list = self.page.list_name();
        match self.explained.status.as_str() {
            "LISTED" => format!("On the list {list}. Why, and how it compares with other films of its decade."),
            _ => format!("{}: how likely it is to join {list}, and why.", self.rank()),
        }
    }

    /// What holds the film up and back. Empty if a learned ranking ranks: it has other reasons.
    fn strengths(&self) -> Vec<String> {
        let explained = &self.explained;
        let (Some(standing), false) = (&explained.standing, self.page.is_learned()) else { return Vec::new() };
        let parts = explained.breakdown.iter().zip(&standing.criteria);
        let comparison = |(criterion, (part, standing)): (Criterion, (&Part, &CriterionStanding))| Comparison {
            name: criterion.name.to_lowercase(),
            fact: explained.movie.fact_in_words(criterion.key),
            weight: part.weight,
            lower_share: standing.lower_share,
        };
        let comparisons: Vec<_> = CRITERIA.into_iter().zip(parts).map(comparison).collect();
        sentences(&comparisons, explained.movie.decade.unwrap_or_default())
    }

    /// The awards by body and year, in the order of the entries.
    fn awards(&self) -> Vec<Awards<'_>> {
        let mut awards: Vec<Awards<'_>> = Vec::new();
        for entry in &self.explained.movie.festivals.entries {
            match awards.iter_mut().find(|known| known.name == entry.award && known.year == entry.year) {
                Some(known) => known.entries.push(entry),
                None => awards.push(Awards { name: &entry.award, year: entry.year, entries: vec![entry] }),
            }
        }
        awards
    }

    /// Link to another film under the same ranking.
    fn neighbour_link(&self, neighbour: &Neighbour) -> String {
        self.page.movie_link(&neighbour.movie.slug)
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
        self.page.predictions_link(self.explained.movie.decade)
    }

    fn reasons(&self) -> Vec<Reason> {
        let reason = |(Criterion { key, name, .. }, part): (Criterion, &Part)| Reason {
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

impl MovieDetails {
    /// What a criterion is made of, in a few words.
    fn fact_in_words(&self, key: &str) -> String {
        let ratings = &self.ratings;
        let known = |ratings: [(&Option<Rating>, &str, &str); 2]| {
            let rating = |(rating, name, unit): (&Option<Rating>, &str, &str)| {
                rating.as_ref().map(|rating| format!("{name} {}{unit}", rating.value))
            };
            let known: Vec<String> = ratings.into_iter().filter_map(rating).collect();
            if known.is_empty() { "no rating known".to_owned() } else { known.join(", ") }
        };
        match key {
            "popular" => known([(&ratings.tmdb, "TMDb", " of 10"), (&ratings.imdb, "IMDb", " of 10")]),
            "critical" => known([
                (&ratings.metacritic, "Metacritic", " of 100"),
                (&ratings.rotten_tomatoes, "Rotten Tomatoes", " %"),
            ]),
            "industry" if self.festivals.nominations == 0 => "no nominations".to_owned(),
            "industry" => record(self.festivals.wins, self.festivals.nominations),
            "cultural" => match self.lists.len() {
                0 => "on no list".to_owned(),
                1 => "on one list only".to_owned(),
                lists => format!("on {lists} lists"),
            },
            _ => "the track record of its cast and crew".to_owned(),
        }
    }
}

/// What a film has won at the awards of one body in one year.
struct Awards<'a> {
    name: &'a str,
    year: i32,
    entries: Vec<&'a Entry>,
}

impl Awards<'_> {
    fn record(&self) -> String {
        record(self.entries.iter().filter(|entry| entry.won).count(), self.entries.len())
    }
}

/// Wins and nominations in words: "1 win, 4 nominations". Nominations include wins.
fn record(wins: usize, nominations: usize) -> String {
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    match (wins, nominations) {
        (0, nominations) => count(nominations, "nomination"),
        (wins, nominations) if wins == nominations => count(wins, "win"),
        (wins, nominations) => format!("{}, {}", count(wins, "win"), count(nominations, "nomination")),
    }
}

/// A running time in hours and minutes, such as "2 h 16 min".
fn running_time(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_times_and_records_are_in_words() {
        assert_eq!([45, 120, 136].map(running_time), ["45 min", "2 h", "2 h 16 min"]);
        let records = [(0, 1), (1, 1), (2, 2), (1, 4), (2, 11)].map(|(wins, nominations)| record(wins, nominations));
        assert_eq!(records, ["1 nomination", "1 win", "2 wins", "1 win, 4 nominations", "2 wins, 11 nominations"]);
    }
}
