//! The page of search results: films of all years, and people.

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
use super::found_film::{FoundFilm, with_found_film};
use super::queries::{PageInfo, run_query};
use crate::graphql::COUNT_MAX;
use crate::http::state::HttpState;

const SEARCH: &str = with_found_film!("queries/search.graphql");

#[derive(Deserialize)]
struct Found {
    movies: Movies,
    /// `None` on pages after the first.
    people: Option<People>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movies {
    total_count: usize,
    page_info: PageInfo,
    nodes: Vec<FoundFilm>,
}

#[derive(Deserialize)]
struct People {
    nodes: Vec<FoundPerson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundPerson {
    slug: String,
    name: String,
    known_for_department: Option<String>,
}

/// Search results.
#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    page: Chrome,
    /// `None` if nothing is searched for.
    found: Option<Movies>,
    people: Vec<FoundPerson>,
}

/// Films of a search have no roles, unlike those of a person.
const NO_ROLES: &[String] = &[];

impl SearchPage {
    fn next(&self) -> Option<String> {
        self.page.next(&self.found.as_ref()?.page_info, self.page.path())
    }

    fn previous(&self) -> Option<String> {
        self.page.previous(self.page.path())
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
        let mut variables = query.search_variables()?;
        variables.insert("people".to_owned(), query.after.is_empty().into());
        run_query::<Found, E>(&state.pipeline, SEARCH, variables).await.map(Some)
    };
    match result.await {
        Ok(None) => {
            let view = SearchPage { page: context.page, found: None, people: vec![] };
            html(StatusCode::OK, state.posters.as_ref(), &view)
        }
        Ok(Some(result)) => {
            let people = result.data.people.map_or_else(Vec::new, |people| people.nodes);
            let view = SearchPage { page: context.page, found: Some(result.data.movies), people };
            (Extension(result.end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}
