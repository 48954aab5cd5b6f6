//! What browsers measured: how long people waited.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_graphql::Executor;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::error::error_response;
use crate::telemetry::{ErrorCode, PagePhase};

/// The largest report. The page sends some dozens of numbers at most.
pub(super) const BODY_BYTES: usize = 4096;

/// Reports that are taken in one second, whoever sends them: nobody has to log in to send some.
const REPORTS_PER_SECOND: u32 = 20;

/// Whoever waited longer than this has done something else in between.
const LONGEST_SECONDS: f64 = 60.0;

/// One thing that was waited for.
#[derive(Deserialize)]
pub(super) struct Timing {
    phase: Phase,
    seconds: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Ttfb,
    FirstList,
    Rerank,
}

/// Counts the reports of a second.
#[derive(Debug, Clone)]
pub(super) struct RateLimiter(Arc<Mutex<(Instant, u32)>>);

impl RateLimiter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), 0))))
    }

    /// Whether one more may pass.
    fn passes(&self) -> bool {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0.elapsed() >= Duration::from_secs(1) {
            *second = (Instant::now(), 0);
        }
        second.1 += 1;
        second.1 <= REPORTS_PER_SECOND
    }
}

/// `POST /page/timings`.
pub(super) async fn post<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Extension(gate): Extension<RateLimiter>,
    report: Result<Json<Vec<Timing>>, JsonRejection>,
) -> Response {
    if !gate.passes() {
        return error_response(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::RateLimited,
            "too many reports in this second",
        );
    }
    let Json(timings) = match report {
        Ok(timings) => timings,
        Err(rejection) => {
            return error_response(rejection.status(), ErrorCode::BadUserInput, "this is no list of timings");
        }
    };
    for Timing { phase, seconds } in timings {
        // A range that neither NaN nor a clock that was set back lies in.
        if (0.0..=LONGEST_SECONDS).contains(&seconds) {
            state.metrics.page(phase.into(), Duration::from_secs_f64(seconds));
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

impl From<Phase> for PagePhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Ttfb => Self::Ttfb,
            Phase::FirstList => Self::FirstList,
            Phase::Rerank => Self::Rerank,
        }
    }
}
