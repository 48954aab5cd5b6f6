//! Keeps the data-freshness gauges current: queue length, snapshot age, last success of each task.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::dependencies::Jobs;
use crate::services::ServiceError;

/// Polling interval. A choice, below the usual interval of scrapes (15 seconds), so that each scrape gets recent
/// values.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Polls the queue, the snapshot and the tasks, until it is dropped. A failure is logged only at debug level: requests
/// and tasks report an unavailable database themselves.
pub(super) async fn run(jobs: Jobs) {
    let mut every = tokio::time::interval(POLL_INTERVAL);
    loop {
        every.tick().await;
        if let Err(error) = update(&jobs).await {
            tracing::debug!(%error, "cannot update the metrics of the score queue, the snapshot and the tasks");
        }
    }
}

async fn update(jobs: &Jobs) -> Result<(), ServiceError> {
    // 0 for a time in the future, which the database may report if its clock is ahead.
    let age = |at: DateTime<Utc>| (jobs.clock.now() - at).to_std().unwrap_or_default();
    let queue = jobs.store.queue_length().await?;
    jobs.metrics.score_queue(queue.movies, queue.oldest.map(age).unwrap_or_default());
    // The age is 0 if there is no snapshot. The alert on the last success of its task reports a snapshot that is never
    // taken.
    let snapshot = jobs.store.snapshot().await?;
    jobs.metrics.snapshot_age(snapshot.map(|snapshot| age(snapshot.taken_at)).unwrap_or_default());
    for (task, at) in jobs.store.task_successes().await? {
        #[expect(clippy::cast_precision_loss, reason = "exact to the millisecond for thousands of years")]
        jobs.metrics.succeeded(task, at.timestamp_millis() as f64 / 1000.0);
    }
    Ok(())
}
