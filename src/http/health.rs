//! Health: alive (the process answers) and ready (it can serve), for whoever routes traffic here.

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

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether requests may come.
    pub ready: bool,
    /// Each thing looked at, and what is wrong with it. Anyone can read this: no addresses, no causes.
    pub checks: Vec<(&'static str, Result<(), String>)>,
}

/// Asks the service whether it is ready; `app` knows how.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> BoxFuture<'static, Readiness> + Send + Sync>);

impl Probe {
    /// A probe that runs `check` at each request.
    pub fn new<F, Fut>(check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Readiness> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }
}

impl fmt::Debug for Probe {
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
