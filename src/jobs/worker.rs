//! The worker: takes jobs from PostgreSQL, runs them, and enqueues scheduled ones.

use std::time::Duration;

use graphile_worker::runner::WorkerRuntimeError;
use graphile_worker::{Cron, CronBuilder, CrontabTimerError, TaskHandler, WorkerBuildError, WorkerRecoveryConfig};
use tokio_util::sync::CancellationToken;

use super::dependencies::Jobs;
use super::instrument::with_causes;
use super::person_quality::PersonQuality;
use super::score_refresh::ScoreRefresh;
use super::snapshot_refresh::SnapshotRefresh;
use crate::services::ServiceError;
use crate::store::Task;

/// Attempts of a job, some seconds apart; the job then stays failed until an operator retries it.
const MAX_ATTEMPTS: u16 = 3;

/// Number of jobs that run concurrently.
const CONCURRENCY: usize = 2;

/// Pause before a failed worker is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(5);

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A time of day, UTC.
#[derive(Debug, Clone, Copy)]
struct Daily {
    hour: u32,
    minute: u32,
}

/// Off-peak for most clients.
const PERSON_QUALITY_AT: Daily = Daily { hour: 2, minute: 30 };

/// Off-peak for most clients, and after person quality, whose changes would otherwise require a second refresh.
const SCORE_REFRESH_AT: Daily = Daily { hour: 3, minute: 30 };

/// Minute of the hour.
const SNAPSHOT_REFRESH_AT_MINUTE: u32 = 7;

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

/// Runs jobs until `stop`; running jobs then have `grace` to finish. A failed worker is restarted.
pub(super) async fn run(jobs: Jobs, stop: CancellationToken) {
    for (task, interval) in tasks(&jobs) {
        jobs.metrics.set_interval(task, interval);
    }
    if !jobs.person_quality {
        jobs.metrics.set_never_due(Task::PersonQuality);
    }
    while !stop.is_cancelled() {
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
        .with_cron(daily::<ScoreRefresh>(SCORE_REFRESH_AT)?)
        .with_cron(enqueue_unique(Cron::hourly_at::<SnapshotRefresh>(SNAPSHOT_REFRESH_AT_MINUTE)?))
        .worker_recovery(
            WorkerRecoveryConfig::default()
                .heartbeat_interval(jobs.intervals.alive_every)
                .sweep_interval(jobs.intervals.alive_every)
                .sweep_threshold(jobs.intervals.dead_after)
                .recovery_delay(Duration::ZERO),
        )
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop.clone().cancelled_owned())
        .shutdown_grace_period(jobs.grace)
        .shutdown_interrupted_job_retry_delay(Duration::ZERO);
    if jobs.person_quality {
        options = options.define_job::<PersonQuality>().with_cron(daily::<PersonQuality>(PERSON_QUALITY_AT)?);
    }
    let worker = options.init().await?;
    enqueue_overdue(jobs).await?;
    Ok(worker.run().await?)
}

/// Enqueues tasks that are overdue because no instance was running.
async fn enqueue_overdue(jobs: &Jobs) -> Result<(), ServiceError> {
    let successes = jobs.store.task_successes().await.map_err(ServiceError::from)?;
    for (task, interval) in tasks(jobs) {
        let success = successes.iter().find(|(of, _)| *of == task).map(|(_, at)| *at);
        let age = success.map(|at| (jobs.clock.now() - at).to_std().unwrap_or_default());
        if age.is_none_or(|age| age > interval) {
            jobs.store.request_task(task).await.map_err(ServiceError::from)?;
        }
    }
    Ok(())
}

/// The worker's tasks and their intervals.
fn tasks(jobs: &Jobs) -> impl Iterator<Item = (Task, Duration)> {
    let person_quality = jobs.person_quality.then_some((Task::PersonQuality, DAY));
    [(Task::ScoreRefresh, DAY), (Task::SnapshotRefresh, HOUR)].into_iter().chain(person_quality)
}

fn daily<T: TaskHandler>(at: Daily) -> Result<CronBuilder<T>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::daily_at::<T>(at.hour, at.minute)?))
}

/// The job key keeps one pending job, however many instances and requests enqueue it.
fn enqueue_unique<T: TaskHandler>(cron: CronBuilder<T>) -> CronBuilder<T> {
    cron.job_key(T::IDENTIFIER).max_attempts(MAX_ATTEMPTS)
}
