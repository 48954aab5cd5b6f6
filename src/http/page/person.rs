//! The page of a person: their films, with the rank of each.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html, redirect};
use super::found_film::{FoundFilm, with_found_film};
use super::problem::PageError;
use super::queries::{PageInfo, run_query};
use crate::http::state::HttpState;

const PERSON: &str = with_found_film!("queries/person.graphql");

#[derive(Deserialize)]
struct PersonData {
    person: Option<Person>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    slug: String,
    name: String,
    known_for_department: Option<String>,
    birthday: Option<String>,
    deathday: Option<String>,
    place_of_birth: Option<String>,
    biography: Option<String>,
    tmdb_url: Option<String>,
    imdb_id: Option<String>,
    movies: Movies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movies {
    page_info: PageInfo,
    edges: Vec<Credit>,
}

/// A film of the person, and their roles in it.
#[derive(Deserialize)]
struct Credit {
    roles: Vec<String>,
    node: FoundFilm,
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    page: Chrome,
    person: Person,
}

impl PersonPage {
    /// Path of this page.
    fn path(&self) -> String {
        format!("/people/{}", self.person.slug)
    }

    fn canonical(&self) -> String {
        self.path()
    }

    /// What is known of the person's life, in short texts.
    fn life(&self) -> Vec<String> {
        let Person { birthday, deathday, place_of_birth, known_for_department, .. } = &self.person;
        let born = match (birthday, place_of_birth) {
            (Some(day), Some(place)) => Some(format!("born {day} in {place}")),
            (Some(day), None) => Some(format!("born {day}")),
            (None, Some(place)) => Some(format!("born in {place}")),
            (None, None) => None,
        };
        let died = deathday.as_ref().map(|day| format!("died {day}"));
        [known_for_department.clone(), born, died].into_iter().flatten().collect()
    }

    /// Names and addresses of the person's pages elsewhere.
    fn links_out(&self) -> Vec<(&'static str, String)> {
        // A host application may have stored another text in place of the ID, which must not become part of a link.
        let is_imdb_id = |id: &&String| {
            let digits = id.strip_prefix("nm").unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let imdb = self.person.imdb_id.as_ref().filter(is_imdb_id);
        let imdb = imdb.map(|id| ("IMDb", format!("https://www.imdb.com/name/{id}/")));
        self.person.tmdb_url.clone().map(|url| ("TMDb", url)).into_iter().chain(imdb).collect()
    }

    fn next(&self) -> Option<String> {
        self.page.next(&self.person.movies.page_info, &self.path())
    }

    fn previous(&self) -> Option<String> {
        self.page.previous(&self.path())
    }
}

/// `GET /people/{slug}`. Other names of the person (the global ID, a former name) redirect to the slug.
pub(super) async fn get<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::None).await;
    let result = async {
        let query = context.query()?;
        let mut variables = query.selection_variables()?;
        variables.insert("by".to_owned(), json!({ "slug": slug }));
        if !query.after.is_empty() {
            variables.insert("after".to_owned(), query.after.as_str().into());
        }
        let result = run_query::<PersonData, E>(&state.pipeline, PERSON, variables).await?;
        let person = result.data.person.ok_or_else(PageError::person_not_found)?;
        Ok((person, result.end))
    };
    match result.await {
        Ok((person, end)) if person.slug != slug => {
            (Extension(end), redirect(&format!("/people/{}", person.slug), query.as_deref())).into_response()
        }
        Ok((person, end)) => {
            let view = PersonPage { page: context.page, person };
            (Extension(end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}
