//! `/metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::telemetry::Recorder;

/// Prometheus refuses a scrape whose content type it does not know.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn scrape(State(recorder): State<Recorder>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], recorder.render())
}
