//! `/proof`: the last result of `cinegraph prove`.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::task::spawn_blocking;

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html};
use crate::http::state::HttpState;
use crate::proof::Proof;

#[derive(Template)]
#[template(path = "proof.html")]
struct ProofPage {
    page: Chrome,
    /// `None` before the first measurement, or if its file is unreadable.
    proof: Option<Proof>,
}

/// `GET /proof`.
pub(super) async fn get<E: Executor>(State(state): State<Arc<HttpState<E>>>) -> Response {
    let context = PageContext::load(&state, None, Tab::None).await;
    let data_dir = state.data_dir.clone();
    let read = spawn_blocking(move || Proof::read(&data_dir)).await;
    // The file may be of another version, or truncated. The page then shows no result; the next measurement replaces
    // the file.
    let proof = read.map_err(Into::into).flatten().unwrap_or_else(|error| {
        tracing::warn!(%error, "last result of `cinegraph prove` is unreadable");
        None
    });
    html(StatusCode::OK, state.posters.as_ref(), &ProofPage { page: context.page, proof })
}
