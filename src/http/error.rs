//! Error responses to requests that reach no resolver, as GraphQL errors.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::graphql::{ErrorCode, sentence};
use crate::telemetry::Label;

/// Content type of JSON responses.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A response with one error and no data.
pub(super) fn error_response(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    let body = json!({ "errors": [graphql_error(code, message)] });
    (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

/// A GraphQL error without a path, as JSON.
pub(super) fn graphql_error(code: ErrorCode, message: &str) -> Value {
    json!({ "message": sentence(message), "extensions": { "code": code.as_str() } })
}
