//! What every page has: its controls, their data, and the response if the page cannot be shown.

use askama::Template;
use async_graphql::Executor;
use axum::http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Map;

use super::chrome::{Chrome, Tab};
use super::learned::Models;
use super::page_query::PageQuery;
use super::problem::PageError;
use super::queries::{FRAME, Frame, MODELS, run_query};
use crate::config::PosterBaseUrl;
use crate::http::html_response::{page_policy, respond};
use crate::http::state::HttpState;

/// An error, with links to retry and to the start page.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    page: Chrome,
    problem: PageError,
    /// Link to try again.
    retry_link: String,
}

/// What a page needs beside its own content.
pub(super) struct PageContext {
    pub(super) page: Chrome,
    /// Why the URL's query is invalid or the frame could not be loaded.
    problem: Option<PageError>,
    /// Link to try again: the current navigation item in the same state. For pages without one, the predictions.
    retry_link: String,
}

impl PageContext {
    /// Parses the URL's query and loads the data of the controls. A failure is kept until [`query`](Self::query)
    /// returns it, so that the error page can show the controls.
    pub(super) async fn load<E: Executor>(state: &HttpState<E>, url_query: Option<&str>, tab: Tab) -> Self {
        let (query, mut problem) = match PageQuery::parse(url_query) {
            Ok(query) => (query, None),
            Err(problem) => (PageQuery::default(), Some(problem)),
        };
        let named = Some(&query.list).filter(|list| !list.is_empty());
        let list = named.map(|list| ("list".to_owned(), list.as_str().into())).into_iter().collect();
        let (frame, models) = tokio::join!(
            run_query::<Frame, E>(&state.pipeline, FRAME, Map::new()),
            run_query::<Models, E>(&state.pipeline, MODELS, list)
        );
        let frame = match frame {
            Ok(result) => result.data,
            Err(unavailable) => {
                problem.get_or_insert(unavailable);
                Frame::default()
            }
        };
        // It fails for an unknown list or without the database: then so do the queries of the page itself.
        let models = models.map(|result| result.data).unwrap_or_default();
        // A cursor of a page outside the navigation is of no other page.
        let retry_link = if tab == Tab::None { query.on_first_page().link("/") } else { query.link(tab.path()) };
        let query = PageQuery { defaults: frame.defaults.clone(), ..query };
        let mut page = Chrome {
            tab,
            part_of: Tab::None,
            query,
            frame,
            models,
            explorer: state.explorer.is_some(),
            has_posters: state.posters.is_some(),
            public_url: state.public_url.clone(),
        };
        if !page.is_learned() {
            // The formula ranks instead, and has no probabilities.
            page.query.probability.clear();
        }
        Self { page, problem, retry_link }
    }

    /// The query of the URL.
    ///
    /// # Errors
    /// [`PageError`] if [`load`](Self::load) failed.
    pub(super) fn query(&self) -> Result<&PageQuery, PageError> {
        self.problem.clone().map_or(Ok(&self.page.query), Err)
    }

    /// The response that shows a problem.
    pub(super) fn fail(self, problem: PageError) -> Response {
        let (status, retry_after) = (problem.status, problem.retry_after);
        let view = ProblemPage { page: self.page, problem, retry_link: self.retry_link };
        let mut response = html(status, None, &view);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An HTML response of the page, which may load posters from `posters`.
pub(super) fn html(status: StatusCode, posters: Option<&PosterBaseUrl>, view: &impl Template) -> Response {
    respond(status, view, &page_policy(posters))
}

/// A permanent redirect to another path with the same query. Browsers must revalidate it: the names of films and people in
/// paths change.
pub(super) fn redirect(path: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{path}{query}")) {
        Ok(location) => {
            let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
            (StatusCode::PERMANENT_REDIRECT, headers).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
