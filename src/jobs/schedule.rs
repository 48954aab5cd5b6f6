//! The timetable of the worker's jobs.

use std::time::Duration;

use graphile_worker::{Cron, CronBuilder, CrontabTimerError, TaskHandler};

use super::dependencies::Jobs;
use super::model_train::ModelTrain;
use super::nightly::{Daily, MODEL_TRAIN_AT, PERSON_QUALITY_AT, SCORE_REFRESH_AT};
use super::person_quality::PersonQuality;
use super::score_refresh::ScoreRefresh;
use super::snapshot_refresh::SnapshotRefresh;
use crate::store::Task;

/// Attempts of a scheduled job. The worker waits about 3 seconds after the first failure and 7 after the second; after
/// the third the job stays in the list as failed until an operator retries it; the next scheduled run is a new job. Jobs
/// that are requested have as many attempts, set by the SQL function `cinegraph.request_task`. The number is a choice.
const MAX_ATTEMPTS: u16 = 3;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Minute of the hour. Any other minute would do, except those of the full and half hour, at which many systems start
/// work.
const SNAPSHOT_REFRESH_AT_MINUTE: u32 = 7;

pub(super) fn person_quality() -> Result<CronBuilder<PersonQuality>, CrontabTimerError> {
    daily(PERSON_QUALITY_AT)
}

pub(super) fn score_refresh() -> Result<CronBuilder<ScoreRefresh>, CrontabTimerError> {
    daily(SCORE_REFRESH_AT)
}

pub(super) fn model_train() -> Result<CronBuilder<ModelTrain>, CrontabTimerError> {
    daily(MODEL_TRAIN_AT)
}

pub(super) fn snapshot_refresh() -> Result<CronBuilder<SnapshotRefresh>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::hourly_at(SNAPSHOT_REFRESH_AT_MINUTE)?))
}

/// The tasks that the worker of `jobs` runs, with the time between two runs.
pub(super) fn tasks(jobs: &Jobs) -> impl Iterator<Item = (Task, Duration)> {
    let person_quality = jobs.person_quality.then_some((Task::PersonQuality, DAY));
    let model_train = jobs.model_training.then_some((Task::ModelTrain, DAY));
    [(Task::ScoreRefresh, DAY), (Task::SnapshotRefresh, HOUR)].into_iter().chain(person_quality).chain(model_train)
}

fn daily<T: TaskHandler>(at: Daily) -> Result<CronBuilder<T>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::daily_at::<T>(at.hour, at.minute)?))
}

/// Every instance and every request may enqueue the job. The job key lets at most one of them be pending.
fn enqueue_unique<T: TaskHandler>(cron: CronBuilder<T>) -> CronBuilder<T> {
    cron.job_key(T::IDENTIFIER).max_attempts(MAX_ATTEMPTS)
}
