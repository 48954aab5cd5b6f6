//! The telemetry of one run of a task: its trace, its metrics and its log line.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use tracing::Instrument;
use tracing::field::Empty;

use super::metrics::{TaskMetrics, TaskOutcome};
use crate::clock::Clock;
use crate::services::ServiceError;
use crate::store::Task;
use crate::telemetry::{Label as _, Status, integer, with_causes};

/// Runs of the drain that take less time are logged only at debug level, because the drain may run several times a
/// second.
const LOG_THRESHOLD: Duration = Duration::from_secs(1);

/// Outcome of a run that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobOutcome {
    /// The run has processed this number of rows or keys.
    Done(u64),
    /// Another instance was running the task.
    Skipped,
}

/// Why a run failed. The worker stores the `Debug` text in the list of jobs, so it is the same as the `Display` text.
pub(super) struct JobError(String);

impl From<&str> for JobError {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs `work` in a trace of its own, and records its outcome. A run that is dropped counts as failed.
pub(super) async fn run(
    task: Task,
    run_id: &str,
    metrics: &TaskMetrics,
    clock: &Clock,
    work: impl Future<Output = Result<JobOutcome, ServiceError>>,
) -> Result<JobOutcome, JobError> {
    let name = task.as_str();
    let span = tracing::info_span!(
        parent: None,
        "task",
        otel.name = format!("task {name}"),
        otel.status_code = Empty,
        "cinegraph.task.name" = name,
        "cinegraph.task.run_id" = run_id,
        "cinegraph.task.outcome" = Empty,
        "cinegraph.task.items" = Empty,
    );
    let guard = metrics.start(task);
    async {
        let result = work.await;
        let (outcome, items) = match &result {
            Ok(JobOutcome::Done(items)) => (TaskOutcome::Ok, *items),
            Ok(JobOutcome::Skipped) => (TaskOutcome::Skipped, 0),
            Err(_) => (TaskOutcome::Error, 0),
        };
        guard.items(Status::Ok, items);
        let duration = guard.finish(outcome);
        if outcome == TaskOutcome::Ok {
            metrics.succeeded(task, clock.now());
        }
        let span = tracing::Span::current();
        span.record("cinegraph.task.outcome", outcome.as_str());
        span.record("cinegraph.task.items", integer(items));
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let outcome = outcome.as_str();
        match result {
            Ok(completed) => {
                if task == Task::ScoreDrain && duration < LOG_THRESHOLD {
                    tracing::debug!(task = name, run_id, outcome, items, duration_ms, "task ended");
                } else {
                    tracing::info!(task = name, run_id, outcome, items, duration_ms, "task ended");
                }
                Ok(completed)
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                let failed = JobError(with_causes(&error));
                tracing::warn!(task = name, run_id, outcome, duration_ms, error = %failed, "task failed");
                Err(failed)
            }
        }
    }
    .instrument(span)
    .await
}
