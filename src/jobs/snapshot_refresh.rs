//! `snapshot_refresh`: takes a new validation snapshot every hour, and after changes of lists and of the target lists.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::handler::run_job;
use super::task_telemetry::JobOutcome;
use crate::services::refresh;
use crate::store::Task;

/// Payload of the job: a JSON object without fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SnapshotRefresh {}

impl TaskHandler for SnapshotRefresh {
    const IDENTIFIER: &'static str = "snapshot_refresh";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        run_job(&context, Task::SnapshotRefresh, async |jobs| {
            let target_lists = refresh::snapshot(&jobs.store, &jobs.target_lists, &mut |_| ()).await?;
            Ok(JobOutcome::Done(target_lists.len() as u64))
        })
        .await
    }
}
