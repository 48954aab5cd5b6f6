//! The validation page: how many listed movies the ranking finds in completed decades.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "templates call them so")]

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::chrome::{Chrome, LIST_FIELD, Tab};
use super::context::{PageContext, html};
use super::hit_rate::HitRate;
use super::numbers::{Interval, chart_x, one_decimal, or_dash, percent, signed};
use super::problem::PageError;
use super::queries::{Movie, run_query};
use crate::graphql::OperationPipeline;
use crate::http::state::HttpState;

const VALIDATION: &str = include_str!("queries/validation.graphql");
const COMPARISON: &str = include_str!("queries/comparison.graphql");
const DECADE: &str = include_str!("queries/decade.graphql");

/// Basis of a validation: scores that do not depend on the target list.
pub(super) const BLIND: &str = "BLIND";
/// Basis of a validation: the scores that predictions return.
const PUBLISHED: &str = "AS_PUBLISHED";

#[derive(Deserialize)]
struct ValidationData {
    validation: Validation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Validation {
    snapshot_at: String,
    pub(super) overall: Tally,
    hit_rates: Vec<HitRate>,
    eras: Vec<Tally>,
    pub(super) decades: Vec<Tally>,
}

/// Figures of a decade, an era or all decades. Fields that a query does not select have default values.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tally {
    name: String,
    pub(super) decade: i32,
    pub(super) listed: u32,
    population: u32,
    pub(super) hits: u32,
    accuracy: Option<f64>,
    interval: Option<Interval>,
    expected_hits: Option<f64>,
    lift: Option<f64>,
    baseline_accuracy: Option<f64>,
    baselines: Vec<Baseline>,
    unhittable: u32,
}

#[derive(Deserialize)]
struct Baseline {
    kind: String,
    accuracy: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComparisonData {
    profile_comparison: Comparison,
}

#[derive(Deserialize)]
struct Comparison {
    best: Option<Name>,
    profiles: Vec<ProfileTally>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct ProfileTally {
    profile: Name,
    overall: Tally,
    decades: Vec<Tally>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecadeData {
    decade_validation: DecadeReport,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecadeReport {
    #[serde(flatten)]
    tally: Tally,
    #[serde(rename = "hitMovies")]
    hits: RankedMovies,
    #[serde(rename = "missedMovies")]
    misses: RankedMovies,
    false_positives: RankedMovies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RankedMovies {
    total_count: usize,
    nodes: Vec<RankedMovie>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RankedMovie {
    rank: Option<usize>,
    score: Option<f64>,
    learned_score: Option<f64>,
    movie: Movie,
}

#[derive(Template)]
#[template(path = "validation.html")]
struct ValidationPage {
    page: Chrome,
    /// Basis of `report`: `BLIND`, or `AS_PUBLISHED` for lists without blind scores.
    basis: &'static str,
    report: Validation,
    /// On the basis `AS_PUBLISHED`; `None` for a learned ranking, of which all scores are blind.
    published: Option<Validation>,
    comparison: Comparison,
}

#[derive(Template)]
#[template(path = "decade.html")]
struct DecadePage {
    page: Chrome,
    basis: &'static str,
    report: DecadeReport,
}

/// `GET /validation`.
pub(super) async fn all<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::Validation).await;
    let result = async {
        // Fails if the context has a problem; the queries read the URL's query from `page`.
        context.query()?;
        let page = &context.page;
        let (report, basis) = validated(&state, page).await?;
        let published = if page.is_learned() {
            None
        } else {
            // If `basis` is `AS_PUBLISHED`, this repeats the query above, and gets its response from the cache.
            Some(query_on_basis::<ValidationData, E>(&state.pipeline, VALIDATION, page, None, PUBLISHED).await?)
        };
        let compared = query_on_basis::<ComparisonData, E>(&state.pipeline, COMPARISON, page, None, basis).await?;
        Ok((report, basis, published.map(|data| data.validation), compared.profile_comparison))
    };
    match result.await {
        Ok((report, basis, published, comparison)) => {
            let view = ValidationPage { page: context.page, basis, report, published, comparison };
            html(StatusCode::OK, state.posters.as_ref(), &view)
        }
        Err(problem) => context.fail(problem),
    }
}

/// `GET /validation/{decade}`: the movies behind the figures.
pub(super) async fn decade<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Path(decade): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::Validation).await;
    let result = async {
        // Fails if the context has a problem; the queries read the URL's query from `page`.
        context.query()?;
        let page = &context.page;
        let decade = decade.parse().map_err(|_| PageError::invalid_link("decade"))?;
        blind_if_possible::<DecadeData, E>(&state.pipeline, DECADE, page, Some(decade)).await
    };
    match result.await {
        Ok((data, basis)) => {
            let view = DecadePage { page: context.page, basis, report: data.decade_validation };
            html(StatusCode::OK, state.posters.as_ref(), &view)
        }
        Err(problem) => context.fail(problem),
    }
}

/// The validation of all decades, with its basis: `BLIND`, or `AS_PUBLISHED` for lists without blind scores.
///
/// # Errors
/// As [`run_query`].
pub(super) async fn validated<E: Executor>(
    state: &HttpState<E>,
    page: &Chrome,
) -> Result<(Validation, &'static str), PageError> {
    let (data, basis) = blind_if_possible::<ValidationData, E>(&state.pipeline, VALIDATION, page, None).await?;
    Ok((data.validation, basis))
}

/// Queries on the basis `BLIND`, or on `AS_PUBLISHED` if the API rejects `BLIND` with 400, as it does for lists without
/// blind scores. A query that is invalid for another reason fails in the same way on both. Returns the basis as well.
async fn blind_if_possible<T: DeserializeOwned, E: Executor>(
    pipeline: &OperationPipeline<E>,
    document: &'static str,
    page: &Chrome,
    decade: Option<i32>,
) -> Result<(T, &'static str), PageError> {
    match query_on_basis(pipeline, document, page, decade, BLIND).await {
        Ok(data) => Ok((data, BLIND)),
        Err(rejected) if rejected.status == StatusCode::BAD_REQUEST => {
            query_on_basis(pipeline, document, page, decade, PUBLISHED).await.map(|data| (data, PUBLISHED))
        }
        Err(problem) => Err(problem),
    }
}

/// Runs a query of this page on a basis, for the selected weights and list.
async fn query_on_basis<T: DeserializeOwned, E: Executor>(
    pipeline: &OperationPipeline<E>,
    document: &'static str,
    page: &Chrome,
    decade: Option<i32>,
    basis: &'static str,
) -> Result<T, PageError> {
    let mut variables = page.query.selection_variables()?;
    if document == COMPARISON {
        // The comparison covers all profiles and ignores the selected weights. Without them, pages of all weights share
        // one cached response.
        variables.retain(|name, _| name == "list");
    } else if !page.is_learned() {
        // The formula ranks while the selected learned ranking is not served, and has published scores as well.
        variables.remove("ranking");
    }
    variables.insert("basis".to_owned(), basis.into());
    if let Some(decade) = decade {
        variables.insert("decade".to_owned(), decade.into());
    }
    Ok(run_query::<T, E>(pipeline, document, variables).await?.data)
}

/// A decade with its accuracy on both bases.
struct Row<'a> {
    tally: &'a Tally,
    /// Accuracy of the published scores, 0 to 1; `None` if no movie is listed.
    published: Option<f64>,
}

impl Row<'_> {
    fn published(&self) -> String {
        percent(self.published)
    }

    fn published_at(&self) -> Option<String> {
        chart_x(self.published)
    }
}

impl Tally {
    pub(super) fn accuracy(&self) -> String {
        percent(self.accuracy)
    }

    /// The accuracy that a random choice would have.
    fn random_accuracy(&self) -> Option<f64> {
        (self.listed > 0).then(|| self.expected_hits.map(|hits| hits / f64::from(self.listed))).flatten()
    }

    fn by_chance(&self) -> String {
        percent(self.random_accuracy())
    }

    fn by_popularity(&self) -> String {
        percent(self.baseline_accuracy)
    }

    fn by_votes(&self) -> String {
        self.by("VOTES")
    }

    fn by_rated_votes(&self) -> String {
        self.by("RATED_VOTES")
    }

    fn by(&self, kind: &str) -> String {
        percent(self.baselines.iter().find(|baseline| baseline.kind == kind).and_then(|baseline| baseline.accuracy))
    }

    fn accuracy_at(&self) -> Option<String> {
        chart_x(self.accuracy)
    }

    fn chance_at(&self) -> Option<String> {
        chart_x(self.random_accuracy())
    }

    fn popularity_at(&self) -> Option<String> {
        chart_x(self.baseline_accuracy)
    }

    fn baselines(&self) -> String {
        format!("{} · {}", self.by_popularity(), self.by_chance())
    }

    fn interval(&self) -> String {
        or_dash(self.interval.map(Interval::text))
    }

    fn lift(&self) -> String {
        or_dash(self.lift.map(|lift| format!("{}×", one_decimal(lift))))
    }

    /// Start and width of the confidence interval on a chart of width 100.
    fn interval_bar(&self) -> Option<(String, String)> {
        let interval = self.interval?;
        chart_x(Some(interval.low)).zip(chart_x(Some(interval.high - interval.low)))
    }
}

impl ValidationPage {
    fn is_blind(&self) -> bool {
        self.basis == BLIND
    }

    /// Accuracy of the published scores, to be compared with that of blind ones; `None` if there are not both.
    fn published_accuracy(&self) -> Option<String> {
        let published = self.published.as_ref().filter(|_| self.is_blind())?;
        Some(percent(published.overall.accuracy))
    }

    /// The decades, each with the accuracy of the published scores.
    fn rows(&self) -> Vec<Row<'_>> {
        let decades = || self.published.iter().flat_map(|published| &published.decades);
        let published = |decade: &Tally| decades().find(|other| other.decade == decade.decade);
        let row = |tally| Row { tally, published: published(tally).and_then(|other| other.accuracy) };
        self.report.decades.iter().map(row).collect()
    }

    fn snapshot_day(&self) -> &str {
        self.report.snapshot_at.split('T').next().unwrap_or_default()
    }

    fn decade_link(&self, decade: &i32) -> String {
        self.page.link_to(&format!("/validation/{decade}"))
    }

    fn best(&self) -> &str {
        self.comparison.best.as_ref().map_or("none", |best| &best.name)
    }

    /// For each decade with listed movies: its figures, and the hits of every profile, each with whether no other profile
    /// has more.
    fn hits_of_profiles(&self) -> Vec<(&Tally, Vec<(u32, bool)>)> {
        let row = |decade: &'_ Tally| {
            let hits = |profile: &ProfileTally| {
                profile.decades.iter().find(|tally| tally.decade == decade.decade).map_or(0, |tally| tally.hits)
            };
            let all: Vec<u32> = self.comparison.profiles.iter().map(hits).collect();
            let most = all.iter().max().copied().unwrap_or_default();
            all.into_iter().map(|hits| (hits, hits == most)).collect()
        };
        self.report.decades.iter().filter(|decade| decade.listed > 0).map(|decade| (decade, row(decade))).collect()
    }
}

impl DecadePage {
    fn groups(&self) -> [(&'static str, &'static str, &RankedMovies); 3] {
        let DecadeReport { hits, misses, false_positives, .. } = &self.report;
        [
            ("Correct", "On the list, and in the top of the ranking", hits),
            ("Missed", "On the list, but ranked too low, or without a rank", misses),
            ("Not chosen (yet)", "In the top of the ranking, but not on the list", false_positives),
        ]
    }

    fn is_blind(&self) -> bool {
        self.basis == BLIND
    }

    /// Link to the predictions of the decade.
    fn predictions_link(&self) -> String {
        self.page.predictions_link(Some(self.report.tally.decade))
    }

    /// The decades before and after this one, with their links.
    fn neighbours(&self) -> [Option<(i32, String)>; 2] {
        let decades = self.page.decades();
        let linked = |decade: &i32| (*decade, self.page.link_to(&format!("/validation/{decade}")));
        let this = self.report.tally.decade;
        let before = decades.iter().filter(|decade| **decade < this).max();
        let after = decades.iter().filter(|decade| **decade > this).min();
        [before.map(linked), after.map(linked)]
    }
}

impl RankedMovie {
    fn rank(&self) -> String {
        self.rank.map_or("no rank".to_owned(), |rank| format!("rank {rank}"))
    }

    fn score(&self) -> String {
        self.score.map_or(String::new(), one_decimal)
    }

    /// The score of a learned ranking; `None` if the formula ranks, or the movie has no score.
    fn points(&self) -> Option<String> {
        self.learned_score.map(signed)
    }

    fn year(&self) -> String {
        self.movie.year.map(|year| format!("({year})")).unwrap_or_default()
    }
}
