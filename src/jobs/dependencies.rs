//! What the jobs of an instance need.

use std::time::Duration;

use super::metrics::TaskMetrics;
use crate::clock::Clock;
use crate::store::Store;

/// Dependencies of background work.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The database. The store has a pool of its own, because background work must not use the connections of requests.
    pub store: Store,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// Clock.
    pub clock: Clock,
    /// The target lists of the setting. Snapshots also have those that were chosen at run time.
    pub target_lists: Vec<String>,
    /// Whether Cinegraph computes the person quality in this database, and not the host application.
    pub person_quality: bool,
    /// Whether this instance trains learned rankings.
    pub model_training: bool,
    /// How long a running job may continue after the stop signal. A job that has not ended by then is returned to the
    /// queue.
    pub grace: Duration,
    /// Polling and heartbeat intervals.
    pub intervals: PollIntervals,
}

/// Polling and heartbeat intervals of an instance.
#[derive(Debug, Clone, Copy)]
pub struct PollIntervals {
    /// How often to poll for jobs that have become due. Jobs that are due when they are enqueued are announced to the
    /// worker, and need no polling.
    pub poll_every: Duration,
    /// How often an instance sends its heartbeat and looks for dead instances.
    pub alive_every: Duration,
    /// How long an instance may send no heartbeat before the others take over its jobs.
    pub dead_after: Duration,
}

impl Default for PollIntervals {
    fn default() -> Self {
        Self {
            // A choice: the jobs that wait for their time are hourly, daily or retried, so a delay of 2 s does not
            // matter.
            poll_every: Duration::from_secs(2),
            // The jobs of a frozen instance are taken over after at most 40 s + 10 s, within a minute.
            alive_every: Duration::from_secs(10),
            // Four heartbeats. If one or two are late because a write is slow, a running job must not be given to
            // another instance as well.
            dead_after: Duration::from_secs(40),
        }
    }
}
