//! Background jobs: when they run, how often they are retried, and what is recorded.
//!
//! The work of each task is in `services`. `graphile_worker` stores the jobs of `score_refresh`, `snapshot_refresh`,
//! `person_quality` and `model_train` in PostgreSQL, so that only one of several instances runs each job, and another
//! instance recovers the jobs of a dead one. All instances poll for the `drain`, and a lock lets one at a time run it. Each instance runs
//! `warming` for itself, since only it can fill its memory, and reports the freshness of the data ([`FreshnessGauges`]).

mod dependencies;
mod drain;
mod gauges;
mod handler;
mod metrics;
mod model_metrics;
mod model_train;
mod nightly;
mod person_quality;
mod schedule;
mod score_refresh;
mod snapshot_refresh;
mod task_telemetry;
pub mod warming;
mod worker;

use tokio_util::sync::CancellationToken;

pub use dependencies::{Jobs, PollIntervals};
pub use gauges::FreshnessGauges;
pub use metrics::{TaskMetrics, TaskOutcome};
pub use model_metrics::ModelMetrics;

impl Jobs {
    /// Runs the drain and due jobs until `stop`. Jobs that do not finish within the grace period are returned to the
    /// queue.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(drain::run(self.clone(), stop.clone()), worker::run(self, stop));
    }
}
