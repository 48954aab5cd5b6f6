//! `score_refresh`: every day, all scores are checked against the formula.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::instrument::JobOutcome;
use super::worker::{self, Daily};
use crate::services::refresh;
use crate::telemetry::Task;

/// In the night of most, after person quality, whose changes it would otherwise do twice.
pub(super) const AT: Daily = Daily { hour: 3, minute: 30 };

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ScoreRefresh {}

impl TaskHandler for ScoreRefresh {
    const IDENTIFIER: &'static str = "score_refresh";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        worker::job(&context, Task::ScoreRefresh, async |jobs| {
            let Some(reconciled) = refresh::reconcile(&jobs.store, &mut |_| ()).await? else {
                return Ok(JobOutcome::Skipped);
            };
            jobs.metrics.reconcile_differences(reconciled.corrected);
            if reconciled.corrected > 0 {
                tracing::warn!(films = reconciled.corrected, "scores had not followed their films, and were corrected");
            }
            Ok(JobOutcome::Done(reconciled.changes.rows))
        })
        .await
    }
}
