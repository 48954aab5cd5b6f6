//! All routes on one page.

use std::any::Any;
use std::sync::Arc;

use async_graphql::Executor;
use async_graphql::http::GraphiQLSource;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{Html, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyDeadlineLayer;

use super::admin::scrape;
use super::error::refusal;
use super::health::{Probe, live, ready};
use super::request::observe;
use super::{HttpState, graphql, page, websocket};
use crate::telemetry::{ErrorCode, Metrics};

/// What clients may ask for.
pub fn public<E: Executor>(state: HttpState<E>) -> Router {
    let (metrics, probe) = (state.metrics.clone(), state.probe.clone());
    let HttpState { limits, graphiql, .. } = state;
    let mut routes = Router::new()
        .route("/graphql", get(graphql::get::<E>).post(graphql::post::<E>))
        .route("/graphql/ws", get(websocket::upgrade::<E>))
        .merge(page::routes())
        .with_state(Arc::new(state));
    if graphiql {
        routes = routes.route(
            "/graphiql",
            get(|| async {
                Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql/ws").finish())
            }),
        );
    }
    let routes =
        routes.layer(DefaultBodyLimit::max(limits.body_bytes)).layer(RequestBodyDeadlineLayer::new(limits.body_read));
    finish(routes.merge(health(probe)), metrics)
}

/// What those who run the service may ask for.
pub fn admin(metrics: Metrics, probe: Probe) -> Router {
    let routes = Router::new().route("/metrics", get(scrape)).with_state(metrics.clone());
    finish(routes.merge(health(probe)), metrics)
}

fn health(probe: Probe) -> Router {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(probe)
}

/// Answers what no route answers, and observes everything. Outermost: the measurement, which sees panics as answers.
fn finish(routes: Router, metrics: Metrics) -> Router {
    let counted = metrics.clone();
    routes
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, ErrorCode::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadUserInput, "this path does not take this method")
        })
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| after_panic(&counted, panic.as_ref())))
        .layer(from_fn_with_state(metrics, observe))
}

fn after_panic(metrics: &Metrics, panic: &(dyn Any + Send)) -> Response {
    let reason = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied())
        .unwrap_or("unknown");
    tracing::error!(reason, "a request panicked");
    metrics.graphql_error(ErrorCode::Internal);
    refusal(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "internal error")
}
