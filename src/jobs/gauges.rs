//! Keeps the data-freshness gauges current: queue length, snapshot age, last success of each task, learned rankings. Main
//! type: [`FreshnessGauges`].

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::metrics::TaskMetrics;
use super::model_metrics::ModelMetrics;
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// Polling interval. A choice, below the usual interval of scrapes (15 seconds), so that each scrape gets recent
/// values.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Polling interval of learned rankings, whose reports take longer to read. A choice: trainings are hours apart.
const MODEL_POLL_INTERVAL: Duration = Duration::from_secs(15);

/// Reports how fresh the data in the database is. Every instance does, also one without background work: otherwise
/// nothing would show the growing queue of a deployment in which no instance does it.
#[derive(Debug)]
pub struct FreshnessGauges {
    /// The database. The store has a pool of its own, because background work must not use the connections of requests.
    pub store: Store,
    /// Metrics of tasks, of the queue and of the snapshot.
    pub metrics: TaskMetrics,
    /// Metrics of learned rankings.
    pub models: ModelMetrics,
    /// Clock.
    pub clock: Clock,
}

impl FreshnessGauges {
    /// Polls the queue, the snapshot, the tasks and the learned rankings, until it is dropped. A failure is logged only at
    /// debug level: requests and tasks report an unavailable database themselves.
    pub async fn run(self) {
        tokio::join!(self.follow_tasks(), self.follow_models());
    }

    async fn follow_models(&self) {
        let mut every = tokio::time::interval(MODEL_POLL_INTERVAL);
        loop {
            every.tick().await;
            if let Err(error) = self.update_models().await {
                tracing::debug!(%error, "cannot update the metrics of learned rankings");
            }
        }
    }

    async fn update_models(&self) -> Result<(), StoreError> {
        // The target lists of the setting may differ between instances, those of the snapshot do not.
        if let Some(snapshot) = self.store.snapshot().await? {
            let summaries = self.store.model_summaries().await?;
            self.models.update(&snapshot.target_lists, &summaries, self.clock.now());
        }
        Ok(())
    }

    async fn follow_tasks(&self) {
        let mut every = tokio::time::interval(POLL_INTERVAL);
        loop {
            every.tick().await;
            if let Err(error) = self.update().await {
                tracing::debug!(%error, "cannot update the metrics of the score queue, the snapshot and the tasks");
            }
        }
    }

    async fn update(&self) -> Result<(), StoreError> {
        // 0 for a time in the future, which the database may report if its clock is ahead.
        let age = |at: DateTime<Utc>| (self.clock.now() - at).to_std().unwrap_or_default();
        let queue = self.store.queue_length().await?;
        self.metrics.score_queue(queue.movies, queue.oldest.map(age).unwrap_or_default());
        // The age is 0 if there is no snapshot. If an instance runs the task but takes none, the alert on its last success
        // reports that.
        let snapshot = self.store.snapshot().await?;
        self.metrics.snapshot_age(snapshot.map(|snapshot| age(snapshot.taken_at)).unwrap_or_default());
        for (task, at) in self.store.task_successes().await? {
            self.metrics.succeeded(task, at);
        }
        Ok(())
    }
}
