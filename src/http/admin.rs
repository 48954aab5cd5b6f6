//! `/metrics`, for Prometheus, and `/status`, for operators.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::Value;

use super::health::Probe;
use crate::telemetry::Recorder;

/// Content type of the text format. Prometheus fails a scrape whose content type it does not know.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn scrape(State(recorder): State<Recorder>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], recorder.render())
}

pub(super) async fn status(State(Probe(read)): State<Probe<Value>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(read().await))
}
