//! Cross-origin requests (the Fetch standard's CORS protocol): which pages of other origins may call the API.
//!
//! `tower-http` responds to allowed preflights. The others are rejected before they reach it, with a message that names
//! the setting to change, because browsers report only that the preflight failed.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AGE, AUTHORIZATION, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, ORIGIN,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::error::error_response;
use crate::config::AllowedOrigins;
use crate::graphql::ErrorCode;

/// How long a browser may cache the response to a preflight. The value is a choice: changed settings take effect in all
/// browsers within this time.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// Maximum number of characters of an origin or header name that a message repeats. Clients choose these texts, so
/// their length in logs and responses is bounded.
const ECHO_MAX: usize = 100;

/// Request headers that GraphQL clients and OpenTelemetry's browser instrumentation send.
const REQUEST_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_NONE_MATCH,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Methods that pages of other origins may use.
const METHODS: [Method; 2] = [Method::GET, Method::POST];

/// Prefix of the headers by which Apollo clients identify themselves: `-name`, `-version`, and what later versions add.
const APOLLO_PREFIX: &str = "apollographql-client-";

/// The rules for requests from pages of other origins.
#[derive(Debug, Clone)]
pub(super) struct Cors {
    origins: AllowedOrigins,
    /// Request headers that the settings allow in addition to [`REQUEST_HEADERS`].
    headers: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: AllowedOrigins, headers: Vec<String>) -> Self {
        Self { origins, headers }
    }

    /// The layer that adds the CORS headers to responses; `None` if no other origin is allowed.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        if self.origins == AllowedOrigins::default() {
            return None;
        }
        let origin = if self.origins.is_any() {
            AllowOrigin::any()
        } else {
            let origins = self.origins.clone();
            AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allows(origin)))
        };
        let layer = CorsLayer::new()
            .allow_origin(origin)
            .allow_methods(METHODS)
            // `reject` has already rejected all other headers. A list would not do, since names that begin with
            // `APOLLO_PREFIX` are allowed as well.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([AGE, ETAG, HeaderName::from_static("cache-status"), HeaderName::from_static("x-trace-id")])
            .max_age(PREFLIGHT_MAX_AGE);
        Some(layer)
    }

    /// The response to a preflight that is not allowed; `None` for allowed preflights and for all other requests.
    pub(super) fn reject(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS {
            return None;
        }
        // Without these two headers, an OPTIONS request is not a preflight.
        let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes();
        let origin = headers.get(ORIGIN)?.to_str().unwrap_or("(not text)");
        let problem = if !self.origins.allows(origin) {
            origin_problem(origin)
        } else if !METHODS.iter().any(|allowed| allowed.as_str().as_bytes() == method) {
            "pages of other origins may use only GET and POST".to_owned()
        } else {
            let header = self.first_disallowed_header(headers)?;
            format!("the request header {} is not in the setting cors_allowed_headers", excerpt(&header))
        };
        tracing::info!(problem, "cross-origin preflight rejected");
        Some(error_response(StatusCode::FORBIDDEN, ErrorCode::Forbidden, &problem))
    }

    fn first_disallowed_header(&self, headers: &HeaderMap) -> Option<String> {
        let lines = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let names = lines.flat_map(|line| line.to_str().unwrap_or("(not text)").split(',')).map(str::trim);
        names.filter(|name| !name.is_empty()).find(|name| !self.allows_header(name)).map(str::to_owned)
    }

    fn allows_header(&self, name: &str) -> bool {
        REQUEST_HEADERS.iter().any(|allowed| name.eq_ignore_ascii_case(allowed.as_str()))
            || self.headers.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
            || name.to_ascii_lowercase().starts_with(APOLLO_PREFIX)
    }
}

/// What is wrong with an origin that is not allowed, and the setting that would allow it.
pub(super) fn origin_problem(origin: &str) -> String {
    format!("the origin {} is not in the setting cors_allowed_origins", excerpt(origin))
}

fn excerpt(text: &str) -> String {
    text.chars().take(ECHO_MAX).collect()
}
