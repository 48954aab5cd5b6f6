//! Caching headers of a response: `Cache-Control`, `ETag`, `Age` and `Cache-Status`.

use std::time::Duration;

use axum::http::header::{AGE, CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::graphql::{CacheMetadata, Lookup};

/// Name of the header that says how the response cache served a request (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Adds the caching headers. Turns the response into a 304 without a body if the request's `If-None-Match` contains its
/// entity tag. Without `metadata` (errors, mutations, uncacheable operations) the response is `no-store`.
pub(super) fn apply<B: Default>(
    mut response: Response<B>,
    metadata: Option<&CacheMetadata>,
    request: &HeaderMap,
) -> Response<B> {
    let Some(metadata) = metadata else {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        return response;
    };
    let headers = response.headers_mut();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let age = seconds(metadata.age);
    let fresh = seconds(metadata.validity.fresh_until.since(metadata.validity.created_at));
    // An invalidated entry is stale although its TTL has not passed. Downstream caches must not take it for fresh, so
    // its lifetime ends at its age.
    let fresh = if metadata.lookup == Lookup::Stale { fresh.min(age) } else { fresh };
    let stale = seconds(metadata.validity.stale_until.since(metadata.validity.fresh_until));
    // Negative for entries past their TTL, as RFC 9211 allows for `ttl`.
    let remaining = fresh - age;
    let status = match metadata.lookup {
        Lookup::HitL1 | Lookup::HitL2 => format!("cinegraph; hit; ttl={remaining}"),
        Lookup::Stale => format!("cinegraph; hit; ttl={remaining}; detail=stale"),
        Lookup::Miss => format!("cinegraph; fwd=miss; stored; ttl={remaining}"),
    };
    headers.insert(AGE, HeaderValue::from(metadata.age.as_secs()));
    let etag = format!("\"{:032x}\"", metadata.hash.0);
    let is_not_modified = etag_matches(request, &etag);
    // `max-age` is the whole lifetime and not the remaining one, because downstream caches subtract `Age`.
    let control = format!("public, max-age={fresh}, stale-while-revalidate={stale}");
    for (name, value) in [(ETAG, etag), (CACHE_CONTROL, control), (CACHE_STATUS, status)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    // Includes `accept-encoding`, so that the compression layer adds no second `Vary` header.
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if is_not_modified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = B::default();
    }
    response
}

/// Whether `If-None-Match` contains the entity tag. The comparison is weak, as RFC 9110 requires for this header.
fn etag_matches(request: &HeaderMap, etag: &str) -> bool {
    let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || etag == tag.strip_prefix("W/").unwrap_or(tag))
}
