//! The predictions page: HTML rendered from results of the GraphQL API.
//!
//! It queries the same operation pipeline as clients and so shares the response cache. Everything works by links and
//! forms; the scripts in `assets/` only make it faster.

pub(super) mod assets;
mod film;
mod page_query;
mod problem;
mod proof;
mod queries;
mod timings;
mod validation;
mod views;

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use self::page_query::PageQuery;
use self::problem::PageError;
use self::queries::{ADDITIONS, FRAME, Frame, PREDICTIONS, Ranked, run_query};
use self::timings::RateLimiter;
use self::views::{Chrome, ListPage, ProblemPage, Tab};
use super::{HttpState, html};

/// Content-Security-Policy: only resources of this origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The routes of the page.
pub(super) fn routes<E: Executor>() -> Router<Arc<HttpState<E>>> {
    let pages = Router::new()
        .route("/", get(predictions::<E>))
        .route("/additions", get(additions::<E>))
        .route("/validation", get(validation::all::<E>))
        .route("/validation/{decade}", get(validation::decade::<E>))
        .route("/films/{id}", get(film::get::<E>))
        .route("/proof", get(proof::get::<E>))
        .route("/assets/{version}/{name}", get(assets::get));
    let timings = Router::new()
        .route("/page/timings", post(timings::post::<E>))
        .layer(Extension(RateLimiter::new()))
        .layer(DefaultBodyLimit::max(timings::BODY_BYTES));
    pages.merge(timings)
}

/// `GET /`: candidates, by rank.
async fn predictions<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    list(&state, query.as_deref(), Tab::Predictions).await
}

/// `GET /additions`: confirmed additions, by score.
async fn additions<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    list(&state, query.as_deref(), Tab::Additions).await
}

async fn list<E: Executor>(state: &HttpState<E>, query: Option<&str>, tab: Tab) -> Response {
    let context = PageContext::load(state, query, tab).await;
    let result = async {
        let (document, page_query) = match tab {
            Tab::Additions => (ADDITIONS, context.query()?.without_filter()),
            _ => (PREDICTIONS, context.query()?.clone()),
        };
        run_query::<Ranked, E>(&state.pipeline, document, page_query.page()?).await
    };
    match result.await {
        Ok(result) => {
            let ranking = result.data.ranking;
            let placeholder_row = views::placeholder_row();
            let view = ListPage { page: context.page, ranking, stale: result.stale, placeholder_row };
            (Extension(result.end), html(StatusCode::OK, &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}

/// What a page needs beside its own content.
struct PageContext {
    page: Chrome,
    /// Why the URL's query is invalid or the frame could not be loaded.
    problem: Option<PageError>,
    /// The link to try again.
    again: String,
}

impl PageContext {
    async fn load<E: Executor>(state: &HttpState<E>, query: Option<&str>, tab: Tab) -> Self {
        let (address, mut problem) = match PageQuery::read(query) {
            Ok(address) => (address, None),
            Err(problem) => (PageQuery::default(), Some(problem)),
        };
        let frame = run_query::<Frame, E>(&state.pipeline, FRAME, serde_json::Map::new()).await;
        let frame = match frame {
            Ok(result) => result.data,
            Err(unavailable) => {
                problem.get_or_insert(unavailable);
                Frame::default()
            }
        };
        let again = address.link(tab.path());
        Self { page: Chrome { tab, address, frame, explorer: state.explorer.is_some() }, problem, again }
    }

    /// The query of the URL.
    ///
    /// # Errors
    /// The problem of this context, if any.
    fn query(&self) -> Result<&PageQuery, PageError> {
        self.problem.clone().map_or(Ok(&self.page.address), Err)
    }

    fn fail(self, problem: PageError) -> Response {
        let (status, retry_after) = (problem.status, problem.retry_after);
        let mut response = html(status, &ProblemPage { page: self.page, problem, again: self.again });
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn html(status: StatusCode, view: &impl Template) -> Response {
    html::respond(status, view, POLICY)
}
