//! `cache_warm`: loads the likely requested results into the caches, every ten minutes and after an invalidation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::instrument::{self, JobOutcome};
use super::metrics::TaskMetrics;
use crate::clock::Clock;
use crate::services::warming::{warm, warm_first};
use crate::services::{ServiceError, Services};
use crate::store::{Store, Task};
use crate::versions::{Epoch, Scope};

/// How often all results are warmed.
const WARM_INTERVAL: Duration = Duration::from_mins(10);

/// How often to check for invalidations; the check reads memory only.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long the start waits for the first page.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// Warms the caches of one instance. Runs even if jobs are off: no other instance can fill this one's memory.
#[derive(Debug, Clone)]
pub struct Warming {
    /// Services whose caches are warmed.
    pub services: Arc<Services>,
    /// Where successes are stored.
    pub store: Store,
    /// The target lists to warm.
    pub target_lists: Vec<String>,
    /// Metrics.
    pub metrics: TaskMetrics,
    /// Clock.
    pub clock: Clock,
}

impl Warming {
    /// Loads the page that is requested first. Returns when it is cached, or with a warning after two seconds;
    /// loading then continues in the background.
    pub async fn first_page(&self) {
        let (services, target_lists) = (Arc::clone(&self.services), self.target_lists.clone());
        let first = tokio::spawn(async move { warm_first(&services, &target_lists).await });
        match tokio::time::timeout(FIRST_LIMIT, first).await {
            // `NotReady` means that the data is incomplete, for example without a default profile. Clients get that error,
            // which says what is missing.
            Ok(Ok(Ok(()) | Err(ServiceError::NotReady(_)))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "cannot load the first page before the start"),
            Ok(Err(panicked)) => {
                tracing::error!(error = %panicked, "cannot load the first page before the start");
            }
            Err(_) => tracing::warn!("the first page is not loaded yet; the first request may have to wait"),
        }
    }

    /// Warms all caches now, every ten minutes and after each invalidation, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        self.metrics.set_interval(Task::CacheWarm, WARM_INTERVAL);
        stop.run_until_cancelled_owned(Box::pin(self.run_loop())).await;
    }

    async fn run_loop(self) {
        for round in 1_u64.. {
            let seen = self.invalidations();
            let began = Instant::now();
            let work = async {
                let warmed = Box::pin(warm(&self.services, &self.target_lists)).await?;
                match warmed.error {
                    Some(error) => Err(error),
                    None => Ok(JobOutcome::Done(warmed.ready)),
                }
            };
            if instrument::run(Task::CacheWarm, &round.to_string(), &self.metrics, &self.clock, work).await.is_ok()
                && let Err(error) = self.store.record_success(Task::CacheWarm).await
            {
                tracing::debug!(%error, "cannot record job success");
            }
            while self.invalidations() == seen && began.elapsed() < WARM_INTERVAL {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// A changed value means that entries were hard-invalidated, or that there is a new validation snapshot.
    fn invalidations(&self) -> ((Epoch, i64), i64) {
        let versions = &self.services.versions;
        (versions.invalidations(), versions.of(&Scope::Snapshot))
    }
}
