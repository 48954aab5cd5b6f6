//! What the jobs of an instance need.

use std::time::Duration;

use super::metrics::TaskMetrics;
use crate::clock::Clock;
use crate::store::Store;

/// Dependencies of background work.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The database, through a dedicated pool: background work must not use the connections of requests.
    pub store: Store,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// Clock.
    pub clock: Clock,
    /// The lists that snapshots are taken for.
    pub target_lists: Vec<String>,
    /// Whether this database's person quality is computed by Cinegraph.
    pub person_quality: bool,
    /// Grace period of a running job after the stop signal; it is then returned to the queue.
    pub grace: Duration,
    /// Polling intervals.
    pub intervals: PollIntervals,
}

/// Polling and heartbeat intervals of an instance.
#[derive(Debug, Clone, Copy)]
pub struct PollIntervals {
    /// How often to poll for jobs whose time has come. New jobs are announced and need no polling.
    pub poll_every: Duration,
    /// How often an instance sends its heartbeat and looks for dead instances.
    pub alive_every: Duration,
    /// How long an instance may miss its heartbeat before others take over its jobs.
    pub dead_after: Duration,
}

impl Default for PollIntervals {
    fn default() -> Self {
        // Four heartbeats: one or two slow writes must not give a running job to another instance as well.
        let poll_every = Duration::from_secs(2);
        // Together at most 50 s, so that the jobs of a frozen instance are taken over within a minute.
        Self { poll_every, alive_every: Duration::from_secs(10), dead_after: Duration::from_secs(40) }
    }
}
