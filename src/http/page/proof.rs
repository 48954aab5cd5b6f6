//! `/proof`: the last result of `cinegraph prove`.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::task::spawn_blocking;

use super::problem::PageError;
use super::views::{Chrome, Tab};
use super::{PageContext, html};
use crate::http::HttpState;
use crate::proof::Proof;

#[derive(Template)]
#[template(path = "proof.html")]
struct ProofPage {
    page: Chrome,
    /// None where nothing was measured yet.
    proof: Option<Proof>,
}

/// `GET /proof`.
pub(super) async fn get<E: Executor>(State(state): State<Arc<HttpState<E>>>) -> Response {
    let opened = PageContext::at(&state, None, Tab::None).await;
    let data_dir = state.data_dir.clone();
    let read = spawn_blocking(move || Proof::read(&data_dir)).await;
    match read.map_err(Into::into).flatten() {
        Ok(proof) => html(StatusCode::OK, &ProofPage { page: opened.page, proof }),
        Err(error) => {
            tracing::error!(%error, "the last result of `cinegraph prove` cannot be read");
            opened.fail(PageError::internal())
        }
    }
}
