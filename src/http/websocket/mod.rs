//! `/graphql/ws`: subscriptions and other operations over WebSocket. This module accepts or rejects the handshake; the
//! module `connection` serves accepted connections.

mod connection;
mod connection_limiter;
mod limits;
mod protocol;
mod send_queue;

use std::sync::Arc;

use async_graphql::Executor;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::{CONNECTION, HOST, HeaderName, ORIGIN, RETRY_AFTER, UPGRADE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use self::connection::handle_connection;
use self::protocol::SUBPROTOCOL;
use super::cors::origin_problem;
use super::error::error_response;
use super::peer::{FORWARDED_HOST, Peer, peer_address};
use super::state::HttpState;
use crate::config::AllowedOrigins;
use crate::graphql::{ErrorCode, GraphqlMetrics, RETRY_AFTER_SECONDS};

pub use connection_limiter::ConnectionLimiter;
pub(super) use connection_limiter::ConnectionPermit;
pub use limits::WebSocketLimits;

/// Size of the read buffer of a connection. The default of the library, 128 KiB, would take much memory: there may be
/// thousands of connections, and nearly all messages are far smaller.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// `GET /graphql/ws`.
pub(super) async fn upgrade<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    peer: Peer,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let reject = |status, code, message: &str, added: &[(HeaderName, &'static str)]| {
        state.metrics.graphql.error(code);
        let mut response = error_response(status, code, message);
        response
            .headers_mut()
            .extend(added.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
        response
    };
    let Ok(upgrade) = upgrade else {
        let headers = [(UPGRADE, "websocket"), (CONNECTION, "upgrade")];
        let problem = "WebSocket upgrade required";
        return reject(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadUserInput, problem, &headers);
    };
    let is_proxied = state.trusted_peers.trusts(peer_address(&peer));
    if !is_origin_allowed(&state.origins, &headers, is_proxied) {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        return reject(StatusCode::FORBIDDEN, ErrorCode::Forbidden, &origin_problem(origin), &[]);
    }
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let problem = "the subprotocol graphql-transport-ws is required";
        return reject(StatusCode::BAD_REQUEST, ErrorCode::BadUserInput, problem, &[]);
    }
    let Some(permit) = state.websocket_limiter.try_acquire() else { return no_connection(&state.metrics.graphql) };
    let span = Context::current().span().span_context().clone();
    let (pipeline, metrics, message_bytes) =
        (state.pipeline.clone(), state.metrics.graphql.clone(), permit.limits().message_bytes);
    upgrade
        .max_message_size(message_bytes)
        .max_frame_size(message_bytes)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| handle_connection(socket, pipeline, metrics, permit, span))
}

/// The response if the limiter has no permit for a connection or stream.
pub(super) fn no_connection(metrics: &GraphqlMetrics) -> Response {
    let (code, problem) = (
        ErrorCode::ServiceUnavailable,
        "no connection is available: too many are open, or the service is stopping; retry later",
    );
    metrics.error(code);
    let retry_after = [(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))];
    (retry_after, error_response(StatusCode::SERVICE_UNAVAILABLE, code, problem)).into_response()
}

/// Whether pages of the request's origin may connect: an allowed origin, or that of the service itself. A request
/// without an origin may connect, too. It does not come from a page: browsers add the origin to every handshake.
fn is_origin_allowed(allowed: &AllowedOrigins, headers: &HeaderMap, is_proxied: bool) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    // A proxy that replaces `Host` sends the original as `X-Forwarded-Host`. It is safe to use: pages cannot add this
    // header to a handshake.
    allowed.allows(origin)
        || is_of_host(origin, headers.get(HOST))
        || is_proxied && is_of_host(origin, headers.get(FORWARDED_HOST))
}

/// Whether an origin has the host and the port that a request is for. If one of them has no port, it counts as the
/// default port of the origin's scheme. The scheme of the request is unknown, because a proxy may have ended TLS.
fn is_of_host(origin: &str, host: Option<&HeaderValue>) -> bool {
    let host = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    // `Uri` also accepts user information, which an origin never has.
    let origin = origin.parse::<Uri>().ok().filter(|_| !origin.contains('@'));
    let (Some(host), Some(origin)) = (host, origin) else { return false };
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    origin.host().is_some_and(|name| name.eq_ignore_ascii_case(host.host()))
        && origin.port_u16().unwrap_or(default_port) == host.port_u16().unwrap_or(default_port)
}
