//! The timetable of the worker's jobs.

use std::time::Duration;

use graphile_worker::{Cron, CronBuilder, CrontabTimerError, TaskHandler};

use super::person_quality::PersonQuality;
use super::score_refresh::ScoreRefresh;
use super::snapshot_refresh::SnapshotRefresh;
use crate::store::Task;

/// Attempts of a job, some seconds apart; the job then stays failed until an operator retries it. For scheduled
/// jobs; requested ones have as many (`cinegraph.request_task`).
const MAX_ATTEMPTS: u16 = 3;

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

/// Minute of the hour. Any other would do, except full and half hours, at which many systems start work.
const SNAPSHOT_REFRESH_AT_MINUTE: u32 = 7;

pub(super) fn person_quality() -> Result<CronBuilder<PersonQuality>, CrontabTimerError> {
    daily(PERSON_QUALITY_AT)
}

pub(super) fn score_refresh() -> Result<CronBuilder<ScoreRefresh>, CrontabTimerError> {
    daily(SCORE_REFRESH_AT)
}

pub(super) fn snapshot_refresh() -> Result<CronBuilder<SnapshotRefresh>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::hourly_at(SNAPSHOT_REFRESH_AT_MINUTE)?))
}

/// The worker's tasks and their intervals; person quality only if it is computed.
pub(super) fn tasks(person_quality: bool) -> impl Iterator<Item = (Task, Duration)> {
    let person_quality = person_quality.then_some((Task::PersonQuality, DAY));
    [(Task::ScoreRefresh, DAY), (Task::SnapshotRefresh, HOUR)].into_iter().chain(person_quality)
}

fn daily<T: TaskHandler>(at: Daily) -> Result<CronBuilder<T>, CrontabTimerError> {
    Ok(enqueue_unique(Cron::daily_at::<T>(at.hour, at.minute)?))
}

/// The job key keeps one pending job, however many instances and requests enqueue it.
fn enqueue_unique<T: TaskHandler>(cron: CronBuilder<T>) -> CronBuilder<T> {
    cron.job_key(T::IDENTIFIER).max_attempts(MAX_ATTEMPTS)
}
