//! Files that browsers and search engines request at fixed paths.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// For search engines: every page without a query, and the lists by decade. Weights and filters make any number of
/// addresses of the same films.
const ROBOTS: &str = "User-agent: *\nDisallow: /graphql\nDisallow: /page/\nDisallow: /*?\nAllow: /?decade=\n";

/// For browsers that do not read the icon's link. The same picture as `icon.svg`.
const ICON: &[u8] = include_bytes!("../../../assets/favicon.ico");

/// How long browsers keep both files: a day, a choice.
const CACHED: &str = "public, max-age=86400";

/// `GET /robots.txt`
pub(super) async fn robots() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, CACHED)], ROBOTS).into_response()
}

/// `GET /favicon.ico`
pub(super) async fn icon() -> Response {
    ([(CONTENT_TYPE, "image/x-icon"), (CACHE_CONTROL, CACHED)], ICON).into_response()
}
