//! `score_refresh`: checks all scores against the formula every day.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::instrument::JobOutcome;
use super::worker::{self, Daily};
use crate::services::refresh;
use crate::store::Task;

/// Off-peak for most clients (UTC), and after person quality, whose changes would otherwise require a second refresh.
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
                tracing::warn!(films = reconciled.corrected, "outdated scores corrected");
            }
            Ok(JobOutcome::Done(reconciled.changes.rows))
        })
        .await
    }
}
