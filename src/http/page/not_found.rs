//! The response to paths that no route has.

use std::sync::Arc;

use async_graphql::Executor;
use axum::extract::State;
use axum::http::header::{HeaderValue, VARY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::chrome::Tab;
use super::context::PageContext;
use super::problem::PageError;
use crate::graphql::ErrorCode;
use crate::http::content_negotiation::prefers_html;
use crate::http::error::error_response;
use crate::http::state::HttpState;

/// Responds to browsers with a page that has links, and to all other clients with JSON.
pub(in crate::http) async fn not_found<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let mut response = if matches!(method, Method::GET | Method::HEAD) && prefers_html(&headers) {
        PageContext::load(&state, None, Tab::None).await.fail(PageError::page_not_found())
    } else {
        error_response(StatusCode::NOT_FOUND, ErrorCode::NotFound, "not found")
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}
