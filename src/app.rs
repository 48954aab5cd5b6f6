//! Composition root: builds the parts, starts them, and stops them in order.

mod metrics;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cinegraph_embedded_postgres::{self as embedded_postgres, EmbeddedPostgres};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::breaker::BreakerSettings;
use crate::cache::{CacheContext, CacheName, L2Settings, Redis};
use crate::clock::Clock;
use crate::config::{AdminTokens, AllowedOrigins, Config, Secret};
use crate::graphql::{self, DocumentLimits, OperationLimits, OperationPipeline, QueryLimits, TrustedDocuments};
use crate::http::{
    self, ConnectionLimiter, ConnectionLimits, Explorer, HttpLimits, HttpState, PerCoreRuntimes, Probe, Readiness,
    WebSocketLimits,
};
use crate::jobs::warming::Warming;
use crate::jobs::{Jobs, PollIntervals};
use crate::services::{CacheLimits, Services, refresh};
use crate::store::{DatabaseSettings, ReplicaSettings, StatementLimits, Store};
use crate::telemetry::Recorder;
use crate::versions::Versions;

pub use metrics::Metrics;

/// How often histogram samples are aggregated and the pool is measured.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often the lag of the read replica is polled.
const REPLICA_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Deadline of the readiness ping. A proxy hardly waits longer for a probe, and treats a timeout as not ready.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// Pause before the version listener reconnects.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Connections for background work: two jobs, one of which may hold a lock besides its statements, the drain, the
/// worker and its listener.
const JOB_CONNECTIONS: u32 = 6;

/// How long background work waits for a connection.
const JOB_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long shutdown waits for database connections that are still in use.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Commit of the build, if the build provides it.
const REVISION: Option<&str> = option_env!("CINEGRAPH_REVISION");

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
    /// Connects to the configured database, or starts the embedded PostgreSQL.
    ///
    /// # Errors
    /// If the embedded PostgreSQL cannot be started, or a database URL is invalid.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let recorder =
            if config.metrics_enabled { Recorder::new().context("registering the metrics")? } else { Recorder::off() };
        let metrics = Metrics::new(recorder);
        let (embedded, url) = match &config.database_url {
            Some(url) => (None, url.expose().to_owned()),
            None => {
                let options = embedded_postgres::Options { data_dir: data_dir(&config), temporary: false };
                let cluster = EmbeddedPostgres::start(options)
                    .await
                    .context("starting the embedded PostgreSQL (set database_url to use another server)")?;
                let url = cluster.url(EMBEDDED_DATABASE);
                (Some(cluster), url)
            }
        };
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
        let versions = Versions::default();
        let mut store = Store::open(&settings, metrics.store.clone()).context("reading the database URL")?;
        if let Some(url) = &config.replica_url {
            let replica = ReplicaSettings {
                url: url.expose().to_owned(),
                max_lag: config.replica_max_lag,
                breaker: BreakerSettings::from(&config),
            };
            store = store
                .with_replica(&replica, &settings, versions.clone(), metrics.breakers.clone())
                .context("reading replica_url")?;
        }
        Ok(Self { config, store, versions, metrics, clock: Clock::system(), embedded })
    }

    /// Directory of the program's files: the embedded PostgreSQL, and the last result of `cinegraph prove`.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.config)
    }

    /// Number of statements executed so far.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.metrics.store.statements()
    }

    /// The use cases, over the current data versions. No version listener runs, so cached values miss later changes.
    ///
    /// # Errors
    /// If the database is unavailable or not migrated.
    pub async fn services(&self) -> anyhow::Result<Services> {
        self.store.installation().await?;
        let cache_context = self.cache_context()?;
        self.store.read_versions(&cache_context.versions).await?;
        Ok(Services::new(&self.store, &cache_context, &self.config, &self.metrics.breakers))
    }

    /// Dependencies that all caches share.
    fn cache_context(&self) -> anyhow::Result<CacheContext> {
        let open = |url: &Secret| {
            let breaker = BreakerSettings::from(&self.config);
            let settings = L2Settings { url: url.expose().to_owned(), timeout: self.config.redis_timeout, breaker };
            Redis::open(&settings, self.metrics.caches.clone(), self.metrics.breakers.clone())
        };
        let redis = self.config.redis_url.as_ref().map(open).transpose().context("reading redis_url")?;
        let (clock, metrics) = (self.clock.clone(), self.metrics.caches.clone());
        Ok(CacheContext { versions: self.versions.clone(), clock, metrics, redis })
    }

    /// Serves until `stop` is cancelled and for another `shutdown_delay_seconds`, during which readiness checks fail;
    /// then finishes the requests in flight. Calls `ready` with the addresses once both listen and the first page is
    /// cached.
    ///
    /// # Errors
    /// If the database is not migrated, or an address cannot be bound.
    pub async fn serve(
        &self,
        stop: &CancellationToken,
        options: ServeOptions,
        ready: impl FnOnce(Addresses),
    ) -> anyhow::Result<()> {
        self.store.installation().await?;
        self.check_admin_tokens()?;
        self.metrics.recorder.build_info(REVISION.unwrap_or("unknown"), &graphql::schema_hash());
        let cache_context = self.cache_context()?;
        let versions = cache_context.versions.clone();
        self.store.read_versions(&versions).await?;
        let services = Arc::new(Services::new(&self.store, &cache_context, &self.config, &self.metrics.breakers));
        let limits = QueryLimits {
            complexity: self.config.query_complexity_limit,
            introspection: self.config.introspection_enabled,
        };
        let warming = self.warming(&services);
        let executor = graphql::api(Arc::clone(&services), self.metrics.graphql.clone(), limits);
        let limits = OperationLimits {
            time: self.config.request_timeout,
            document: self.document_limits(),
            max_concurrent: self.config.http_concurrency_limit,
        };
        let mut pipeline = OperationPipeline::new(executor, self.metrics.graphql.clone(), limits)
            .with_trusted_documents(self.trusted_documents()?);
        if self.config.cache_enabled {
            pipeline = pipeline.with_response_cache(
                CacheLimits::from(&self.config).settings(CacheName::Responses, 40),
                &cache_context,
            );
        }
        let probe = probe(self.store.clone(), Some(services), stop.clone());
        let close = CancellationToken::new();
        let sockets = self.websocket_limiter(&close);
        let public = http::public(HttpState {
            pipeline,
            metrics: self.metrics.http.clone(),
            probe: probe.clone(),
            limits: HttpLimits {
                body_bytes: self.config.http_body_limit_bytes,
                body_read: self.config.http_body_timeout,
            },
            origins: self.allowed_origins(),
            cors_headers: self.config.cors_allowed_headers.clone().unwrap_or_default(),
            trusted_peers: self.config.trusted_peers.clone(),
            sockets: sockets.clone(),
            data_dir: self.data_dir(),
            explorer: self.config.graphiql_enabled.then(|| self.explorer()),
            runtime: Handle::current(),
        });
        let admin = http::admin(self.metrics.http.clone(), probe);
        let public_listener = listen("http_addr", self.config.http_addr).await?;
        let admin_listener = listen("admin_addr", self.config.admin_addr).await?;
        let addresses = Addresses { public: public_listener.local_addr()?, admin: admin_listener.local_addr()? };

        let threads = PerCoreRuntimes::start().context("starting the connection threads")?;
        let background = TaskTracker::new();
        background.spawn(close.clone().run_until_cancelled_owned(follow_versions(self.store.clone(), versions)));
        let upkeep = run_metrics_upkeep(self.store.clone(), self.metrics.recorder.clone(), cache_context.redis.clone());
        background.spawn(close.clone().run_until_cancelled_owned(upkeep));
        background.spawn(close.clone().run_until_cancelled_owned(poll_replica_lag(self.store.clone())));
        background.spawn(serve_admin(admin_listener, admin, close.clone()));
        if options.jobs {
            background.spawn(self.jobs().await?.run(stop.clone()));
        }
        if options.warming {
            warming.first().await;
            background.spawn(warming.run(stop.clone()));
        }
        background.close();

        ready(addresses);
        let served =
            tokio::spawn(http::serve(public_listener, public, self.connections(), threads.runtimes(), close.clone()));
        stop.cancelled().await;
        tokio::time::sleep(self.config.shutdown_delay.unwrap_or_default()).await;
        close.cancel();
        let finished = async {
            background.wait().await;
            sockets.closed().await;
            served.await
        };
        match tokio::time::timeout(self.config.shutdown_timeout, finished).await {
            Ok(served) => served.context("serving")?,
            Err(_) => tracing::warn!("requests were still in flight at the end of shutdown_timeout_seconds"),
        }
        Ok(())
    }

    /// Runs only background jobs until `stop` is cancelled. Calls `ready` with the address of metrics and health.
    ///
    /// # Errors
    /// If the database is not migrated, or the address cannot be bound.
    pub async fn run_worker(&self, stop: &CancellationToken, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
        let jobs = self.jobs().await?;
        self.metrics.recorder.build_info(REVISION.unwrap_or("unknown"), &graphql::schema_hash());
        let listener = listen("admin_addr", self.config.admin_addr).await?;
        let address = listener.local_addr()?;
        let admin = http::admin(self.metrics.http.clone(), probe(self.store.clone(), None, stop.clone()));
        let background = TaskTracker::new();
        let upkeep = run_metrics_upkeep(self.store.clone(), self.metrics.recorder.clone(), None);
        background.spawn(stop.clone().run_until_cancelled_owned(upkeep));
        background.spawn(serve_admin(listener, admin, stop.clone()));
        background.spawn(jobs.run(stop.clone()));
        background.close();

        ready(address);
        stop.cancelled().await;
        if tokio::time::timeout(self.config.shutdown_timeout, background.wait()).await.is_err() {
            tracing::warn!("jobs were still running at the end of shutdown_timeout_seconds");
        }
        Ok(())
    }

    /// Background jobs.
    async fn jobs(&self) -> anyhow::Result<Jobs> {
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

    fn warming(&self, services: &Arc<Services>) -> Warming {
        Warming {
            services: Arc::clone(services),
            store: self.store.clone(),
            target_lists: self.config.target_lists.clone(),
            metrics: self.metrics.tasks.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Limiter of WebSocket connections.
    fn websocket_limiter(&self, stop: &CancellationToken) -> ConnectionLimiter {
        let limits = WebSocketLimits {
            connections: self.config.websocket_connections_limit,
            subscriptions: self.config.websocket_subscriptions_limit,
            // The rest is for the closing handshakes.
            shutdown: self.config.shutdown_timeout.mul_f64(0.7),
            ..WebSocketLimits::default()
        };
        ConnectionLimiter::new(limits, self.allowed_origins(), stop.clone(), self.metrics.graphql.clone())
    }

    fn allowed_origins(&self) -> AllowedOrigins {
        self.config.cors_allowed_origins.clone().unwrap_or_default()
    }

    fn explorer(&self) -> Explorer {
        let schema = self.config.introspection_enabled.then(graphql::sdl);
        Explorer::new(self.config.graphiql_dir.clone(), schema)
    }

    fn document_limits(&self) -> DocumentLimits {
        DocumentLimits {
            nesting: self.config.query_nesting_limit,
            tokens: self.config.query_tokens_limit,
            fields: self.config.query_fields_limit,
            aliases: self.config.query_aliases_limit,
            root_fields: self.config.query_root_fields_limit,
            depth: self.config.query_depth_limit,
        }
    }

    fn connections(&self) -> ConnectionLimits {
        ConnectionLimits { connections: self.config.http_connections_limit, head_read: self.config.http_head_timeout }
    }

    /// Trusted documents of the manifest, if one is configured.
    fn trusted_documents(&self) -> anyhow::Result<TrustedDocuments> {
        let only = self.config.trusted_documents_only;
        let Some(path) = &self.config.trusted_documents_file else {
            anyhow::ensure!(!only, "trusted_documents_only needs trusted_documents_file");
            return Ok(TrustedDocuments::default());
        };
        let manifest = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let expected = "expected a JSON object of documents by id";
        let by_id = serde_json::from_str(&manifest).with_context(|| format!("{}: {expected}", path.display()))?;
        Ok(TrustedDocuments { by_id, only })
    }

    /// Rejects an invalid tokens file at startup rather than at the first mutation.
    fn check_admin_tokens(&self) -> anyhow::Result<()> {
        let Some(path) = &self.config.admin_tokens_file else { return Ok(()) };
        let admin = AdminTokens::read(path).context("reading admin_tokens_file")?;
        if let Some(warning) = &admin.warning {
            tracing::warn!(warning, "admin_tokens_file");
        }
        tracing::info!(tokens = admin.tokens.len(), "admin tokens read");
        Ok(())
    }

    /// Closes the connections and stops the embedded PostgreSQL.
    ///
    /// # Errors
    /// If the embedded PostgreSQL cannot be stopped.
    pub async fn stop(self) -> anyhow::Result<()> {
        // A statement that was interrupted may hold its connection until the server ends it.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::warn!("database connections were still in use when the program ended");
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await.context("stopping the embedded PostgreSQL")?;
        }
        Ok(())
    }
}

/// Directory of the program's files, by its settings.
#[must_use]
pub fn data_dir(config: &Config) -> PathBuf {
    config.data_dir.clone().unwrap_or_else(embedded_postgres::default_data_dir)
}

/// What an instance does besides serving requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// Background jobs (scores, snapshots).
    pub jobs: bool,
    /// Cache warming before the first request and after changes.
    pub warming: bool,
}

/// Addresses that the service listens on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The API.
    pub public: SocketAddr,
    /// Metrics and health, for operators.
    pub admin: SocketAddr,
}

/// Serves metrics and health to operators.
fn serve_admin(
    listener: TcpListener,
    admin: impl http::HttpService,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    http::serve(listener, admin, ConnectionLimits::default(), vec![Handle::current()], stop)
}

async fn listen(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listening = TcpListener::bind(address).await;
    listening.with_context(|| format!("listening on {address} (set {setting} to use another address)"))
}

/// Ready until shutdown begins, while the database responds or there are cached results to serve.
fn probe(store: Store, services: Option<Arc<Services>>, stop: CancellationToken) -> Probe {
    Probe::new(move || {
        let (store, services, stopping) = (store.clone(), services.clone(), stop.is_cancelled());
        async move {
            if stopping {
                return Readiness { ready: false, checks: vec![("running", Err("shutting down".to_owned()))] };
            }
            let database = match tokio::time::timeout(PING_LIMIT, store.ping()).await {
                Ok(pong) => pong.map_err(|error| error.to_string()),
                Err(_) => Err("no response".to_owned()),
            };
            let has_entries = services.is_some_and(|services| services.count_entries(None) > 0);
            Readiness { ready: database.is_ok() || has_entries, checks: vec![("database", database)] }
        }
    })
}

/// Keeps the data versions current; reconnects when the connection is lost.
async fn follow_versions(store: Store, versions: Versions) {
    loop {
        let followed = async { store.listen().await?.follow(&versions).await };
        if let Err(error) = followed.await {
            versions.mark_unknown();
            tracing::warn!(%error, "version listener lost; reconnecting");
        }
        tokio::time::sleep(LISTEN_RETRY_DELAY).await;
    }
}

/// Keeps the lag of the read replica current.
async fn poll_replica_lag(store: Store) {
    let mut every = tokio::time::interval(REPLICA_POLL_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        store.poll_replica_lag().await;
    }
}

async fn run_metrics_upkeep(store: Store, recorder: Recorder, redis: Option<Redis>) {
    let mut every = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        every.tick().await;
        recorder.upkeep();
        store.measure_pool();
        if let Some(redis) = &redis {
            redis.ping().await;
        }
    }
}
