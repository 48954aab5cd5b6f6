//! `cache_warm`: loads the results that are most likely to be requested into the caches, at start, every ten minutes
//! and after an invalidation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::metrics::TaskMetrics;
use super::task_telemetry::{self, JobOutcome};
use crate::clock::Clock;
use crate::services::warming::{warm, warm_first};
use crate::services::{ServiceError, Services};
use crate::store::{Store, Task};
use crate::versions::{Epoch, Scope};

/// How often all results are warmed. A choice: results of the current decade are fresh for 5 minutes by default and may
/// be served as stale for another 5, so a result that is never requested is loaded again about when it expires.
const WARM_INTERVAL: Duration = Duration::from_mins(10);

/// How often to check for invalidations. A choice: the check only reads memory, and clients that request an invalidated
/// result first have to wait for it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long the start waits for the first page. A choice: with a million movies it is loaded in less than half a
/// second, and a slow database must not keep the instance from starting.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// Warms the caches of one instance. Runs on every serving instance, also on one without jobs, because no other
/// instance can fill its memory.
#[derive(Debug, Clone)]
pub struct Warming {
    /// Services whose caches are warmed.
    pub services: Arc<Services>,
    /// The database in which successful runs are recorded.
    pub store: Store,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// Clock.
    pub clock: Clock,
}

impl Warming {
    /// Loads the predictions of the service's first page. Returns when they are cached or cannot be loaded, and after
    /// two seconds at the latest, while loading continues in the background. Failures are only logged, because the
    /// instance can serve without them.
    pub async fn first_page(&self) {
        let services = Arc::clone(&self.services);
        let first = tokio::spawn(async move { warm_first(&services).await });
        match tokio::time::timeout(FIRST_LIMIT, first).await {
            // `NotReady` means that the data is incomplete, for example that there is no default profile. It is not
            // logged here, because clients get this error, which says what is missing.
            Ok(Ok(Ok(()) | Err(ServiceError::NotReady(_)))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "cannot load the first page of predictions before the start"),
            Ok(Err(panicked)) => {
                tracing::error!(error = %panicked, "cannot load the first page of predictions before the start");
            }
            Err(_) => {
                let waited_seconds = FIRST_LIMIT.as_secs();
                tracing::warn!(waited_seconds, "first page of predictions not loaded in time; starting while it loads");
            }
        }
    }

    /// Warms the caches now, every ten minutes and after each invalidation, until `stop` is cancelled. A failed round
    /// is not repeated before the next one is due: meanwhile, requests load what they need.
    pub async fn run(self, stop: CancellationToken) {
        self.metrics.set_interval(Task::CacheWarm, WARM_INTERVAL);
        stop.run_until_cancelled_owned(Box::pin(self.run_loop())).await;
    }

    async fn run_loop(self) {
        for round in 1_u64.. {
            // Read before the work: an invalidation during the work then starts another round.
            let seen = self.invalidations();
            let began = Instant::now();
            let work = async {
                let warmed = Box::pin(warm(&self.services)).await?;
                match warmed.error {
                    Some(error) => Err(error),
                    None => Ok(JobOutcome::Done(warmed.ready)),
                }
            };
            if task_telemetry::run(Task::CacheWarm, &round.to_string(), &self.metrics, &self.clock, work).await.is_ok()
                && let Err(error) = self.store.record_success(Task::CacheWarm).await
            {
                tracing::debug!(%error, "cannot record job success");
            }
            while self.invalidations() == seen && began.elapsed() < WARM_INTERVAL {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// A value that changes whenever entries are hard-invalidated or a new validation snapshot is taken: the counters
    /// of [`Versions::invalidations`](crate::versions::Versions::invalidations), and the version of the snapshot.
    fn invalidations(&self) -> ((Epoch, i64), i64) {
        let versions = &self.services.versions;
        (versions.invalidations(), versions.of(&Scope::Snapshot))
    }
}
