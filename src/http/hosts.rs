//! Rejects requests for hosts that are not [allowed](AllowedHosts), which protects from DNS rebinding, and HTTP/1.1
//! requests without exactly one `Host` header, whose host would be ambiguous.

use std::future::ready;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderValue, StatusCode, Version};
use futures_util::FutureExt;
use tower::service_fn;

use super::error::error_response;
use super::metrics::{HttpMetrics, UNMATCHED};
use super::observability::RequestObserver;
use super::peer::TrustedPeers;
use super::server::HttpService;
use crate::config::{AllowedHosts, Host};
use crate::graphql::ErrorCode;

/// Maximum number of bytes of a host that a message repeats. Clients choose the text, so its length in responses is
/// bounded.
const ECHO_MAX: usize = 100;

/// Wraps `service`: it gets only requests for `hosts`; all others are rejected.
pub fn check_hosts(service: impl HttpService, hosts: AllowedHosts, metrics: HttpMetrics) -> impl HttpService {
    // Trusts no peer, so a rejected request never joins the trace of its caller.
    let observer = RequestObserver::new(metrics, TrustedPeers::default());
    service_fn(move |mut request: Request| match rejection(&hosts, &mut request) {
        None => service.clone().call(request).right_future(),
        Some((status, code, problem)) => {
            observer.metrics.graphql.error(code);
            let response = error_response(status, code, &problem);
            ready(Ok(observer.begin(&request, UNMATCHED.into()).finish(response, None))).left_future()
        }
    })
}

/// The status, code and message with which a request is rejected; `None` if it is accepted. Sets the `Host` header to
/// the host of the request's target if that has one.
fn rejection(hosts: &AllowedHosts, request: &mut Request) -> Option<(StatusCode, ErrorCode, String)> {
    let bad_request = |problem: &str| Some((StatusCode::BAD_REQUEST, ErrorCode::BadUserInput, problem.to_owned()));
    let mut sent = request.headers().get_all(HOST).iter();
    let (first, second) = (sent.next(), sent.next());
    // HTTP/1.0 does not define this header, so it may be missing there. Health checks of proxies often use HTTP/1.0;
    // browsers, which DNS rebinding needs, never do.
    if second.is_some() || first.is_none() && request.version() != Version::HTTP_10 {
        return bad_request("an HTTP/1.1 request must have exactly one Host header");
    }
    // The host in the request's target replaces the one in the header (RFC 9112, 3.2.2).
    if let Some(target) = request.uri().authority() {
        let Ok(target) = HeaderValue::from_str(target.as_str()) else { return bad_request("invalid request target") };
        request.headers_mut().insert(HOST, target);
    }
    // Only an HTTP/1.0 request can have no host here; it is accepted.
    let sent = request.headers().get(HOST)?;
    let Some(host) = sent.to_str().ok().and_then(Host::of_authority) else {
        return bad_request("the Host header is not a host with an optional port");
    };
    if hosts.allows(host) {
        return None;
    }
    let host = String::from_utf8_lossy(&sent.as_bytes()[..sent.len().min(ECHO_MAX)]);
    let problem = format!("the host {host} is not allowed: add it to the setting allowed_hosts, without the port");
    Some((StatusCode::MISDIRECTED_REQUEST, ErrorCode::Forbidden, problem))
}
