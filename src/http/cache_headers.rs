//! What caches on the way are told of an answer: `Cache-Control`, `ETag`, `Age` and `Cache-Status`.

use axum::http::header::{AGE, CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::graphql::CacheMetadata;
use crate::telemetry::Lookup;

/// How the response cache served a request (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Adds the headers to an answer; answers 304 where the client has this very answer. What is not kept here must not be
/// kept elsewhere: errors, changes, and whatever nothing is known of.
pub(super) fn apply<B: Default>(
    mut response: Response<B>,
    kept: Option<&CacheMetadata>,
    request: &HeaderMap,
) -> Response<B> {
    let Some(kept) = kept else {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        return response;
    };
    let headers = response.headers_mut();
    let seconds = |time: chrono::TimeDelta| time.num_seconds().max(0);
    let age = i64::try_from(kept.age.as_secs()).unwrap_or(i64::MAX);
    let fresh = seconds(kept.times.fresh_until - kept.times.created_at);
    // What is stale here may be within its time: others must not take it for fresh.
    let fresh = if kept.how == Lookup::Stale { fresh.min(age) } else { fresh };
    let stale = seconds(kept.times.stale_until - kept.times.fresh_until);
    let left = fresh - age;
    let status = match kept.how {
        Lookup::HitL1 | Lookup::HitL2 => format!("cinegraph; hit; ttl={left}"),
        Lookup::Stale => format!("cinegraph; hit; ttl={left}; detail=stale"),
        Lookup::Miss | Lookup::Bypass => format!("cinegraph; fwd=miss; stored; ttl={left}"),
    };
    headers.insert(ETAG, kept.etag.clone());
    headers.insert(AGE, HeaderValue::from(kept.age.as_secs()));
    let control = format!("public, max-age={fresh}, stale-while-revalidate={stale}");
    for (name, value) in [(CACHE_CONTROL, control), (CACHE_STATUS, status)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    // In one line with what compression would add to it.
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if etag_matches(request, &kept.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = B::default();
    }
    response
}

/// Whether a request names the answer among those that it has. Weak comparison, as RFC 9110 wants it.
fn etag_matches(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || etag == tag.strip_prefix("W/").unwrap_or(tag))
}
