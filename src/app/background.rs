//! Work beside the requests: the loops of an instance, its jobs and cache warming.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};

use cinegraph_embedded_postgres::Locator;

use super::App;
use crate::cache::Redis;
use crate::jobs::warming::Warming;
use crate::jobs::{FreshnessGauges, Jobs, PollIntervals};
use crate::services::{Services, refresh};
use crate::store::Store;
use crate::telemetry::{OutageLog, Recorder};
use crate::versions::Versions;

/// How often histogram samples are aggregated, the pool is measured and Redis is pinged. A choice: samples use memory
/// until they are aggregated, and the values need not be more recent than the scrapes, which are usually 15 seconds
/// apart.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often the lag of the read replica is polled. The store keeps the WAL positions of the last hour and expects one
/// per second, see [`Store::poll_replica_lag`].
const REPLICA_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often the pool of requests is checked. The pool counts as exhausted if no statement has got a connection between
/// two checks. The interval is therefore longer than a statement may run by default (2 s), so that a busy pool does not
/// count.
const POOL_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How often the port of the embedded PostgreSQL is checked. A choice: the check only reads small files, and no
/// statement succeeds until a new port is found.
const LOCATE_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before the version listener reconnects. A choice: short, since cache entries are served as stale until then, but
/// long enough not to flood an unavailable database with attempts.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Connections for background work, one for each of these: two jobs that run at a time, the locks that they may hold, the
/// drain, and the worker's own statements. The worker's listener has a connection outside of this pool.
const JOB_CONNECTIONS: u32 = 6;

/// How long background work waits for a connection. A choice: longer than a request waits by default (2 s), because no
/// client waits for background work, and a run that gets no connection fails.
const JOB_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl App {
    /// The background jobs, with a connection pool of their own.
    ///
    /// # Errors
    /// If the database is unavailable or not migrated.
    pub(super) async fn jobs(&self) -> anyhow::Result<Jobs> {
        let store = self.store.with_dedicated_pool(JOB_CONNECTIONS, JOB_ACQUIRE_TIMEOUT);
        Ok(Jobs {
            person_quality: refresh::computes_person_quality(&store, self.config.person_quality_enabled).await?,
            model_training: self.config.model_training_enabled,
            store,
            metrics: self.metrics.tasks.clone(),
            clock: self.clock.clone(),
            target_lists: self.config.target_lists.clone(),
            // The other half of the time is for returning unfinished jobs to the queue.
            grace: self.config.shutdown_timeout / 2,
            intervals: PollIntervals::default(),
        })
    }

    /// The gauges of the freshness of data, with a connection of their own: a long job must not delay them.
    pub(super) fn freshness_gauges(&self) -> FreshnessGauges {
        FreshnessGauges {
            store: self.store.with_dedicated_pool(1, JOB_ACQUIRE_TIMEOUT),
            metrics: self.metrics.tasks.clone(),
            models: self.metrics.models.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Cache warming.
    pub(super) fn warming(&self, services: &Arc<Services>) -> Warming {
        Warming {
            services: Arc::clone(services),
            store: self.store.clone(),
            metrics: self.metrics.tasks.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Keeps the data versions current. While the connection of the version listener is lost, the versions are marked as
/// unknown. Never returns.
pub(super) async fn follow_versions(store: Store, versions: Versions) {
    let logged = OutageLog::default();
    loop {
        let followed = async { store.listen().await?.follow(&versions).await };
        if let Err(error) = followed.await {
            versions.mark_unknown();
            let cause = error.source().map(ToString::to_string);
            // Once per outage, whatever the errors of its attempts: the reason is logged where the connection is opened.
            if logged.is_new("", Instant::now()) {
                tracing::warn!(%error, cause, "version listener lost; serving cached entries as stale, and reconnecting");
            } else {
                tracing::debug!(%error, cause, "version listener still not connected; retrying");
            }
        }
        sleep(LISTEN_RETRY_DELAY).await;
    }
}

/// Polls the lag of the read replica, if there is one. Never returns.
pub(super) async fn poll_replica_lag(store: Store) {
    let mut every = interval(REPLICA_POLL_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        store.poll_replica_lag().await;
    }
}

/// Pings the database servers, so that the metrics show an absent one.
pub(super) async fn watch_servers(store: Store) {
    store.watch_servers().await;
}

/// Records since when the pool of requests has been exhausted although the database responds. The readiness check reads
/// this. Never returns.
pub(super) async fn watch_pool(store: Store) {
    store.watch_pool(POOL_CHECK_INTERVAL).await;
}

/// Moves the store to the current port of the embedded PostgreSQL. The port changes if the server crashes and another
/// process starts it again. Never returns.
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

/// Aggregates histogram samples, measures the pool, and pings Redis to update its metric and circuit breaker. Never
/// returns.
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
