//! `person_quality`: recomputes the quality of all people every night, unless the host application computes it, which
//! `worker` checks.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::handler::run_job;
use super::task_telemetry::JobOutcome;
use crate::services::refresh;
use crate::store::Task;

/// Payload of the job: a JSON object without fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PersonQuality {}

impl TaskHandler for PersonQuality {
    const IDENTIFIER: &'static str = "person_quality";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        run_job(&context, Task::PersonQuality, async |jobs| {
            let changes = refresh::person_quality(&jobs.store, &mut |_| ()).await?;
            Ok(JobOutcome::Done(changes.rows))
        })
        .await
    }
}
