//! `cache_warm`: answers that will be asked for are made before they are, every ten minutes and after an invalidation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::instrument::{self, JobOutcome};
use crate::clock::Clock;
use crate::services::warming::{warm, warm_first};
use crate::services::{ServiceError, Services};
use crate::store::Store;
use crate::telemetry::{Metrics, Task};
use crate::versions::Scope;

/// How often everything is warmed.
const EVERY: Duration = Duration::from_mins(10);

/// How often to look whether something was invalidated; reads memory only.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the start waits for the first page.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// What warms one instance's caches. It runs also where jobs are off: nobody else can fill this instance's memory.
#[derive(Debug, Clone)]
pub struct Warming {
    /// Whose caches.
    pub services: Arc<Services>,
    /// Where successes are written down.
    pub store: Store,
    /// The lists that are asked about.
    pub target_lists: Vec<String>,
    /// What is measured.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
}

impl Warming {
    /// Makes the page that is asked for first. Returns when it is ready, or after a while with a warning; then it is
    /// still being made.
    pub async fn first(&self) {
        let (services, target_lists) = (Arc::clone(&self.services), self.target_lists.clone());
        let first = tokio::spawn(async move { warm_first(&services, &target_lists).await });
        match tokio::time::timeout(FIRST_LIMIT, first).await {
            Ok(Ok(Ok(()) | Err(ServiceError::NotReady(_)))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the first page could not be made before the start"),
            Ok(Err(panicked)) => {
                tracing::error!(error = %panicked, "the first page could not be made before the start");
            }
            Err(_) => tracing::warn!("the first page is not ready yet; the first to ask may have to wait"),
        }
    }

    /// Warms everything now, every ten minutes, and whenever something was invalidated, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        self.metrics.task_interval(Task::CacheWarm, EVERY);
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
                && let Err(error) = self.store.note_success(Task::CacheWarm).await
            {
                tracing::debug!(%error, "a success is not written down");
            }
            while self.invalidations() == seen && began.elapsed() < EVERY {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Another value than before says that answers were taken away, or that validations have a new snapshot.
    fn invalidations(&self) -> (i64, i64) {
        let versions = &self.services.versions;
        (versions.min_valid_sum(), versions.of(&Scope::Snapshot))
    }
}
