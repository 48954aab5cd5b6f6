//! An instance from its start to its end: the service with its listeners, or a worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::{
    follow_embedded_postgres, follow_versions, poll_replica_lag, run_metrics_upkeep, watch_pool, watch_servers,
};
use super::shutdown::{Shutdown, finish};
use super::{App, readiness, status};
use crate::cache::CacheContext;
use crate::config::{AdminTokens, AllowedHosts};
use crate::graphql;
use crate::http::{self, ConnectionLimits, HttpService, PerCoreRuntimes, Probe};
use crate::services::Services;
use crate::store::StoreError;

/// How long an instance waits at its start for a database that is unavailable. After that it ends with an error, so that
/// whoever started it hears of a server that does not exist. A choice: longer than a restart or a failover takes.
const DATABASE_WAIT: Duration = Duration::from_mins(1);

/// Pause between two attempts to reach the database at the start. A choice: an attempt may take seconds by itself.
const DATABASE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Commit of the build, if the build provides it.
const REVISION: Option<&str> = option_env!("CINEGRAPH_REVISION");

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

impl App {
    /// Serves until `stop` is cancelled. Readiness checks then fail, and the instance serves for another
    /// `shutdown_delay_seconds`. After that it accepts no connections, and finishes the requests in flight within
    /// `shutdown_timeout_seconds`.
    ///
    /// Calls `ready` with the addresses when both listeners are bound. With warming, first waits until the first page
    /// is cached, for at most two seconds.
    ///
    /// # Errors
    /// If the database is not migrated, or unavailable for a minute, a file that a setting names is invalid, or an
    /// address cannot be bound.
    pub async fn serve(
        &self,
        stop: &CancellationToken,
        options: ServeOptions,
        ready: impl FnOnce(Addresses),
    ) -> anyhow::Result<()> {
        // `stop` also ends the preparation: a database that does not respond must not delay the shutdown.
        let Some(prepared) = stop.run_until_cancelled(Box::pin(self.prepare())).await else { return Ok(()) };
        let (cache_context, services) = prepared?;
        let shutdown = Shutdown::new(stop, &self.config);
        let probe = readiness::probe(self.store.clone(), Some(Arc::clone(&services)), stop.clone());
        let state = self.http_state(&services, &cache_context, probe.clone(), &shutdown.close)?;
        let websocket_limiter = state.websocket_limiter.clone();
        let (public, admin) = self.listen().await?;
        let addresses = Addresses { public: public.local_addr()?, admin: admin.local_addr()? };
        let service = self.check_hosts(http::public(state), addresses.public);

        // Dropped, and so stopped, at the end of this function, when the connections have ended.
        let threads = PerCoreRuntimes::start().context("starting the connection threads")?;
        let background = TaskTracker::new();
        self.spawn_loops(&background, cache_context, &shutdown.close);
        background.spawn(self.serve_admin((admin, addresses.admin), probe, &shutdown.close));
        if options.jobs {
            background.spawn(self.jobs().await?.run(stop.clone()));
        }
        if options.warming {
            // Clients that connect during this time wait in the backlog of the public listener.
            let warming = self.warming(&services);
            // Boxed because the future is large.
            stop.run_until_cancelled(Box::pin(warming.first_page())).await;
            background.spawn(warming.run(stop.clone()));
        }
        // `TaskTracker::wait`, which is called below, returns only if the tracker is closed.
        background.close();

        ready(addresses);
        let limits = self.connection_limits();
        let served = tokio::spawn(http::serve(public, service, limits, threads.runtimes(), shutdown.close.clone()));
        shutdown.wait_and_close().await;
        let in_flight = async {
            background.wait().await;
            websocket_limiter.closed().await;
            served.await
        };
        let served = finish(self.config.shutdown_timeout, "requests or jobs were still running", in_flight).await;
        // An error means that the task of the public listener has panicked. A timeout has been logged and is no error.
        served.transpose().context("serving")?;
        Ok(())
    }

    /// Checks the database and the file of admin tokens, reads the data versions and creates the services.
    async fn prepare(&self) -> anyhow::Result<(CacheContext, Arc<Services>)> {
        // Settings first: a wrong one must not be found only after a minute.
        self.check_admin_tokens()?;
        let cache_context = self.cache_context()?;
        self.await_database().await?;
        self.record_build_info();
        self.store.read_versions(&cache_context.versions).await?;
        let services = Services::new(&self.store, &cache_context, &self.config, &self.metrics.breakers);
        Ok((cache_context, Arc::new(services)))
    }

    /// Checks that the database is migrated. Waits for a database that is unavailable: in a rollout or after a power cut,
    /// it may start later than its instances.
    async fn await_database(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut is_logged = false;
        loop {
            match self.store.installation().await {
                Err(StoreError::Unavailable(error)) if started.elapsed() < DATABASE_WAIT => {
                    if !is_logged {
                        tracing::warn!(%error, limit_s = DATABASE_WAIT.as_secs(), "waiting for the database");
                        is_logged = true;
                    }
                    tokio::time::sleep(DATABASE_RETRY_DELAY).await;
                }
                checked => return checked.map(|_| ()),
            }
        }
    }

    /// Runs only background jobs, until `stop` is cancelled; running jobs then have `shutdown_timeout_seconds` to end.
    /// Calls `ready` with the address of metrics and health when it is bound.
    ///
    /// A worker has no caches, so it needs no version listener. Clients send it no requests, so it stops without
    /// `shutdown_delay_seconds`.
    ///
    /// # Errors
    /// If the database is not migrated, or unavailable for a minute, or the address cannot be bound.
    pub async fn run_worker(&self, stop: &CancellationToken, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
        let jobs = async {
            self.await_database().await?;
            self.jobs().await
        };
        let Some(jobs) = stop.run_until_cancelled(Box::pin(jobs)).await else { return Ok(()) };
        let jobs = jobs?;
        self.record_build_info();
        let listener = listen("admin_addr", self.config.admin_addr).await?;
        let address = listener.local_addr()?;
        let probe = readiness::probe(self.store.clone(), None, stop.clone());
        let background = TaskTracker::new();
        let upkeep = run_metrics_upkeep(self.store.clone(), self.metrics.recorder.clone(), None);
        background.spawn(stop.clone().run_until_cancelled_owned(upkeep));
        self.spawn_watchers(&background, stop);
        background.spawn(self.serve_admin((listener, address), probe, stop));
        background.spawn(jobs.run(stop.clone()));
        background.close();

        ready(address);
        stop.cancelled().await;
        finish(self.config.shutdown_timeout, "jobs were still running", background.wait()).await;
        Ok(())
    }

    /// Rejects an invalid tokens file at startup rather than at the first mutation. The tokens are not kept: every
    /// authentication reads the file again.
    fn check_admin_tokens(&self) -> anyhow::Result<()> {
        let Some(path) = &self.config.admin_tokens_file else { return Ok(()) };
        let admin = AdminTokens::read(path).context("reading admin_tokens_file")?;
        if let Some(warning) = &admin.warning {
            tracing::warn!(warning, "admin tokens file has unsafe permissions");
        }
        tracing::info!(tokens = admin.tokens.len(), "admin tokens read");
        Ok(())
    }

    fn record_build_info(&self) {
        self.metrics.recorder.build_info(REVISION.unwrap_or("unknown"), &graphql::schema_hash());
    }

    /// Binds the public and the admin address, and returns their listeners in this order.
    async fn listen(&self) -> anyhow::Result<(TcpListener, TcpListener)> {
        let public = listen("http_addr", self.config.http_addr).await?;
        Ok((public, listen("admin_addr", self.config.admin_addr).await?))
    }

    fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections: self.config.http_connections_limit,
            head_read: self.config.http_head_timeout,
            write: self.config.http_write_timeout,
        }
    }

    /// Starts the loops of a service. They end with `close`, the second step of the shutdown, because requests are
    /// served until then.
    fn spawn_loops(&self, background: &TaskTracker, cache_context: CacheContext, close: &CancellationToken) {
        let CacheContext { versions, redis, .. } = cache_context;
        let upkeep = run_metrics_upkeep(self.store.clone(), self.metrics.recorder.clone(), redis);
        background.spawn(close.clone().run_until_cancelled_owned(follow_versions(self.store.clone(), versions)));
        background.spawn(close.clone().run_until_cancelled_owned(upkeep));
        background.spawn(close.clone().run_until_cancelled_owned(poll_replica_lag(self.store.clone())));
        background.spawn(close.clone().run_until_cancelled_owned(watch_pool(self.store.clone())));
        self.spawn_watchers(background, close);
    }

    /// Starts the loops of every instance that only measure, or follow the database server.
    fn spawn_watchers(&self, background: &TaskTracker, close: &CancellationToken) {
        background.spawn(close.clone().run_until_cancelled_owned(watch_servers(self.store.clone())));
        background.spawn(close.clone().run_until_cancelled_owned(self.freshness_gauges().run()));
        let delay = self.metrics.schedule_delay.clone().measure();
        background.spawn(close.clone().run_until_cancelled_owned(delay));
        self.spawn_embedded_follower(background, close);
    }

    /// If the database is the embedded PostgreSQL, starts the loop that finds it again after a restart on another port.
    fn spawn_embedded_follower(&self, background: &TaskTracker, close: &CancellationToken) {
        let Some(embedded) = &self.embedded else { return };
        let followed = follow_embedded_postgres(embedded.locator(), self.store.clone());
        background.spawn(close.clone().run_until_cancelled_owned(followed));
    }

    /// Wraps `service` so that it receives only requests for allowed hosts. If no hosts are configured, the address of
    /// the listener determines which ones are allowed.
    fn check_hosts<S: HttpService>(&self, service: S, listener: SocketAddr) -> impl HttpService + use<S> {
        let hosts = self.config.allowed_hosts.clone().unwrap_or_else(|| AllowedHosts::default_for(listener));
        http::check_hosts(service, hosts, self.metrics.http.clone())
    }

    /// Serves metrics, status and health to operators.
    fn serve_admin(
        &self,
        (listener, address): (TcpListener, SocketAddr),
        probe: Probe,
        close: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let status = status::probe(self.store.clone(), self.config.target_lists.clone(), self.metrics.clone());
        let admin = self.check_hosts(http::admin(self.metrics.http.clone(), probe, status), address);
        // Connections of this listener run on the main runtime, because the per-core runtimes are only for responses
        // that take microseconds.
        http::serve(listener, admin, ConnectionLimits::default(), vec![Handle::current()], close.clone())
    }
}

/// Binds `address`. `setting` is the setting that it comes from, for the error.
async fn listen(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listening = TcpListener::bind(address).await;
    listening.with_context(|| format!("listening on {address} (set {setting} to use another address)"))
}
