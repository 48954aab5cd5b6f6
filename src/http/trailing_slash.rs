//! Redirects for URLs with a trailing slash, which people type and link, to the page without it.

use axum::Router;
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Adds a route for each of `pages`, which are paths of routes: the path with a trailing slash redirects to the page.
pub(super) fn with_trailing_slashes<S>(router: Router<S>, pages: &[&str]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    pages.iter().fold(router, |router, page| router.route(&format!("{page}/"), get(redirect)))
}

async fn redirect(uri: Uri) -> Response {
    match without_slash(&uri) {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Path and query of `uri` without the trailing slashes of the path; `None` if they are no valid header value. The
/// result starts with the path of a page, so browsers do not take it for another host, as they would `//host`.
fn without_slash(uri: &Uri) -> Option<HeaderValue> {
    // All trailing slashes: the router reads `/validation//` as `/validation/{decade}/` with an empty decade.
    let path = uri.path().trim_end_matches('/');
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("{path}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn response(uri: &str) -> (StatusCode, String) {
        let pages = ["/validation", "/validation/{decade}"];
        let router = pages.iter().fold(Router::new(), |router, page| router.route(page, get(|| async { "page" })));
        let router: Router = with_trailing_slashes(router, &pages);
        let response = router.oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
        let location = response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
        (response.status(), location.unwrap_or_default())
    }

    #[tokio::test]
    async fn trailing_slash_of_a_page_redirects_with_the_query() {
        for (uri, location) in [
            ("/validation/", "/validation"),
            ("/validation/?list=a%2Fb", "/validation?list=a%2Fb"),
            ("/validation//", "/validation"),
            ("/validation/1990/", "/validation/1990"),
            ("/validation/%2F%2Fhost/", "/validation/%2F%2Fhost"),
            ("/validation/1990/?profile=Cult/", "/validation/1990?profile=Cult/"),
        ] {
            assert_eq!(response(uri).await, (StatusCode::PERMANENT_REDIRECT, location.to_owned()), "{uri}");
        }
        for uri in ["/validation", "/validation/1990"] {
            assert_eq!(response(uri).await.0, StatusCode::OK, "{uri}");
        }
        for uri in ["/validation/1990//", "//host/", "/other/"] {
            assert_eq!(response(uri).await.0, StatusCode::NOT_FOUND, "{uri}");
        }
    }
}
