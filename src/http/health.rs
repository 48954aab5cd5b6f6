//! Health endpoints for load balancers and orchestrators: live (the process responds) and ready (it can serve).

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

/// Result of a readiness check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the instance can serve requests.
    pub ready: bool,
    /// The name of each check, and what is wrong if the check failed. The texts are served without authentication, so
    /// they must not contain addresses or causes.
    pub checks: Vec<(&'static str, Result<(), String>)>,
}

/// A function, provided by `app`, that checks the readiness of the service or reports its status.
#[derive(Clone)]
pub struct Probe<T = Readiness>(pub(super) Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>);

impl<T> Probe<T> {
    /// A probe that runs `check` on each request.
    pub fn new<F, Fut>(check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }
}

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

pub(super) async fn live() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "live": true })))
}

pub(super) async fn ready(State(Probe(check)): State<Probe>) -> impl IntoResponse {
    let Readiness { ready, checks } = check().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks: Map<String, Value> = checks
        .into_iter()
        .map(|(name, found)| (name.to_owned(), found.map_or_else(Value::String, |()| Value::String("ok".to_owned()))))
        .collect();
    (status, [(CACHE_CONTROL, "no-store")], Json(json!({ "ready": ready, "checks": checks })))
}
