//! All routes and their layers.

use std::any::Any;
use std::future::ready;
use std::sync::Arc;

use async_graphql::Executor;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use futures_util::FutureExt;
use serde_json::Value;
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::timeout::RequestBodyDeadlineLayer;

use super::admin::{scrape, status};
use super::content_negotiation::MULTIPART;
use super::cors::Cors;
use super::error::error_response;
use super::fast_path::CachedResponseService;
use super::health::{self, Probe};
use super::metrics::{API_ROUTE, HttpMetrics, UNMATCHED};
use super::observability::{RequestObserver, observe};
use super::peer::TrustedPeers;
use super::server::HttpService;
use super::state::HttpState;
use super::{graphql, page, websocket};
use crate::graphql::ErrorCode;

/// Responses smaller than this, in bytes, are sent uncompressed. The value is a choice: it is below the size of a
/// network packet, and a response that fits into one does not arrive sooner if it is smaller.
const COMPRESSED_FROM: u64 = 1024;

/// Routes of the public listener.
pub fn public<E: Executor>(state: HttpState<E>) -> impl HttpService {
    let observer = RequestObserver::new(state.metrics.clone(), state.trusted_peers.clone());
    let cors = Cors::new(state.origins.clone(), state.cors_headers.clone());
    let routes = routes(Arc::new(state), observer.clone());
    let service = ServiceBuilder::new().option_layer(cors.layer()).service(compressed(routes));
    // The CORS layer responds with success to every preflight, so `reject` stops those that are not allowed before it.
    service_fn(move |request: Request| match cors.reject(&request) {
        Some(response) => ready(Ok(observe_preflight(&observer, &request, response))).left_future(),
        None => service.clone().call(request).right_future(),
    })
}

/// The routes with their limits, behind the fast path. The fast path observes the requests to `/graphql`, a middleware
/// those to all other routes.
fn routes<E: Executor>(state: Arc<HttpState<E>>, observer: RequestObserver) -> CachedResponseService<E> {
    let graphql = Router::new().route(API_ROUTE, get(graphql::get::<E>).post(graphql::post::<E>));
    let mut others = Router::new().route("/graphql/ws", get(websocket::upgrade::<E>)).merge(page::routes());
    if let Some(explorer) = state.explorer.clone() {
        others = others.merge(explorer.routes());
    }
    let limited = ServiceBuilder::new()
        .layer(catch_panic_layer(observer.clone()))
        .layer(RequestBodyDeadlineLayer::new(state.limits.body_read))
        .layer(DefaultBodyLimit::max(state.limits.body_bytes));
    let others = others.fallback(page::not_found::<E>).with_state(Arc::clone(&state));
    let others = with_method_fallback(others.merge(health(state.probe.clone())))
        // The observer is the outer layer, so that it also measures panics and requests that exceed a limit.
        .layer(ServiceBuilder::new().layer(from_fn_with_state(observer.clone(), observe)).layer(limited.clone()));
    let graphql = with_method_fallback(graphql.with_state(Arc::clone(&state))).layer(limited);
    CachedResponseService::wrap(graphql.merge(others), state, observer)
}

/// Observes a preflight that is rejected before routing.
fn observe_preflight(observer: &RequestObserver, request: &Request, response: Response) -> Response {
    // Without routing, other paths cannot become a label: clients could create any number of them.
    let route = if request.uri().path() == API_ROUTE { API_ROUTE } else { UNMATCHED };
    observer.metrics.graphql.error(ErrorCode::Forbidden);
    observer.begin(request, route.into()).finish(response, None)
}

/// Compresses the responses of `routes`. The size in the metrics is that before compression: `routes` record it.
fn compressed(routes: impl HttpService) -> impl HttpService {
    let compressing = ServiceBuilder::new()
        .map_response(|response| weaken_etag(response).map(Body::new))
        .layer(compression())
        .service(routes.clone());
    service_fn(move |request: Request| {
        // A client that accepts no encoding bypasses the layers, which take longer than a cached response. Only
        // `/graphql` has cached responses, and they have `Vary` already; elsewhere the layer adds it.
        if request.uri().path() == API_ROUTE && !request.headers().contains_key(ACCEPT_ENCODING) {
            routes.clone().call(request).left_future()
        } else {
            compressing.clone().call(request).right_future()
        }
    })
}

/// Compresses with br or gzip, whichever the client prefers. Not with zstd, which some clients announce but cannot
/// decode. Streams of events are not compressed, because a compressor would hold events back.
fn compression() -> CompressionLayer<impl Predicate> {
    let predicate = SizeAbove::new(COMPRESSED_FROM).and(NotForContentType::const_new(MULTIPART));
    CompressionLayer::new().compress_when(predicate)
}

/// Makes the `ETag` of a compressed response weak, because it identifies the uncompressed bytes.
fn weaken_etag<B>(mut response: Response<B>) -> Response<B> {
    if response.headers().contains_key(CONTENT_ENCODING)
        && let Some(tag) = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        response.headers_mut().insert(ETAG, weak);
    }
    response
}

/// Routes of the admin listener. They trust the `traceparent` of no peer.
pub fn admin(metrics: HttpMetrics, probe: Probe, status_probe: Probe<Value>) -> Router {
    let metrics_route = Router::new().route("/metrics", get(scrape)).with_state(metrics.recorder.clone());
    let status_route = Router::new().route("/status", get(status)).with_state(status_probe);
    let observer = RequestObserver::new(metrics, TrustedPeers::default());
    with_fallbacks(metrics_route.merge(status_route).merge(health(probe))).layer(
        ServiceBuilder::new().layer(from_fn_with_state(observer.clone(), observe)).layer(catch_panic_layer(observer)),
    )
}

fn health(probe: Probe) -> Router {
    Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready)).with_state(probe)
}

/// Responds with 404 to unknown paths and with 405 to unsupported methods.
fn with_fallbacks(routes: Router) -> Router {
    with_method_fallback(routes)
        .fallback(|| async { error_response(StatusCode::NOT_FOUND, ErrorCode::NotFound, "not found") })
}

/// Responds with 405 to methods that a route does not support.
fn with_method_fallback(routes: Router) -> Router {
    routes.method_not_allowed_fallback(|| async {
        error_response(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::BadUserInput,
            "this method is not allowed here; the header Allow lists the allowed ones",
        )
    })
}

/// Responds with 500 if a handler panics. The panic is logged where it happened, see [`crate::telemetry::log_panics`].
fn catch_panic_layer(observer: RequestObserver) -> CatchPanicLayer<impl ResponseForPanic<ResponseBody = Body>> {
    CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| {
        observer.metrics.graphql.error(ErrorCode::Internal);
        error_response(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "internal error")
    })
}
