//! Work beside the requests: the loops of an instance, its jobs and cache warming.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use cinegraph_embedded_postgres::Locator;

use super::App;
use crate::cache::Redis;
use crate::jobs::warming::Warming;
use crate::jobs::{Jobs, PollIntervals};
use crate::services::{Services, refresh};
use crate::store::Store;
use crate::telemetry::Recorder;
use crate::versions::Versions;

/// How often histogram samples are aggregated and the pool is measured.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often the lag of the read replica is polled.
const REPLICA_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often the pool of requests is checked.
const POOL_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How often the port of the embedded PostgreSQL is checked; the check reads a small file.
const LOCATE_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before the version listener reconnects.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Connections for background work: two jobs, one of which may hold a lock besides its statements, the drain, the
/// worker and its listener.
const JOB_CONNECTIONS: u32 = 6;

/// How long background work waits for a connection.
const JOB_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl App {
    /// Background jobs.
    pub(super) async fn jobs(&self) -> anyhow::Result<Jobs> {
        let store = self.store.with_dedicated_pool(JOB_CONNECTIONS, JOB_ACQUIRE_TIMEOUT);
        Ok(Jobs {
            person_quality: refresh::computes_person_quality(&store, self.config.person_quality_enabled).await?,
            store,
            metrics: self.metrics.tasks.clone(),
            clock: self.clock.clone(),
            target_lists: self.config.target_lists.clone(),
            // The other half is for returning unfinished jobs to the queue.
            grace: self.config.shutdown_timeout / 2,
            intervals: PollIntervals::default(),
        })
    }

    /// Cache warming.
    pub(super) fn warming(&self, services: &Arc<Services>) -> Warming {
        Warming {
            services: Arc::clone(services),
            store: self.store.clone(),
            target_lists: self.config.target_lists.clone(),
            metrics: self.metrics.tasks.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Keeps the data versions current; reconnects when the connection is lost.
pub(super) async fn follow_versions(store: Store, versions: Versions) {
    loop {
        let followed = async { store.listen().await?.follow(&versions).await };
        if let Err(error) = followed.await {
            versions.mark_unknown();
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "version listener lost; reconnecting");
        }
        sleep(LISTEN_RETRY_DELAY).await;
    }
}

/// Keeps the lag of the read replica current.
pub(super) async fn poll_replica_lag(store: Store) {
    let mut every = interval(REPLICA_POLL_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        store.poll_replica_lag().await;
    }
}

/// Notices when the pool of requests is exhausted although the database responds.
pub(super) async fn watch_pool(store: Store) {
    store.watch_pool(POOL_CHECK_INTERVAL).await;
}

/// Lets the store use the present port of the embedded PostgreSQL: another process starts it on another one after it has
/// crashed.
pub(super) async fn follow_embedded_postgres(locator: Locator, store: Store) {
    let mut every = interval(LOCATE_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Some(port) = locator.port()
            && port != store.port()
        {
            tracing::info!(port, "embedded PostgreSQL found on another port");
            store.move_to_port(port);
        }
    }
}

/// Aggregates histogram samples, measures the pool and checks whether Redis responds.
pub(super) async fn run_metrics_upkeep(store: Store, recorder: Recorder, redis: Option<Redis>) {
    let mut every = interval(UPKEEP_INTERVAL);
    loop {
        every.tick().await;
        recorder.upkeep();
        store.measure_pool();
        if let Some(redis) = &redis {
            redis.ping().await;
        }
    }
}
