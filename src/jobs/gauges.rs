//! How far behind things are, kept current for the metrics.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Jobs;
use crate::services::ServiceError;

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the queue, the snapshot and the tasks every few seconds. A failure is not worth a word: what it would say is
/// said by whoever needs the database.
pub(super) async fn run(jobs: Jobs) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        if let Err(error) = look(&jobs).await {
            tracing::debug!(%error, "freshness is not known");
        }
    }
}

async fn look(jobs: &Jobs) -> Result<(), ServiceError> {
    let age = |at: DateTime<Utc>| (jobs.clock.now() - at).to_std().unwrap_or_default();
    let queue = jobs.store.queue_length().await?;
    jobs.metrics.score_queue(queue.films, queue.oldest.map(age).unwrap_or_default());
    let snapshot = jobs.store.snapshot().await?;
    jobs.metrics.snapshot_age(snapshot.map(|snapshot| age(snapshot.taken_at)).unwrap_or_default());
    for (task, at) in jobs.store.task_successes().await? {
        #[expect(clippy::cast_precision_loss, reason = "exact to the millisecond for thousands of years")]
        jobs.metrics.task_succeeded(task, at.timestamp_millis() as f64 / 1000.0);
    }
    Ok(())
}
