//! The worker: takes jobs from PostgreSQL, runs them, and enqueues scheduled ones and overdue ones.

use std::time::Duration;

use graphile_worker::runner::WorkerRuntimeError;
use graphile_worker::{CrontabTimerError, WorkerBuildError, WorkerRecoveryConfig};
use tokio_util::sync::CancellationToken;

use super::dependencies::Jobs;
use super::model_train::ModelTrain;
use super::person_quality::PersonQuality;
use super::schedule;
use super::score_refresh::ScoreRefresh;
use super::snapshot_refresh::SnapshotRefresh;
use crate::services::ServiceError;
use crate::telemetry::with_causes;

/// Number of jobs that run concurrently. A choice: a long job must not delay all others, and more jobs would slow down
/// the requests that read the same database.
const CONCURRENCY: usize = 2;

/// Pause before a failed worker is restarted. A choice: short compared with the intervals of the jobs, long enough not
/// to flood the log while the database is unavailable.
const RESTART_DELAY: Duration = Duration::from_secs(5);

/// Why the worker stopped.
#[derive(Debug, thiserror::Error)]
enum StopReason {
    #[error("cannot start the worker")]
    Start(#[from] WorkerBuildError),
    #[error("invalid schedule of a task")]
    Time(#[from] CrontabTimerError),
    #[error(transparent)]
    Running(#[from] WorkerRuntimeError),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Runs jobs until `stop`; running jobs then have [`Jobs::grace`] to finish. A failed worker is restarted.
pub(super) async fn run(jobs: Jobs, stop: CancellationToken) {
    for (task, interval) in schedule::tasks(&jobs) {
        jobs.metrics.set_interval(task, interval);
    }
    while !stop.is_cancelled() {
        // Without an error, the worker ends only because of `stop`.
        let Err(error) = run_until_stopped(&jobs, &stop).await else { continue };
        tracing::warn!(error = %with_causes(&error), "job worker failed; restarting");
        stop.run_until_cancelled(tokio::time::sleep(RESTART_DELAY)).await;
    }
}

async fn run_until_stopped(jobs: &Jobs, stop: &CancellationToken) -> Result<(), StopReason> {
    let mut options = jobs
        .store
        .worker_options()
        .concurrency(CONCURRENCY)
        .poll_interval(jobs.intervals.poll_every)
        .add_extension(jobs.clone())
        .define_job::<ScoreRefresh>()
        .define_job::<SnapshotRefresh>()
        .with_cron(schedule::score_refresh()?)
        .with_cron(schedule::snapshot_refresh()?)
        .worker_recovery(
            // An instance counts as dead only after `dead_after`, so its jobs need no further delay.
            WorkerRecoveryConfig::default()
                .heartbeat_interval(jobs.intervals.alive_every)
                .sweep_interval(jobs.intervals.alive_every)
                .sweep_threshold(jobs.intervals.dead_after)
                .recovery_delay(Duration::ZERO),
        )
        // The command line handles signals, and cancels `stop`.
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop.clone().cancelled_owned())
        .shutdown_grace_period(jobs.grace)
        // Another instance, or the next start, can take the job over at once.
        .shutdown_interrupted_job_retry_delay(Duration::ZERO);
    if jobs.person_quality {
        options = options.define_job::<PersonQuality>().with_cron(schedule::person_quality()?);
    }
    if jobs.model_training {
        options = options.define_job::<ModelTrain>().with_cron(schedule::model_train()?);
    }
    let worker = options.init().await?;
    enqueue_overdue(jobs).await?;
    Ok(worker.run().await?)
}

/// Enqueues tasks that are overdue because no instance was running, or that have never succeeded.
async fn enqueue_overdue(jobs: &Jobs) -> Result<(), ServiceError> {
    let successes = jobs.store.task_successes().await.map_err(ServiceError::from)?;
    for (task, interval) in schedule::tasks(jobs) {
        let success = successes.iter().find(|(of, _)| *of == task).map(|(_, at)| *at);
        let age = success.map(|at| (jobs.clock.now() - at).to_std().unwrap_or_default());
        if age.is_none_or(|age| age > interval) {
            jobs.store.request_task(task).await.map_err(ServiceError::from)?;
        }
    }
    Ok(())
}
