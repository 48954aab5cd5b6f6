//! The predictions page: HTML rendered from results of the GraphQL API.
//!
//! The page sends its queries through the same operation pipeline as clients, so it shares their response cache.
//! Everything on it works with links and forms; the scripts in `assets/` only make it faster.

pub(super) mod assets;
mod chrome;
mod context;
mod criteria;
mod csv;
mod decades;
mod found_film;
mod hit_rate;
mod learned;
mod list;
mod model;
mod model_charts;
mod movie;
mod not_found;
mod numbers;
mod page_query;
mod person;
mod poster;
mod problem;
mod proof;
mod queries;
mod search;
mod site_files;
mod strengths;
mod timings;
mod validation;

use std::sync::Arc;

use async_graphql::Executor;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};

pub(super) use self::not_found::not_found;
use self::timings::RateLimiter;
use super::state::HttpState;
use super::trailing_slash::with_trailing_slashes;

/// The routes of the page.
pub(super) fn routes<E: Executor>() -> Router<Arc<HttpState<E>>> {
    let pages = Router::new()
        .route("/", get(list::predictions::<E>))
        .route("/decades", get(decades::get::<E>))
        .route("/additions", get(list::additions::<E>))
        .route("/validation", get(validation::all::<E>))
        .route("/validation/{decade}", get(validation::decade::<E>))
        .route("/films/{id}", get(movie::get::<E>))
        .route("/people/{slug}", get(person::get::<E>))
        .route("/model", get(model::get::<E>))
        .route("/search", get(search::get::<E>))
        .route("/proof", get(proof::get::<E>))
        .route("/predictions.csv", get(csv::predictions::<E>))
        .route("/additions.csv", get(csv::additions::<E>))
        .route("/robots.txt", get(site_files::robots))
        .route("/favicon.ico", get(site_files::icon))
        .route("/assets/{version}/{name}", get(assets::get));
    let timings = Router::new()
        .route("/page/timings", post(timings::post::<E>))
        .layer(Extension(RateLimiter::new()))
        .layer(DefaultBodyLimit::max(timings::BODY_BYTES));
    let redirected = [
        "/decades",
        "/additions",
        "/validation",
        "/validation/{decade}",
        "/films/{id}",
        "/people/{slug}",
        "/model",
        "/proof",
        "/search",
    ];
    with_trailing_slashes(pages, &redirected).merge(timings)
}
