//! `snapshot_refresh`: takes a new validation snapshot every hour, and after changes of lists and of the target lists.

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::dependencies::Jobs;
use super::handler::run_job;
use super::nightly::last_training;
use super::task_telemetry::JobOutcome;
use crate::services::{ServiceError, default_profile, learned, refresh};
use crate::store::Task;

/// Payload of the job: a JSON object without fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SnapshotRefresh {}

impl TaskHandler for SnapshotRefresh {
    const IDENTIFIER: &'static str = "snapshot_refresh";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        run_job(&context, Task::SnapshotRefresh, async |jobs| {
            let target_lists = refresh::snapshot(&jobs.store, &jobs.target_lists, &mut |_| ()).await?;
            // The snapshot is taken; the next one is followed by another attempt.
            if let Err(error) = default_profile::choose_once(&jobs.store, &jobs.clock, &target_lists).await {
                tracing::warn!(%error, "default profile not chosen");
            }
            if jobs.model_training
                && let Err(error) = request_training(jobs, &target_lists).await
            {
                tracing::warn!(%error, "training of learned rankings not requested");
            }
            Ok(JobOutcome::Done(target_lists.len() as u64))
        })
        .await
    }
}

/// Trainings need the snapshot, so they follow it: when a list has changed, or scores have.
async fn request_training(jobs: &Jobs, target_lists: &[String]) -> Result<(), ServiceError> {
    let since = last_training(jobs.store.database_time().await?);
    learned::request_upkeep(&jobs.store, target_lists, since).await
}
