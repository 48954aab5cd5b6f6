//! `score_refresh`: checks all scores against the formula every day.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::handler::run_job;
use super::task_telemetry::JobOutcome;
use crate::services::refresh;
use crate::store::Task;

/// Payload of the job: a JSON object without fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ScoreRefresh {}

impl TaskHandler for ScoreRefresh {
    const IDENTIFIER: &'static str = "score_refresh";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        run_job(&context, Task::ScoreRefresh, async |jobs| {
            let Some(reconciled) = refresh::reconcile(&jobs.store, &mut |_| ()).await? else {
                return Ok(JobOutcome::Skipped);
            };
            jobs.metrics.reconcile_differences(reconciled.corrected);
            if reconciled.corrected > 0 {
                tracing::warn!(films = reconciled.corrected, "outdated scores corrected");
            }
            Ok(JobOutcome::Done(reconciled.changes.rows))
        })
        .await
    }
}
