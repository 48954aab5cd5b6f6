//! Test fixtures: a service per test on its own database, real servers, clients and movies to insert.

mod certificates;
mod collector;
#[cfg(feature = "download")]
mod file_server;
mod link;
mod load_generator;
mod movies;
mod node;
mod postgres;
mod process;
mod proxy;
mod redis;
mod socket;
mod wait;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use chrono::TimeDelta;
use cinegraph::app::Metrics;
use cinegraph::cache::{CacheContext, CacheName, L2Settings, Redis};
use cinegraph::clock::{Clock, ClockHand};
use cinegraph::config::{AllowedOrigins, Config, Overrides};
use cinegraph::graphql::{self, OperationLimits, OperationPipeline, QueryLimits};
use cinegraph::http::{
    self, ConnectionLimiter, ConnectionLimits, Explorer, HttpLimits, HttpState, Probe, Readiness, TrustedPeers,
    WebSocketLimits,
};
use cinegraph::services::generate::{GenerateRequest, generate};
use cinegraph::services::{CacheLimits, Services, refresh};
use cinegraph::store::{DatabaseSettings, StatementLimits, Store};
use cinegraph::telemetry::Recorder;
use cinegraph::versions::Versions;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) use certificates::CertificateAuthority;
pub(crate) use collector::{Collector, Fault, attributes, hex, text};
#[cfg(feature = "download")]
pub(crate) use file_server::{Fault as FileFault, FileServer};
pub(crate) use link::Link;
pub(crate) use load_generator::{LoadGenerator, ResponseRecord, ResponseSource, count_by_source, send_once};
pub(crate) use movies::{Movie, credit, nominee, person, quality};
pub(crate) use node::NodeClient;
pub(crate) use postgres::PostgresServer;
pub(crate) use process::signal;
pub(crate) use proxy::{Proxy, free_address};
pub(crate) use redis::RedisServer;
pub(crate) use socket::Socket;
pub(crate) use wait::{until, within};
pub(crate) use world::{AnyMovie, TARGET, World};

/// The service on one test's database; requests go through its HTTP router.
pub(crate) struct TestService {
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) pool: PgPool,
    versions: Versions,
    config: Config,
    stop: CancellationToken,
    router: axum::Router,
    clock: ClockHand,
}

/// Opens the database of a test and applies Cinegraph's migrations.
pub(crate) async fn migrated(pool: &PgPool, metrics: Metrics) -> Store {
    let store = open(&pool.connect_options(), metrics);
    store.migrate().await.unwrap();
    store
}

/// Opens the database of a test without migrating it.
pub(crate) fn open(options: &PgConnectOptions, metrics: Metrics) -> Store {
    store(options.to_url_lossy().to_string(), Duration::from_secs(30), metrics)
}

/// A store for the database of a test.
pub(crate) fn store_of(pool: &PgPool) -> Store {
    open(&pool.connect_options(), metrics())
}

/// The URL of a test's database.
pub(crate) fn url(pool: &PgPool) -> String {
    pool.connect_options().to_url_lossy().to_string()
}

fn store(url: String, acquire_timeout: Duration, metrics: Metrics) -> Store {
    let limit = Duration::from_secs(30);
    let limits = StatementLimits { request: limit, direct_query: limit };
    Store::open(
        &DatabaseSettings { url, max_connections: 5, acquire_timeout, limits, direct_queries: 2 },
        metrics.store,
    )
    .unwrap()
}

/// The metrics of a service.
pub(crate) fn metrics() -> Metrics {
    Metrics::new(Recorder::new().unwrap())
}

impl TestService {
    /// Starts on an empty test database (`#[sqlx::test(migrations = false)]`), or with cold caches on one that a
    /// service has used.
    pub(crate) async fn on(pool: PgPool) -> Self {
        Self::sharing(pool, None).await
    }

    /// The same, with Redis as the shared cache.
    pub(crate) async fn sharing(pool: PgPool, redis: Option<&str>) -> Self {
        Self::with(pool, redis, None).await
    }

    /// The same, without Redis and with this setting.
    pub(crate) async fn configured(pool: PgPool, variable: &str, value: &str) -> Self {
        Self::with(pool, None, Some((variable, value))).await
    }

    /// The same, with the admin tokens in this file.
    pub(crate) async fn administered(pool: PgPool, redis: Option<&str>, tokens: &Path) -> Self {
        Self::with(pool, redis, Some(("CINEGRAPH_ADMIN_TOKENS_FILE", tokens.to_str().unwrap()))).await
    }

    /// On a migrated database, without patience for a connection to it.
    pub(crate) async fn impatient(pool: PgPool) -> Self {
        let metrics = metrics();
        let store = store(url(&pool), Duration::from_millis(300), metrics.clone());
        let service = Self::over(store, metrics, pool, None, None);
        service.see_changes().await;
        service
    }

    async fn with(pool: PgPool, redis: Option<&str>, setting: Option<(&str, &str)>) -> Self {
        let metrics = metrics();
        let store = migrated(&pool, metrics.clone()).await;
        let service = Self::over(store, metrics, pool, redis, setting);
        service.see_changes().await;
        service
    }

    /// Reads the data versions, as the service does on a notification.
    pub(crate) async fn see_changes(&self) {
        self.store.read_versions(&self.versions).await.unwrap();
    }

    /// Follows changes as the running service does, until the test ends.
    pub(crate) fn follow_versions(&self) {
        let (store, versions) = (self.store.clone(), self.versions.clone());
        tokio::spawn(async move { store.listen().await.unwrap().follow(&versions).await });
    }

    /// Starts with an unreachable database.
    pub(crate) fn without_database() -> Self {
        // Nothing listens on port 1.
        let (metrics, url) = (metrics(), "postgres://nobody@127.0.0.1:1/nothing");
        let pool = PgPool::connect_lazy(url).unwrap();
        Self::over(store(url.to_owned(), Duration::from_millis(50), metrics.clone()), metrics, pool, None, None)
    }

    fn over(store: Store, metrics: Metrics, pool: PgPool, redis: Option<&str>, setting: Option<(&str, &str)>) -> Self {
        let stop = CancellationToken::new();
        let variables = setting.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::from_layers(None, variables, &Overrides::default()).unwrap();
        let versions = Versions::default();
        let (clock, hand) = Clock::manual(Clock::system().now());
        let settings = |url: &str| L2Settings { url: url.to_owned(), timeout: Duration::from_millis(500) };
        let redis =
            redis.map(|url| Redis::open(&settings(url), metrics.caches.clone(), metrics.breakers.clone()).unwrap());
        let cache_context = CacheContext { versions: versions.clone(), clock, metrics: metrics.caches.clone(), redis };
        let services = Arc::new(Services::new(&store, &cache_context, &config, &metrics.breakers));
        let limits = QueryLimits { max_complexity: config.query_complexity_limit, introspection: true };
        let in_time = OperationLimits { timeout: Duration::from_mins(1), ..OperationLimits::default() };
        let service = http::public(HttpState {
            pipeline: OperationPipeline::new(
                graphql::api(services, metrics.graphql.clone(), limits),
                metrics.graphql.clone(),
                in_time,
            )
            .with_response_cache(CacheLimits::from(&config).settings(CacheName::Responses, 30), &cache_context),
            metrics: metrics.http.clone(),
            probe: Probe::new(|| async { Readiness { ready: true, checks: vec![] } }),
            limits: HttpLimits::default(),
            origins: AllowedOrigins::default(),
            cors_headers: vec![],
            trusted_peers: TrustedPeers::default(),
            websocket_limiter: ConnectionLimiter::new(WebSocketLimits::default(), stop.clone()),
            data_dir: PathBuf::from("/nowhere"),
            posters: config.poster_base_url.clone(),
            public_url: config.public_url.clone(),
            explorer: Some(Explorer::new(None, Some(graphql::sdl()))),
            runtime: Handle::current(),
        });
        let router = axum::Router::new().fallback_service(service);
        Self { store, metrics, pool, versions, config, stop, router, clock: hand }
    }

    /// Listens as the running service does, until the test ends.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
        tokio::spawn(http::serve(listener, self.router.clone(), limits, runtimes, self.stop.clone()));
        address
    }

    /// Recomputes all derived data and reads the new versions.
    pub(crate) async fn refresh(&self) {
        refresh::person_quality(&self.store, &mut |_| ()).await.unwrap();
        self.refresh_scores().await;
    }

    /// The same, without recomputing person quality.
    pub(crate) async fn refresh_scores(&self) {
        refresh::scores(&self.store, &mut |_| ()).await.unwrap();
        refresh::snapshot(&self.store, &self.config.target_lists, &mut |_| ()).await.unwrap();
        self.store.read_versions(&self.versions).await.unwrap();
        self.later(TimeDelta::days(1));
    }

    /// Advances the clock. After a day no cached entry may be served.
    pub(crate) fn later(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Generates a catalogue of this many movies and computes their scores.
    pub(crate) async fn fill(&self, movies: u32) {
        generate(&self.store, GenerateRequest { movies, seed: 1 }, &mut |_| ()).await.unwrap();
        self.refresh().await;
    }

    /// Sends a GET request.
    pub(crate) async fn get(&self, uri: &str) -> Response {
        self.router.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Reports timings as a browser does.
    pub(crate) async fn report(&self, timings: &str) -> StatusCode {
        let request = Request::post("/page/timings").header("content-type", "application/json");
        let request = request.body(Body::from(timings.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap().status()
    }

    /// Sends a query with additional headers and returns the HTTP response.
    pub(crate) async fn send(&self, query: &str, variables: Value, headers: &[(&str, &str)]) -> Response {
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.post(Body::from(body), &[&[("content-type", "application/json")], headers].concat()).await
    }

    /// Posts a body to `/graphql`.
    pub(crate) async fn post(&self, body: Body, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::post("/graphql");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    /// Sends a query and returns the GraphQL response.
    pub(crate) async fn execute(&self, query: &str, variables: Value) -> Value {
        let response = self.send(query, variables, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Sends a query that must succeed and returns its data.
    #[track_caller]
    pub(crate) fn data(&self, query: &str) -> impl Future<Output = Value> {
        let executed = self.execute(query, json!({}));
        async move {
            let mut response = executed.await;
            assert_eq!(response.get("errors"), None, "{response:#}");
            response["data"].take()
        }
    }

    /// Sends a query that must fail and returns the code and field of its first error.
    pub(crate) async fn refusal(&self, query: &str) -> (String, Option<String>) {
        let response = self.execute(query, json!({})).await;
        let extensions = &response["errors"][0]["extensions"];
        let text = |key: &str| extensions[key].as_str().map(str::to_owned);
        (text("code").unwrap_or_else(|| panic!("no code in {response:#}")), text("field"))
    }

    /// The number of statements that the service has run.
    pub(crate) fn statements(&self) -> u64 {
        self.counted("db_client_operation_duration_seconds_count", &[])
    }

    /// The sum of all series of one name that have these labels.
    pub(crate) fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics.recorder.upkeep();
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let count = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let of_it = series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label));
            of_it.then(|| value.parse::<u64>().ok()).flatten()
        };
        self.metrics.recorder.render().lines().filter_map(count).sum()
    }
}
