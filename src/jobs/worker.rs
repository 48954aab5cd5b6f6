//! The worker: takes jobs from PostgreSQL and runs them, and adds those that are due by the clock.

use std::time::Duration;

use graphile_worker::runner::WorkerRuntimeError;
use graphile_worker::{
    Cron, CronBuilder, CrontabTimerError, TaskHandler, WorkerBuildError, WorkerContext, WorkerOptions,
    WorkerRecoveryConfig,
};
use tokio_util::sync::CancellationToken;

use super::Jobs;
use super::instrument::{self, JobError, JobOutcome, with_causes};
use super::person_quality::{self, PersonQuality};
use super::score_refresh::{self, ScoreRefresh};
use super::snapshot_refresh::{self, SnapshotRefresh};
use crate::services::ServiceError;
use crate::store::JOBS_SCHEMA;
use crate::telemetry::Task;

/// Tries of a job, with pauses of some seconds between them; then it has failed until somebody lets it run again.
const MAX_ATTEMPTS: u16 = 3;

/// Jobs that run here at the same time.
const AT_ONCE: usize = 2;

/// How long to wait before the worker is started again after it has failed.
const START_AGAIN_AFTER: Duration = Duration::from_secs(5);

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How often an instance looks around.
#[derive(Debug, Clone, Copy)]
pub struct PollIntervals {
    /// How often to look for jobs that are due. New ones are announced; this is for those that wait for their time.
    pub poll_every: Duration,
    /// How often an instance says that it is alive, and looks for those that are not.
    pub alive_every: Duration,
    /// How long one may say nothing before others run its jobs.
    pub dead_after: Duration,
}

impl Default for PollIntervals {
    fn default() -> Self {
        let poll_every = Duration::from_secs(2);
        Self { poll_every, alive_every: Duration::from_secs(15), dead_after: Duration::from_mins(1) }
    }
}

/// A time of day, UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Daily {
    pub(super) hour: u32,
    pub(super) minute: u32,
}

/// Why the worker has ended.
#[derive(Debug, thiserror::Error)]
enum StopReason {
    #[error("the worker cannot be started")]
    Start(#[from] WorkerBuildError),
    #[error("a task's time is none")]
    Time(#[from] CrontabTimerError),
    #[error(transparent)]
    Running(#[from] WorkerRuntimeError),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Runs jobs until `stop`; those that run then have `grace` to finish. When it fails it is started again.
pub(super) async fn run(jobs: Jobs, stop: CancellationToken) {
    for (task, interval) in tasks(&jobs) {
        jobs.metrics.task_interval(task, interval);
    }
    if !jobs.person_quality {
        jobs.metrics.task_never_due(Task::PersonQuality);
    }
    while !stop.is_cancelled() {
        let Err(error) = run_until_stopped(&jobs, &stop).await else { continue };
        tracing::warn!(error = %with_causes(&error), "background jobs cannot be run; trying again");
        stop.run_until_cancelled(tokio::time::sleep(START_AGAIN_AFTER)).await;
    }
}

async fn run_until_stopped(jobs: &Jobs, stop: &CancellationToken) -> Result<(), StopReason> {
    let mut options = WorkerOptions::default()
        .schema(JOBS_SCHEMA)
        .pg_pool(jobs.store.pool().clone())
        .concurrency(AT_ONCE)
        .poll_interval(jobs.intervals.poll_every)
        .add_extension(jobs.clone())
        .define_job::<ScoreRefresh>()
        .define_job::<SnapshotRefresh>()
        .with_cron(daily::<ScoreRefresh>(score_refresh::AT)?)
        .with_cron(enqueue_unique(Cron::hourly_at::<SnapshotRefresh>(snapshot_refresh::AT_MINUTE)?))
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
        options = options.define_job::<PersonQuality>().with_cron(daily::<PersonQuality>(person_quality::AT)?);
    }
    let worker = options.init().await?;
    enqueue_overdue(jobs).await?;
    Ok(worker.run().await?)
}

/// Asks for what was not done in time while no instance ran.
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

/// The tasks that the worker runs, and how often.
fn tasks(jobs: &Jobs) -> impl Iterator<Item = (Task, Duration)> {
    let person_quality = jobs.person_quality.then_some((Task::PersonQuality, DAY));
    [(Task::ScoreRefresh, DAY), (Task::SnapshotRefresh, HOUR)].into_iter().chain(person_quality)
}

/// The work of one job.
pub(super) async fn job(
    context: &WorkerContext,
    task: Task,
    work: impl AsyncFnOnce(&Jobs) -> Result<JobOutcome, ServiceError>,
) -> Result<(), JobError> {
    let Some(jobs) = context.get_ext::<Jobs>() else { return Err(JobError::from("the worker was started without us")) };
    let job = context.job();
    let run_id = format!("{}.{}", job.id(), job.attempts());
    instrument::run(task, &run_id, &jobs.metrics, &jobs.clock, work(jobs)).await.map(drop)
}

fn daily<T: TaskHandler>(at: Daily) -> Result<CronBuilder<T>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::daily_at::<T>(at.hour, at.minute)?))
}

/// However many instances add the job, and however often it is asked for besides, it waits once.
fn enqueue_unique<T: TaskHandler>(cron: CronBuilder<T>) -> CronBuilder<T> {
    cron.job_key(T::IDENTIFIER).max_attempts(MAX_ATTEMPTS)
}
