//! Answers to requests that reach no resolver, in the shape that GraphQL clients expect.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::telemetry::{ErrorCode, Label};

/// An answer with one error and no data.
pub(super) fn refusal(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code.as_str() } }] });
    (status, Json(body)).into_response()
}
