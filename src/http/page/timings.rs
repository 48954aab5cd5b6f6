//! Timings that browsers measure and report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_graphql::Executor;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::graphql::ErrorCode;
use crate::http::error::error_response;
use crate::http::metrics::PagePhase;
use crate::http::state::HttpState;

/// Maximum size of a report, far above that of the page's own reports: they have 40 timings at most.
pub(super) const BODY_BYTES: usize = 4096;

/// Maximum number of reports per second from all clients together. It bounds the load, because the endpoint needs no
/// authentication. The value is a choice: reports that are lost in busy seconds hardly change the distribution.
const REPORTS_PER_SECOND: u32 = 20;

/// Longest timing that is recorded. In longer ones, the page was in the background or the device was asleep.
const LONGEST_SECONDS: f64 = 60.0;

/// One measurement.
#[derive(Deserialize)]
pub(super) struct Timing {
    phase: Phase,
    seconds: f64,
}

/// [`PagePhase`] as JSON: the macro `label!` derives no `Deserialize`.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Ttfb,
    FirstList,
    Rerank,
}

/// Rate limit of reports. Holds the start of the current second, and the number of reports in it.
#[derive(Debug, Clone)]
pub(super) struct RateLimiter(Arc<Mutex<(Instant, u32)>>);

impl RateLimiter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), 0))))
    }

    /// Counts a report; returns whether it is within the limit.
    fn try_acquire(&self) -> bool {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (started, reports) = &mut *second;
        if started.elapsed() >= Duration::from_secs(1) {
            (*started, *reports) = (Instant::now(), 0);
        }
        *reports += 1;
        *reports <= REPORTS_PER_SECOND
    }
}

/// `POST /page/timings`.
pub(super) async fn post<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    Extension(limiter): Extension<RateLimiter>,
    report: Result<Json<Vec<Timing>>, JsonRejection>,
) -> Response {
    if !limiter.try_acquire() {
        return error_response(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::RateLimited,
            "too many timing reports; retry in a second",
        );
    }
    let Json(timings) = match report {
        Ok(timings) => timings,
        Err(rejection) => {
            return error_response(rejection.status(), ErrorCode::BadUserInput, "the body is not a list of timings");
        }
    };
    for Timing { phase, seconds } in timings {
        // Also rejects NaN and the negative values of a clock that was set back.
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
