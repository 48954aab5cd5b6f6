//! `model_train`: trains the learned rankings of all target lists every night, and those of a list that has changed after the
//! next snapshot. Computes the feature codes of movies that have changed.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::handler::run_job;
use super::nightly::last_training;
use super::task_telemetry::JobOutcome;
use crate::services::learned;
use crate::store::Task;

/// Payload of the job: a JSON object without fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ModelTrain {}

impl TaskHandler for ModelTrain {
    const IDENTIFIER: &'static str = "model_train";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        run_job(&context, Task::ModelTrain, async |jobs| {
            let since = last_training(jobs.store.database_time().await?);
            // A training that is cut short by a stop ends with this future.
            let done = Box::pin(learned::keep_current(&jobs.store, &jobs.target_lists, since)).await?;
            Ok(done.map_or(JobOutcome::Skipped, |rankings| JobOutcome::Done(rankings as u64)))
        })
        .await
    }
}
