//! Composition root: builds the parts, starts them, and stops them in order.

mod background;
mod http_state;
mod metrics;
mod readiness;
mod serve;
mod shutdown;
mod status;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use cinegraph_embedded_postgres::{self as embedded_postgres, EmbeddedPostgres};

use crate::cache::{CacheContext, L2Settings, Redis};
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::graphql::{self, Api, QueryLimits};
use crate::services::Services;
use crate::store::{DatabaseSettings, ReplicaSettings, StatementLimits, Store};
use crate::telemetry::Recorder;
use crate::versions::Versions;

pub use metrics::{Metrics, metrics_reference};
pub use serve::{Addresses, ServeOptions};
pub use status::{DataStatus, IdentityStatus, InstanceStatus, JobStatus, QueueStatus, TargetStatus};

/// Name of the database in the embedded cluster.
const EMBEDDED_DATABASE: &str = "cinegraph";

/// What every command needs: settings, database, metrics and clock.
#[derive(Debug)]
pub struct App {
    /// Effective settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Metrics.
    pub metrics: Metrics,
    /// Clock.
    pub clock: Clock,
    versions: Versions,
    embedded: Option<EmbeddedPostgres>,
}

impl App {
    /// Opens the configured database, or starts the embedded PostgreSQL. Connects to the database only when the first
    /// statement runs.
    ///
    /// # Errors
    /// If the embedded PostgreSQL cannot be started, a database URL is invalid, or the metrics cannot be registered.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let recorder =
            if config.metrics_enabled { Recorder::new().context("registering the metrics")? } else { Recorder::off() };
        let metrics = Metrics::new(recorder);
        let (embedded, url) = match &config.database_url {
            Some(url) => (None, url.expose().to_owned()),
            None => {
                let cluster = start_embedded(data_dir(&config)).await?;
                let url = cluster.url(EMBEDDED_DATABASE);
                (Some(cluster), url)
            }
        };
        let versions = Versions::default();
        let store = open_store(&config, url, &metrics, &versions)?;
        Ok(Self { config, store, versions, metrics, clock: Clock::system(), embedded })
    }

    /// Directory of the program's files: the embedded PostgreSQL, and the last result of `cinegraph prove`.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.config)
    }

    /// The status of the data and of background work.
    ///
    /// # Errors
    /// If the database is unavailable or not migrated.
    pub async fn data_status(&self) -> anyhow::Result<DataStatus> {
        // Reports missing migrations as such, before a statement fails because a table does not exist.
        self.store.installation().await?;
        Ok(status::of_data(&self.store, &self.config.target_lists).await?)
    }

    /// Number of SQL statements that have ended so far, cancelled ones included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.metrics.store.statements()
    }

    /// The services, with the data versions as they are now. No version listener runs, so cached values do not follow
    /// later changes of the data.
    ///
    /// # Errors
    /// If the database is unavailable or not migrated.
    pub async fn services(&self) -> anyhow::Result<Services> {
        self.store.installation().await?;
        let cache_context = self.cache_context()?;
        self.store.read_versions(&cache_context.versions).await?;
        Ok(Services::new(&self.store, &cache_context, &self.config, &self.metrics.breakers))
    }

    /// The GraphQL API over services of this process, without the limits that protect a service from its clients.
    #[must_use]
    pub fn api(&self, services: &Arc<Services>) -> Api {
        let limits = QueryLimits { max_complexity: usize::MAX, introspection: true };
        graphql::api(Arc::clone(services), self.metrics.graphql.clone(), limits)
    }

    /// Dependencies that all caches share.
    ///
    /// # Errors
    /// If `redis_url` is invalid.
    fn cache_context(&self) -> anyhow::Result<CacheContext> {
        let open = |url: &Secret| {
            let settings = L2Settings { url: url.expose().to_owned(), timeout: self.config.redis_timeout };
            Redis::open(&settings, self.metrics.caches.clone(), self.metrics.breakers.clone())
        };
        let redis = self.config.redis_url.as_ref().map(open).transpose().context("reading redis_url")?;
        let (clock, metrics) = (self.clock.clone(), self.metrics.caches.clone());
        Ok(CacheContext { versions: self.versions.clone(), clock, metrics, redis })
    }

    /// Closes the database connections. Then stops the embedded PostgreSQL, unless another process uses it.
    ///
    /// # Errors
    /// If the embedded PostgreSQL cannot be stopped.
    pub async fn stop(self) -> anyhow::Result<()> {
        shutdown::close_store(&self.store).await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await.context("stopping the embedded PostgreSQL")?;
        }
        Ok(())
    }
}

/// Directory of the program's files: the configured one, or the default.
#[must_use]
pub fn data_dir(config: &Config) -> PathBuf {
    config.data_dir.clone().unwrap_or_else(embedded_postgres::default_data_dir)
}

async fn start_embedded(data_dir: PathBuf) -> anyhow::Result<EmbeddedPostgres> {
    let options = embedded_postgres::Options { data_dir, temporary: false };
    let started = EmbeddedPostgres::start(options).await;
    started.context("starting the embedded PostgreSQL (set database_url to use another server)")
}

/// The database at `url`, with the read replica if one is configured.
///
/// # Errors
/// If one of the two URLs is invalid.
fn open_store(config: &Config, url: String, metrics: &Metrics, versions: &Versions) -> anyhow::Result<Store> {
    let settings = DatabaseSettings {
        url,
        max_connections: config.database_max_connections,
        acquire_timeout: config.database_acquire_timeout,
        limits: StatementLimits {
            request: config.database_statement_timeout,
            direct_query: config.direct_query_timeout,
        },
        direct_queries: config.direct_query_concurrency,
    };
    let store = Store::open(&settings, metrics.store.clone()).context("reading the database URL")?;
    let Some(url) = &config.replica_url else { return Ok(store) };
    let replica = ReplicaSettings { url: url.expose().to_owned(), max_lag: config.replica_max_lag };
    store.with_replica(&replica, &settings, versions.clone(), metrics.breakers.clone()).context("reading replica_url")
}
