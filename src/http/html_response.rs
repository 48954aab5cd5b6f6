//! HTML responses and the headers that all of them carry.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::PosterBaseUrl;

/// Content-Security-Policy of the pages: only resources of this origin, and images of the server of the posters.
pub(super) fn page_policy(posters: Option<&PosterBaseUrl>) -> String {
    let posters = posters.map(|posters| format!(" {}", posters.origin())).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:{posters}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// Renders a template as a response with the Content-Security-Policy `policy`.
pub(super) fn respond(status: StatusCode, view: &impl Template, policy: &str) -> Response {
    let (Ok(text), Ok(policy)) = (view.render(), HeaderValue::from_str(policy)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        // Browsers must ask again each time, since the content changes while the URL stays.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, text).into_response()
}
