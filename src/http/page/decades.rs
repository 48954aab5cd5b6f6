//! `/decades`: the best candidates of every decade, and how many of its listed movies the ranking finds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::chrome::{Chrome, LIST_FIELD, Tab};
use super::context::{PageContext, html};
use super::hit_rate::HitRate;
use super::numbers::{percent, probability};
use super::page_query::PageQuery;
use super::problem::PageError;
use super::queries::{Movie, QueryResult, run_query};
use super::validation::{BLIND, Tally, Validation, validated};
use crate::http::state::HttpState;

/// Maximum number of decades, the latest ones. Each takes one alias and one root field of the query, and `DocumentLimits`
/// allows 30 of each. Movies have been made for 14 decades.
const DECADES_MAX: usize = 25;

/// The fields of each decade.
const TOP: &str = include_str!("queries/top.graphql");

/// The best candidates of a decade.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Top {
    total_count: usize,
    nodes: Vec<Candidate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    rank: Option<usize>,
    probability: Option<f64>,
    #[serde(default)]
    historical_hit_rate: Option<HitRate>,
    movie: Movie,
}

impl Candidate {
    /// The hit rate of its rank, or the probability of a learned ranking; empty if it is unknown.
    fn chance(&self) -> String {
        let rate = self.historical_hit_rate.as_ref().and_then(|known| known.rate);
        self.probability.map(probability).or_else(|| rate.map(|rate| percent(Some(rate)))).unwrap_or_default()
    }
}

/// A decade on the page.
struct DecadeSummary<'a> {
    decade: i32,
    top: &'a Top,
    /// `None` if the decade is not over, or the validation is not available.
    tally: Option<&'a Tally>,
}

#[derive(Template)]
#[template(path = "decades.html")]
struct DecadesPage {
    page: Chrome,
    /// The latest decade first.
    tops: Vec<(i32, Top)>,
    /// With the basis of its scores. `None` if it is not available: then the page says only what is predicted.
    validation: Option<(Validation, &'static str)>,
}

/// `GET /decades`.
pub(super) async fn get<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::Decades).await;
    let result = async {
        context.query()?;
        let mut decades: Vec<i32> = context.page.decades_with_movies().into_iter().take(DECADES_MAX).collect();
        if decades.is_empty() {
            // An operation must select something. The API rejects an unknown list; the catalogue may also be empty.
            decades.push(context.page.frame.defaults.decade);
        }
        let (tops, validation) = tokio::join!(tops(&state, &context.page, &decades), validated(&state, &context.page));
        let mut result = tops?;
        let tops = decades.into_iter().map(|decade| (decade, result.data.remove(&alias(decade)).unwrap_or_default()));
        Ok((tops.collect(), validation.ok(), result.end))
    };
    match result.await {
        Ok((tops, validation, end)) => {
            let view = DecadesPage { page: context.page, tops, validation };
            (Extension(end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}

/// The best candidates of each decade by [`alias`], from one operation: with hit rates if they are available. They need a
/// validation, without which the page is still useful.
async fn tops<E: Executor>(
    state: &HttpState<E>,
    page: &Chrome,
    decades: &[i32],
) -> Result<QueryResult<HashMap<String, Top>>, PageError> {
    let mut variables = page.query.selection_variables()?;
    variables.insert("hitRates".to_owned(), (!page.is_learned()).into());
    match run_query(&state.pipeline, document(decades), variables.clone()).await {
        Err(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
            variables.insert("hitRates".to_owned(), false.into());
            run_query(&state.pipeline, document(decades), variables).await
        }
        result => result,
    }
}

fn alias(decade: i32) -> String {
    format!("d{decade}")
}

/// A query with one aliased field per decade.
fn document(decades: &[i32]) -> String {
    let mut fields = String::new();
    for decade in decades {
        // Writing to a string cannot fail.
        let _ = writeln!(
            fields,
            "{}: predictions(profile: $profile, weights: $weights, ranking: $ranking, list: $list, decade: {decade}, \
             first: 5) {{ ...Top }}",
            alias(*decade)
        );
    }
    format!("{TOP}{{ {fields}}}")
}

impl DecadesPage {
    fn decades(&self) -> Vec<DecadeSummary<'_>> {
        let tallies = || self.validation.iter().flat_map(|(validation, _)| &validation.decades);
        let tally = |decade: i32| tallies().find(|tally| tally.decade == decade);
        self.tops.iter().map(|(decade, top)| DecadeSummary { decade: *decade, top, tally: tally(*decade) }).collect()
    }

    /// Figures of all validated decades together; `None` if there are none.
    fn overall(&self) -> Option<&Tally> {
        self.validation.as_ref().map(|(validation, _)| &validation.overall).filter(|overall| overall.listed > 0)
    }

    /// Whether the list is hidden from the scores that are validated.
    fn is_blind(&self) -> bool {
        self.validation.as_ref().is_none_or(|(_, basis)| *basis == BLIND)
    }

    fn validation_link(&self, decade: i32) -> String {
        self.page.link_to(&format!("/validation/{decade}"))
    }

    /// Address of the page, without the decade that it keeps for other pages.
    fn canonical(&self) -> String {
        PageQuery { decade: String::new(), ..self.page.query.on_first_page().without_filters() }.link("/decades")
    }
}
