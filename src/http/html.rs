//! HTML responses and the headers that all of them carry.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Renders a template. `policy` is its Content-Security-Policy.
pub(super) fn respond(status: StatusCode, view: &impl Template, policy: &'static str) -> Response {
    let Ok(text) = view.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        // The content changes while the URL stays.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, text).into_response()
}
