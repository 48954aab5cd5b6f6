//! The predictions page: HTML for people, made of what the API answers.
//!
//! It asks through the same door as every client, so an answer that is kept makes a page without a computation. All of
//! it works by links and forms; the scripts in `assets/` only make it quicker.

mod assets;
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

pub(super) use self::assets::path as asset_path;
use self::page_query::PageQuery;
use self::problem::PageError;
use self::queries::{ADDITIONS, FRAME, Frame, PREDICTIONS, Ranked, ask};
use self::timings::RateLimiter;
use self::views::{Chrome, ListPage, ProblemPage, Tab};
use super::{HttpState, html};

/// Nothing but what this page brings may run or be shown in it.
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

/// `GET /`: films that are not on the list.
async fn predictions<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    list(&state, query.as_deref(), Tab::Predictions).await
}

/// `GET /additions`: films that are on it.
async fn additions<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    list(&state, query.as_deref(), Tab::Additions).await
}

async fn list<E: Executor>(state: &HttpState<E>, query: Option<&str>, tab: Tab) -> Response {
    let opened = PageContext::at(state, query, tab).await;
    let asked = async {
        let (document, address) = match tab {
            Tab::Additions => (ADDITIONS, opened.address()?.without_filter()),
            _ => (PREDICTIONS, opened.address()?.clone()),
        };
        ask::<Ranked, E>(&state.pipeline, document, address.page()?).await
    };
    match asked.await {
        Ok(asked) => {
            let ranking = asked.data.ranking;
            let view =
                ListPage { page: opened.page, ranking, stale: asked.stale, placeholder_row: views::placeholder_row() };
            (Extension(asked.end), html(StatusCode::OK, &view)).into_response()
        }
        Err(problem) => opened.fail(problem),
    }
}

/// A page whose surroundings are known.
struct PageContext {
    page: Chrome,
    /// Why they are not.
    problem: Option<PageError>,
    again: String,
}

impl PageContext {
    async fn at<E: Executor>(state: &HttpState<E>, query: Option<&str>, tab: Tab) -> Self {
        let (address, mut problem) = match PageQuery::read(query) {
            Ok(address) => (address, None),
            Err(problem) => (PageQuery::default(), Some(problem)),
        };
        let frame = ask::<Frame, E>(&state.pipeline, FRAME, serde_json::Map::new()).await.map(|asked| asked.data);
        let frame = frame.unwrap_or_else(|unavailable| {
            problem.get_or_insert(unavailable);
            Frame::default()
        });
        let again = address.link(tab.path());
        Self { page: Chrome { tab, address, frame, explorer: state.explorer.is_some() }, problem, again }
    }

    fn address(&self) -> Result<&PageQuery, PageError> {
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
