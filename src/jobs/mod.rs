//! Background jobs: when they run, how often they are retried, and what is recorded.
//!
//! The work of each task is in `services`. `graphile_worker` stores the jobs of `score_refresh`, `snapshot_refresh` and
//! `person_quality` in PostgreSQL, so that only one of several instances runs each job, and another instance recovers
//! the jobs of a dead one. A lock lets one instance at a time run the `drain`. Each instance runs `warming` for itself,
//! since only it can fill its memory.

mod drain;
mod gauges;
mod instrument;
mod metrics;
mod person_quality;
mod score_refresh;
mod snapshot_refresh;
pub mod warming;
mod worker;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::Store;

pub use metrics::{TaskMetrics, TaskOutcome};
pub use worker::PollIntervals;

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

impl Jobs {
    /// Runs the drain and due jobs until `stop`, and returns unfinished jobs to the queue.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            drain::run(self.clone(), stop.clone()),
            stop.clone().run_until_cancelled_owned(gauges::run(self.clone())),
            worker::run(self, stop),
        );
    }
}
