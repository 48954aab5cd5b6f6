//! A service of its own for each test, on a database of its own, and films to put into it.

mod films;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use cinegraph::clock::Clock;
use cinegraph::config::{Config, Overrides};
use cinegraph::graphql::{self, ApiLimits};
use cinegraph::http::{self, HttpLimits, HttpState, Probe, Readiness};
use cinegraph::services::{Services, refresh};
use cinegraph::store::{DatabaseSettings, QUERY_NAMES, StatementLimits, Store, Versions};
use cinegraph::telemetry::{Inventory, Metrics};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};
use tower::ServiceExt;

pub(crate) use films::{Film, credit, nominee, person};

/// The service over one test's database, asked through its HTTP router.
pub(crate) struct TestService {
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) pool: PgPool,
    versions: Versions,
    config: Config,
    router: axum::Router,
}

/// The database of a test, migrated by our own migrations.
pub(crate) async fn migrated(pool: &PgPool, metrics: Metrics) -> Store {
    let store = open(&pool.connect_options(), metrics);
    store.migrate().await.unwrap();
    store
}

/// The database of a test as it is.
pub(crate) fn open(options: &PgConnectOptions, metrics: Metrics) -> Store {
    let second = std::time::Duration::from_secs(1);
    let settings = DatabaseSettings {
        url: options.to_url_lossy().to_string(),
        max_connections: 5,
        acquire_timeout: 30 * second,
        limits: StatementLimits { request: 30 * second, direct_query: 30 * second },
    };
    Store::open(&settings, metrics).unwrap()
}

/// A registry as the service has it.
pub(crate) fn metrics() -> Metrics {
    let fields = graphql::ROOT_FIELDS;
    Metrics::new(&Inventory { fields, loaders: graphql::LOADERS, queries: QUERY_NAMES }).unwrap()
}

impl TestService {
    /// Starts on an empty test database (`#[sqlx::test(migrations = false)]`).
    pub(crate) async fn on(pool: PgPool) -> Self {
        let metrics = metrics();
        let store = migrated(&pool, metrics.clone()).await;
        let config = Config::from_layers(None, [], &Overrides::default()).unwrap();
        let versions = Versions::default();
        let services = Arc::new(Services::new(&store, &versions, &config, &Clock::system()));
        let limits = ApiLimits {
            depth: config.query_depth_limit,
            complexity: config.query_complexity_limit,
            introspection: true,
        };
        let router = http::public(HttpState {
            executor: graphql::api(services, metrics.clone(), limits),
            metrics: metrics.clone(),
            probe: Probe::new(|| async { Readiness { ready: true, checks: vec![] } }),
            limits: HttpLimits { execution: std::time::Duration::from_secs(60), ..HttpLimits::default() },
            graphiql: true,
        });
        Self { store, metrics, pool, versions, config, router }
    }

    /// Computes everything that is derived, and lets the service see it.
    pub(crate) async fn refresh(&self) {
        refresh::person_quality(&self.store, &mut |_| ()).await.unwrap();
        self.refresh_scores().await;
    }

    /// The same without the quality of people, which another application may maintain.
    pub(crate) async fn refresh_scores(&self) {
        refresh::scores(&self.store, &mut |_| ()).await.unwrap();
        refresh::snapshot(&self.store, &self.config.target_lists, &mut |_| ()).await.unwrap();
        self.store.read_versions(&self.versions).await.unwrap();
    }

    /// Sends a query and returns the whole answer.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = Request::post("/graphql").header("content-type", "application/json").body(Body::from(body));
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Sends a query that must succeed and returns its data.
    #[track_caller]
    pub(crate) fn data(&self, query: &str) -> impl Future<Output = Value> {
        let asked = self.ask(query, json!({}));
        async move {
            let mut answer = asked.await;
            assert_eq!(answer.get("errors"), None, "{answer:#}");
            answer["data"].take()
        }
    }

    /// Sends a query that must fail and returns the code and field of its first error.
    pub(crate) async fn refusal(&self, query: &str) -> (String, Option<String>) {
        let answer = self.ask(query, json!({})).await;
        let extensions = &answer["errors"][0]["extensions"];
        let text = |key: &str| extensions[key].as_str().map(str::to_owned);
        (text("code").unwrap_or_else(|| panic!("no code in {answer:#}")), text("field"))
    }

    /// How many statements the service has run.
    pub(crate) fn statements(&self) -> u64 {
        self.metrics.upkeep();
        let count = |line: &str| {
            let rest = line.strip_prefix("db_client_operation_duration_seconds_count")?;
            rest.rsplit(' ').next()?.parse::<u64>().ok()
        };
        self.metrics.render().lines().filter_map(count).sum()
    }
}
