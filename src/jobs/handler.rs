//! Runs the work of a task as a job of the worker.

use graphile_worker::WorkerContext;

use super::dependencies::Jobs;
use super::task_telemetry::{self, JobError, JobOutcome};
use crate::services::ServiceError;
use crate::store::Task;

/// Runs `work` as one job of `task`. A skipped run ends the job like a successful one, so it is not retried.
pub(super) async fn run_job(
    context: &WorkerContext,
    task: Task,
    work: impl AsyncFnOnce(&Jobs) -> Result<JobOutcome, ServiceError>,
) -> Result<(), JobError> {
    let Some(jobs) = context.get_ext::<Jobs>() else { return Err(JobError::from("the worker has no Jobs extension")) };
    let job = context.job();
    let run_id = format!("{}.{}", job.id(), job.attempts());
    task_telemetry::run(task, &run_id, &jobs.metrics, &jobs.clock, work(jobs)).await.map(drop)
}
