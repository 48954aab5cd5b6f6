//! What runs by itself: when, how often it is tried, and what is told of it.
//!
//! What a task does is said in `services`. `graphile_worker` keeps the jobs of `score_refresh`, `snapshot_refresh` and
//! `person_quality` in PostgreSQL, so that of several instances one runs each of them, and another takes over what a dead
//! one has left. The `drain` takes turns by a lock; `warming` is each instance's own, since only it can fill its memory.

mod drain;
mod gauges;
mod instrument;
mod person_quality;
mod score_refresh;
mod snapshot_refresh;
pub mod warming;
mod worker;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::Store;
use crate::telemetry::Metrics;

pub use worker::PollIntervals;

/// What background work needs.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The database, by connections of its own: background work must not take those of requests.
    pub store: Store,
    /// What is measured.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    /// The lists that snapshots are taken for.
    pub target_lists: Vec<String>,
    /// Whether the quality of people is computed here.
    pub person_quality: bool,
    /// How long a running job may go on after it was asked to stop; it is given back then.
    pub grace: Duration,
    /// How often it looks around.
    pub intervals: PollIntervals,
}

impl Jobs {
    /// Runs the drain and whatever jobs are due until `stop`, and gives back what cannot be finished.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            drain::run(self.clone(), stop.clone()),
            stop.clone().run_until_cancelled_owned(gauges::run(self.clone())),
            worker::run(self, stop),
        );
    }
}
