//! The page of search results: films of all years.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html};
use super::numbers::{one_decimal, or_dash, probability};
use super::queries::{PageInfo, run_query};
use crate::http::state::HttpState;

const SEARCH: &str = include_str!("queries/search.graphql");

/// From how many films on the API does not count any further.
const COUNT_MAX: usize = 1_000;

#[derive(Deserialize)]
struct Found {
    movies: Movies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movies {
    total_count: usize,
    page_info: PageInfo,
    nodes: Vec<Film>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Film {
    slug: String,
    title: String,
    original_title: Option<String>,
    year: Option<i32>,
    decade: Option<i32>,
    prediction: Option<Prediction>,
}

#[derive(Deserialize)]
struct Prediction {
    rank: Option<usize>,
    score: f64,
    probability: Option<f64>,
    status: String,
}

impl Film {
    /// The original title, if it is another one.
    fn other_title(&self) -> Option<&str> {
        self.original_title.as_deref().filter(|original| *original != self.title)
    }

    /// Where the film stands.
    fn standing(&self) -> String {
        match (&self.prediction, self.decade) {
            (Some(prediction), _) if prediction.status == "LISTED" => "On the list".to_owned(),
            (Some(Prediction { rank: Some(rank), .. }), Some(decade)) => format!("Rank {rank} of the {decade}s"),
            _ => "Not ranked".to_owned(),
        }
    }
}

/// Search results.
#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    page: Chrome,
    /// `None` if nothing is searched for.
    found: Option<Movies>,
}

impl SearchPage {
    /// The score of a film, or the probability of a learned ranking; a dash if that is not known.
    fn value(&self, film: &Film) -> String {
        match &film.prediction {
            Some(prediction) if self.page.is_learned() => or_dash(prediction.probability.map(probability)),
            Some(prediction) => one_decimal(prediction.score),
            None => String::new(),
        }
    }

    /// Link to the next page; `None` on the last one.
    fn next(&self) -> Option<String> {
        let info = &self.found.as_ref()?.page_info;
        let cursor = info.end_cursor.as_deref().filter(|_| info.has_next_page)?;
        Some(self.page.query.next(cursor).link(self.page.path()))
    }

    /// Link to the previous page; `None` on the first one.
    fn previous(&self) -> Option<String> {
        let query = &self.page.query;
        (!query.after.is_empty()).then(|| query.previous().link(self.page.path()))
    }

    /// How many films match.
    fn count(&self) -> String {
        match self.found.as_ref().map_or(0, |found| found.total_count) {
            COUNT_MAX.. => "1,000 films or more".to_owned(),
            1 => "1 film".to_owned(),
            count => format!("{count} films"),
        }
    }
}

/// `GET /search`.
pub(super) async fn get<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::Search).await;
    let result = async {
        let query = context.query()?;
        if query.q.trim().is_empty() {
            return Ok(None);
        }
        run_query::<Found, E>(&state.pipeline, SEARCH, query.search_variables()?).await.map(Some)
    };
    match result.await {
        Ok(None) => html(StatusCode::OK, state.posters.as_ref(), &SearchPage { page: context.page, found: None }),
        Ok(Some(result)) => {
            let view = SearchPage { page: context.page, found: Some(result.data.movies) };
            (Extension(result.end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}
