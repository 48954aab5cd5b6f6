//! The HTTP layer with a toy schema: responses, limits, traces, and metric invariants.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use async_graphql::{EmptySubscription, Error, ErrorExtensions, Object, Schema};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use cinegraph::config::AllowedOrigins;
use cinegraph::graphql::{GraphqlMetrics, OperationLimits, OperationPipeline, TrustedDocuments};
use cinegraph::http::{
    ConnectionLimiter, ConnectionLimits, Explorer, HttpLimits, HttpMetrics, HttpState, PerCoreRuntimes, Probe,
    Readiness, TrustedPeers, WebSocketLimits, admin, public, serve,
};
use cinegraph::telemetry::{LogFormat, Recorder, TelemetryGuard, log_panics, subscriber};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An operation timeout that no test reaches.
const ENOUGH: Duration = Duration::from_secs(10);

struct Query;

#[Object]
impl Query {
    async fn film(&self) -> &str {
        "Ran"
    }

    async fn released(&self, on: chrono::NaiveDate) -> String {
        on.to_string()
    }

    async fn never(&self) -> bool {
        pending().await
    }

    async fn missing(&self) -> Option<Result<bool, Error>> {
        Some(Err(coded("NOT_FOUND", "no such movie")))
    }

    async fn unavailable(&self) -> Option<Result<bool, Error>> {
        Some(Err(coded("SERVICE_UNAVAILABLE", "try again")))
    }

    async fn leaking(&self) -> Option<Result<bool, Error>> {
        Some(Err(Error::new("password of the database is hunter2")))
    }

    async fn panicking(&self) -> bool {
        break_down()
    }

    async fn thread(&self) -> Option<String> {
        thread::current().name().map(str::to_owned)
    }
}

fn break_down() -> bool {
    panic!("hunter2")
}

struct Mutation;

#[Object]
impl Mutation {
    async fn forget(&self) -> bool {
        true
    }
}

fn coded(code: &str, message: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// Maximum number of concurrent operations.
const CONCURRENCY: usize = 150;

/// The HTTP layer over the toy schema, with its own metrics registry.
struct Shell {
    public: Router,
    admin: Router,
    recorder: Recorder,
}

impl Shell {
    fn new() -> Self {
        Self::with(HttpLimits::default(), ENOUGH, true)
    }

    fn with(http: HttpLimits, execution: Duration, ready: bool) -> Self {
        Self::of(http, execution, ready, TrustedDocuments::default())
    }

    fn of(http: HttpLimits, execution: Duration, ready: bool, documents: TrustedDocuments) -> Self {
        let explorer = Explorer::new(Some(PathBuf::from("/nowhere")), Some("type Query".to_owned()));
        Self::exploring_with(http, execution, ready, documents, explorer)
    }

    fn exploring_with(
        http: HttpLimits,
        execution: Duration,
        ready: bool,
        documents: TrustedDocuments,
        explorer: Explorer,
    ) -> Self {
        let recorder = Recorder::new().unwrap();
        let graphql = GraphqlMetrics::new(&recorder, &["film", "never"], &[], &[]);
        let metrics = HttpMetrics::new(&recorder, graphql.clone());
        let probe = Probe::new(move || async move {
            let database = if ready { Ok(()) } else { Err("unreachable".to_owned()) };
            Readiness { ready, checks: vec![("database", database), ("migrations", Ok(()))] }
        });
        let limits = OperationLimits { timeout: execution, max_concurrent: CONCURRENCY, ..OperationLimits::default() };
        let pipeline = OperationPipeline::new(Schema::new(Query, Mutation, EmptySubscription), graphql, limits)
            .with_trusted_documents(documents);
        let state = HttpState {
            pipeline,
            metrics: metrics.clone(),
            probe: probe.clone(),
            limits: http,
            origins: AllowedOrigins::parse(["https://films.example"]).unwrap(),
            cors_headers: vec!["x-tenant".to_owned()],
            trusted_peers: TrustedPeers::new(&["10.0.0.0/8".parse().unwrap()]),
            websocket_limiter: ConnectionLimiter::new(WebSocketLimits::default(), CancellationToken::new()),
            data_dir: PathBuf::from("/nowhere"),
            posters: None,
            public_url: None,
            explorer: Some(explorer),
            runtime: Handle::current(),
        };
        Self {
            public: Router::new().fallback_service(public(state)),
            admin: admin(metrics, probe, Probe::new(|| async { json!({ "instance": {} }) })),
            recorder,
        }
    }

    fn exploring(explorer: Explorer) -> Self {
        Self::exploring_with(HttpLimits::default(), ENOUGH, true, TrustedDocuments::default(), explorer)
    }

    fn trusting(documents: TrustedDocuments) -> Self {
        Self::of(HttpLimits::default(), ENOUGH, true, documents)
    }

    async fn query(&self, query: &str) -> TestResponse {
        self.send(post(json!({ "query": query }).to_string())).await
    }

    async fn get(&self, uri: &str) -> TestResponse {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> TestResponse {
        TestResponse::of(&self.public, request).await
    }

    /// The value of one series.
    fn metric(&self, series: &str) -> u64 {
        self.sum(|have| have == series)
    }

    /// The sum of all series of one name.
    fn total(&self, name: &str) -> u64 {
        self.sum(|have| have.split('{').next() == Some(name))
    }

    fn sum(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let text = self.recorder.render();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| wanted(series));
        samples.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }

    /// Good, bad and excluded requests.
    fn slo(&self) -> [u64; 3] {
        ["good", "bad", "excluded"]
            .map(|result| self.metric(&format!("cinegraph_slo_requests_total{{surface=\"api\",result=\"{result}\"}}")))
    }

    fn in_flight(&self) -> u64 {
        self.total("http_server_active_requests") + self.total("graphql_server_request_active")
    }
}

struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl TestResponse {
    async fn of(router: &Router, request: Request<Body>) -> Self {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The code of the first error.
    fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

/// Waits until `fact` holds, at most 5 s.
async fn until(fact: impl Fn() -> bool) {
    let holds = async {
        while !fact() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), holds).await.unwrap();
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

/// With a single subscriber, tracing caches per log statement whether the first thread that reaches it listens, for all
/// threads. A second subscriber makes tracing check both.
static BYSTANDER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Requests have trace ids, as in the program, but no span is exported.
static TRACES: LazyLock<()> = LazyLock::new(|| {
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    opentelemetry::global::set_tracer_provider(provider);
});

/// Captures the log of this thread until dropped.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _scope: (DefaultGuard, TelemetryGuard),
}

impl Log {
    pub(crate) fn start() -> Self {
        LazyLock::force(&BYSTANDER);
        LazyLock::force(&TRACES);
        let lines = Arc::default();
        let writer = Writer(Arc::clone(&lines));
        let (subscriber, guard) = subscriber(LogFormat::Json, "info", move || writer.clone()).unwrap();
        Self { lines, _scope: (tracing::subscriber::set_default(subscriber), guard) }
    }

    fn operations(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["message"] == "graphql operation").collect()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn query_is_executed_by_post_and_by_get() {
    let shell = Shell::new();

    let posted = shell.query("{ film }").await;
    let got = shell.get("/graphql?query=query+A+%7Bfilm%7D+query+B+%7B__typename%7D&operationName=A").await;

    assert_eq!(posted.status, StatusCode::OK);
    assert_eq!(posted.header(header::CONTENT_TYPE), "application/json; charset=utf-8");
    assert_eq!(posted.json(), json!({ "data": { "film": "Ran" } }));
    assert_eq!(got.json(), posted.json());
}

#[tokio::test]
async fn variables_are_read_as_json_from_the_query_string() {
    let response = Shell::new()
        .get("/graphql?query=query($on:NaiveDate!)%7Breleased(on:$on)%7D&variables=%7B%22on%22:%221985-06-01%22%7D")
        .await;

    assert_eq!(response.json(), json!({ "data": { "released": "1985-06-01" } }));
}

#[tokio::test]
async fn a_subscription_by_plain_post_is_told_how_to_get_a_stream() {
    let response = Shell::new().query("subscription { film }").await;

    assert_eq!(response.code(), "GRAPHQL_VALIDATION_FAILED");
    assert!(response.text.contains("Accept: multipart/mixed;subscriptionSpec=1.0"), "{}", response.text);
}

#[tokio::test]
async fn every_outcome_has_its_code_and_counts_once() {
    let cases = [
        ("{ film }", "", "ok", [1, 0, 0]),
        ("{ film", "GRAPHQL_PARSE_FAILED", "rejected", [0, 0, 1]),
        ("{ flim }", "GRAPHQL_VALIDATION_FAILED", "rejected", [0, 0, 1]),
        ("subscription { film }", "GRAPHQL_VALIDATION_FAILED", "rejected", [0, 0, 1]),
        (r#"{ released(on: "soon") }"#, "BAD_USER_INPUT", "rejected", [0, 0, 1]),
        ("{ missing film }", "NOT_FOUND", "rejected", [0, 0, 1]),
        ("{ unavailable film }", "SERVICE_UNAVAILABLE", "partial", [0, 1, 0]),
        ("{ leaking film }", "INTERNAL", "partial", [0, 1, 0]),
        ("{ panicking }", "INTERNAL", "error", [0, 1, 0]),
    ];
    for (query, code, outcome, slo) in cases {
        let shell = Shell::new();

        let response = shell.query(query).await;

        assert_eq!(response.code(), code, "{query}: {}", response.text);
        assert!(!response.text.contains("hunter2"), "{query}: {}", response.text);
        assert_eq!(shell.slo(), slo, "{query}");
        assert_eq!(shell.total("graphql_server_request_duration_seconds_count"), 1, "{query}");
        let counted = shell.sum(|series| {
            series.starts_with("graphql_server_request_duration_seconds_count{")
                && series.contains(&format!("outcome=\"{outcome}\""))
        });
        assert_eq!(counted, 1, "{query} should be {outcome}");
        let errors = response.json()["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(shell.total("cinegraph_graphql_errors_total"), count(errors), "{query}");
        assert_eq!(shell.in_flight(), 0, "{query}");
    }
}

#[tokio::test]
async fn a_syntax_error_does_not_repeat_the_document() {
    let response = Shell::new().query(&format!("{{ film(a: \"{}\" ", "x".repeat(10_000))).await;

    assert_eq!(response.code(), "GRAPHQL_PARSE_FAILED");
    assert!(response.text.len() < 500, "{}", response.text);
    assert!(response.json()["errors"][0]["locations"][0]["line"] == 1, "{}", response.text);
}

#[tokio::test]
async fn circular_fragments_are_rejected() {
    let response = Shell::new().query("{ ...A } fragment A on Query { film ...B } fragment B on Query { ...A }").await;

    assert_eq!(response.code(), "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn body_without_an_operation_is_rejected_in_json() {
    let large = HttpLimits::default().body_bytes + 1;
    let text = Request::post("/graphql").header(header::CONTENT_TYPE, "text/plain").body("{}".into()).unwrap();
    let put = Request::put("/graphql").body(Body::empty()).unwrap();
    let cases = [
        (post("not json"), StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
        (post("[{\"query\":\"{ film }\"}]"), StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
        (post(vec![b' '; large]), StatusCode::PAYLOAD_TOO_LARGE, "BAD_USER_INPUT"),
        (text, StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_USER_INPUT"),
        (put, StatusCode::METHOD_NOT_ALLOWED, "BAD_USER_INPUT"),
        (Request::get("/graphql").body(Body::empty()).unwrap(), StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
    ];
    for (request, status, code) in cases {
        let shell = Shell::new();

        let response = shell.send(request).await;

        assert_eq!((response.status, response.code().as_str()), (status, code), "{}", response.text);
        assert_eq!(response.header(header::CONTENT_TYPE), "application/json; charset=utf-8");
        assert_eq!(shell.slo(), [0, 0, 1], "{status}");
        assert_eq!(shell.total("graphql_server_request_duration_seconds_count"), 0, "{status}");
    }
}

#[tokio::test]
async fn encoded_body_is_rejected_with_the_name_of_its_coding() {
    let shell = Shell::new();
    let body = "{\"query\":\"{ film }\"}";
    let encoded = |coding: &'static str| {
        let mut request = post(body);
        request.headers_mut().insert(header::CONTENT_ENCODING, coding.parse().unwrap());
        request
    };

    assert_eq!(shell.send(encoded("identity")).await.status, StatusCode::OK);
    for coding in ["gzip", "BR", "deflate, gzip"] {
        // Twice, and after the same bytes without a coding: a cached response must not hide the error.
        for _ in 0..2 {
            let response = shell.send(encoded(coding)).await;

            assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{coding}");
            assert_eq!(response.header(header::ACCEPT_ENCODING), "identity", "{coding}");
            assert!(response.text.contains(coding) && response.text.contains("uncompressed"), "{}", response.text);
        }
    }
    let mut get = Request::get("/graphql?query=%7Bfilm%7D").body(Body::empty()).unwrap();
    get.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
    assert_eq!(shell.send(get).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rejected_method_gets_the_allowed_ones() {
    let shell = Shell::new();

    let put = shell.send(Request::put("/graphql").body(Body::empty()).unwrap()).await;
    let mutation = shell.get("/graphql?query=mutation%7Bforget%7D").await;

    assert_eq!(put.header(header::ALLOW), "GET,HEAD,POST");
    assert_eq!((mutation.status, mutation.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
}

#[tokio::test]
async fn unknown_path_is_not_found_and_has_no_own_label() {
    let shell = Shell::new();

    let response = shell.get("/wp-login.php").await;

    assert_eq!((response.status, response.code().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
    assert_eq!(shell.slo(), [0; 3]);
    let series = r#"{http_request_method="GET",http_route="unmatched",http_response_status_code="404"}"#;
    assert_eq!(shell.metric(&format!("http_server_request_duration_seconds_count{series}")), 1);
}

#[tokio::test]
async fn unknown_path_is_a_page_for_browsers_and_json_for_clients() {
    let shell = Shell::new();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, media_type) in [
        (browser, "text/html; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
    ] {
        let request = Request::get("/nowhere/1990").header(header::ACCEPT, accept).body(Body::empty()).unwrap();

        let response = shell.send(request).await;

        assert_eq!(response.status, StatusCode::NOT_FOUND, "{accept}");
        assert_eq!(response.header(header::CONTENT_TYPE), media_type, "{accept}");
        assert_eq!(response.text.contains("Back to the predictions"), accept == browser, "{}", response.text);
    }
}

#[tokio::test]
async fn trailing_slash_of_a_page_redirects_to_the_page() {
    let response = Shell::new().get("/validation/1990/?profile=Cult").await;

    assert_eq!(response.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.header(header::LOCATION), "/validation/1990?profile=Cult");
}

#[tokio::test]
async fn operation_past_the_timeout_is_ended() {
    let log = Log::start();
    let shell = Shell::with(HttpLimits::default(), Duration::from_millis(20), true);

    let response = shell.query("{ never }").await;

    assert_eq!((response.status, response.code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "TIMEOUT"));
    assert_eq!(shell.slo(), [0, 1, 0]);
    assert_eq!(shell.in_flight(), 0);
    assert_eq!(log.operations()[0]["outcome"], "error");
}

#[tokio::test]
async fn stalled_body_times_out_with_408() {
    let shell = Shell::with(HttpLimits { body_read: Duration::from_millis(20), ..HttpLimits::default() }, ENOUGH, true);
    let stalled = Body::from_stream(futures_util::stream::pending::<Result<String, io::Error>>());

    let response = shell.send(post(stalled)).await;

    assert_eq!(response.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(shell.slo(), [0, 0, 1]);
}

#[tokio::test]
async fn disconnected_client_is_counted_as_cancelled() {
    let log = Log::start();
    let shell = Shell::new();

    let mut request = Box::pin(shell.query("query Wait { never }"));
    assert!(futures_util::poll!(&mut request).is_pending());
    until(|| shell.in_flight() == 2).await;
    drop(request);

    until(|| shell.in_flight() == 0).await;
    assert_eq!(shell.slo(), [0, 0, 1]);
    let series = r#"{graphql_operation_type="query",outcome="cancelled"}"#;
    assert_eq!(shell.metric(&format!("graphql_server_request_duration_seconds_count{series}")), 1);
    let [line] = log.operations().try_into().unwrap();
    assert_eq!(line["outcome"], "cancelled");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn metric_invariants_hold_under_any_load() {
    let shell = Shell::with(HttpLimits::default(), Duration::from_millis(20), true);
    let queries = ["{ film }", "{ missing }", "{ leaking film }", "{ panicking }", "{ never }", "{", "{ flim }"];

    let public = &shell.public;
    let load = (0..140).map(|n| async move {
        let request = post(json!({ "query": queries[n % queries.len()] }).to_string());
        let response = TestResponse::of(public, request);
        // Every tenth client disconnects at once.
        let patience = Duration::from_secs(if n % 10 == 0 { 0 } else { 5 });
        tokio::time::timeout(patience, response).await.is_ok()
    });
    futures_util::future::join_all(load).await;

    until(|| shell.in_flight() == 0).await;
    assert_eq!(shell.slo().iter().sum::<u64>(), 140);
    assert_eq!(shell.total("http_server_request_duration_seconds_count"), 140);
    // The pipeline may not have seen an operation whose client disconnected at once.
    assert!((140 - 14..=140).contains(&shell.total("graphql_server_request_duration_seconds_count")));
}

#[tokio::test]
async fn response_bytes_are_measured() {
    let shell = Shell::new();

    let response = shell.query("{ film }").await;

    let sum = shell.metric(r#"http_server_response_body_size_bytes_sum{http_route="/graphql"}"#);
    assert_eq!(sum, count(response.text.len()));
}

#[tokio::test]
async fn operation_is_one_log_line_in_its_callers_trace() {
    let log = Log::start();
    let shell = Shell::new();
    let mut request = post(
        json!({
            "query": "query Page($on: NaiveDate!) { a: film ...Rest } fragment Rest on Query { released(on: $on) missing }",
            "variables": { "on": "1985-06-01" },
        })
        .to_string(),
    );
    let traceparent = format!("00-{CALLERS_TRACE}-00f067aa0ba902b7-01");
    request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 1, 2, 3], 4321))));

    let response = shell.send(request).await;

    assert_eq!(response.header("x-trace-id"), CALLERS_TRACE);
    let [mut line] = log.operations().try_into().unwrap();
    assert!(!line.to_string().contains("1985"), "variables are not logged: {line}");
    assert!(line["duration_ms"].is_f64());
    for volatile in ["duration_ms", "timestamp", "span_id", "sampled", "version"] {
        assert!(line.as_object_mut().unwrap().remove(volatile).is_some(), "{volatile}");
    }
    assert_eq!(
        line,
        json!({
            "level": "INFO",
            "target": "cinegraph::graphql::operation",
            "message": "graphql operation",
            "service": "cinegraph",
            "trace_id": CALLERS_TRACE,
            "operation_type": "query",
            "operation_name": "Page",
            "root_fields": "film,other",
            "outcome": "rejected",
            "error_codes": "NOT_FOUND",
            "status": 200,
            "db_queries": 0,
            "db_ms": 0.0,
            "cache_hits": 0,
            "cache_stale": 0,
            "cache_misses": 0,
        })
    );
}

#[tokio::test]
async fn untrusted_peer_does_not_choose_the_trace_id() {
    let _log = Log::start();
    let shell = Shell::new();
    let mut request = post(json!({ "query": "{ film }" }).to_string());
    request.headers_mut().insert("traceparent", format!("00-{CALLERS_TRACE}-00f067aa0ba902b7-01").parse().unwrap());
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4321))));

    let response = shell.send(request).await;

    let trace = response.header("x-trace-id");
    assert!(trace.len() == 32 && trace != CALLERS_TRACE, "{trace}");
}

#[tokio::test]
async fn panic_is_one_log_line() {
    log_panics();
    let log = Log::start();
    let shell = Shell::new();

    let response = shell.query("{ panicking }").await;

    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    let [line] = log.operations().try_into().unwrap();
    assert_eq!(
        (line["outcome"].as_str(), line["trace_id"].as_str()),
        (Some("error"), Some(response.header("x-trace-id")))
    );
    let panics: Vec<Value> = log.lines().into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [panic] = panics.try_into().unwrap();
    assert_eq!((&panic["message"], &panic["exception.message"]), (&json!("panicked"), &json!("hunter2")));
    assert_eq!(panic["trace_id"], line["trace_id"]);
    assert!(!response.text.contains("hunter2"));
}

#[tokio::test]
async fn every_response_has_a_trace_id() {
    let _log = Log::start();
    let shell = Shell::new();
    let mut seen = Vec::new();

    for uri in ["/", "/graphiql", "/graphql", "/health/live", "/health/ready", "/nowhere"] {
        let response = shell.get(uri).await;
        seen.push(response.header("x-trace-id").to_owned());
    }

    assert!(seen.iter().all(|id| id.len() == 32), "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn browsers_that_open_the_api_are_redirected_to_the_explorer() {
    let shell = Shell::new();
    let open = async |uri: &str, accept: &str| {
        shell.send(Request::get(uri).header(header::ACCEPT, accept).body(Body::empty()).unwrap()).await
    };
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    let sent = open("/graphql", browser).await;

    assert_eq!((sent.status, sent.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/graphiql"));
    assert_eq!(open("/graphql", "*/*").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(open("/graphql?query=%7Bfilm%7D", browser).await.json()["data"]["film"], "Ran");
}

#[tokio::test]
async fn explorer_without_its_files_says_how_to_install_them() {
    let shell = Shell::new();

    let page = shell.get("/graphiql").await;

    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert!(page.text.contains("make explorer") && page.text.contains("type Query"), "{}", page.text);
    assert!(!page.text.contains("<script"), "{}", page.text);
    assert_eq!(shell.get("/graphiql/0123456789abcdef/graphiql.min.js").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn explorer_files_with_another_checksum_are_not_served() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["graphiql.min.js", "graphiql.min.css", "react.production.min.js", "react-dom.production.min.js"] {
        std::fs::write(dir.path().join(name), "alert(1)").unwrap();
    }
    let log = Log::start();
    let shell = Shell::exploring(Explorer::new(Some(dir.path().to_owned()), None));

    let page = shell.get("/graphiql").await;

    assert!(page.text.contains("make explorer"), "{}", page.text);
    assert!(log.lines().iter().any(|line| line["message"] == "GraphiQL is not served"), "{:?}", log.lines());
}

#[tokio::test]
async fn liveness_and_readiness_differ() {
    let (ready, not_ready) = (Shell::new(), Shell::with(HttpLimits::default(), ENOUGH, false));

    let fine = ready.get("/health/ready").await;
    let unfit = not_ready.get("/health/ready").await;

    assert_eq!(fine.status, StatusCode::OK);
    assert_eq!(fine.json(), json!({ "ready": true, "checks": { "database": "ok", "migrations": "ok" } }));
    assert_eq!(unfit.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unfit.json(), json!({ "ready": false, "checks": { "database": "unreachable", "migrations": "ok" } }));
    assert_eq!(unfit.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(not_ready.get("/health/live").await.status, StatusCode::OK);
    assert_eq!(ready.total("http_server_request_duration_seconds_count"), 0, "probes are not measured");
}

#[tokio::test]
async fn metrics_are_on_the_admin_listener_only() {
    let shell = Shell::new();
    let scrape = || Request::get("/metrics").body(Body::empty()).unwrap();

    let response = TestResponse::of(&shell.admin, scrape()).await;

    assert_eq!(response.header(header::CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
    assert!(response.text.contains("# TYPE cinegraph_slo_requests_total counter"));
    assert_eq!(shell.send(scrape()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn stopping_server_finishes_requests_in_flight() {
    let shell = Shell::with(HttpLimits::default(), Duration::from_millis(200), true);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
    let server = tokio::spawn(serve(listener, shell.public.clone(), limits, runtimes, stop.clone()));

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /graphql?query=%7Bnever%7D HTTP/1.1\r\nHost: cinegraph\r\n\r\n").await.unwrap();
    until(|| shell.in_flight() == 2).await;
    stop.cancel();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();

    assert!(response.starts_with("HTTP/1.1 504"), "{response}");
    assert!(server.await.is_ok());
    assert_eq!(shell.slo(), [0, 1, 0]);
}

#[tokio::test]
async fn a_client_that_closes_its_connection_is_cancelled() {
    let shell = Shell::new();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
    let server = tokio::spawn(serve(listener, shell.public.clone(), limits, runtimes, stop.clone()));

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /graphql?query=%7Bnever%7D HTTP/1.1\r\nHost: cinegraph\r\n\r\n").await.unwrap();
    until(|| shell.in_flight() == 2).await;
    drop(client);
    until(|| shell.in_flight() == 0).await;

    assert_eq!(shell.slo(), [0, 0, 1]);
    stop.cancel();
    assert!(server.await.is_ok());
}

#[tokio::test]
async fn media_type_decides_the_status_of_rejected_operations() {
    let shell = Shell::new();
    for (accept, content_type, status) in [
        ("application/json", "application/json; charset=utf-8", StatusCode::OK),
        (
            "application/graphql-response+json",
            "application/graphql-response+json; charset=utf-8",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        for query in ["{ film", "{ flim }"] {
            let mut request = post(json!({ "query": query }).to_string());
            request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
            let response = shell.send(request).await;
            assert_eq!((response.status, response.header(header::CONTENT_TYPE)), (status, content_type), "{query}");
            assert!(
                response.json().get("data").is_none() && response.text.starts_with("{\"errors\""),
                "{}",
                response.text
            );
        }
    }
    let mut request = post(json!({ "query": "{ film }" }).to_string());
    request.headers_mut().insert(header::ACCEPT, "text/html".parse().unwrap());
    assert_eq!(shell.send(request).await.status, StatusCode::NOT_ACCEPTABLE);
    let rejected = |reason: &str| shell.metric(&format!("cinegraph_graphql_rejected_total{{reason=\"{reason}\"}}"));
    assert_eq!(["syntax", "validation"].map(rejected), [2, 2]);
}

#[tokio::test]
async fn operation_over_the_limit_gets_503_with_retry_after() {
    let shell = Arc::new(Shell::new());
    let waiting: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let shell = Arc::clone(&shell);
            tokio::spawn(async move { shell.query("{ never }").await })
        })
        .collect();
    until(|| shell.total("graphql_server_request_active") == count(CONCURRENCY)).await;

    let response = shell.query("{ film }").await;

    assert_eq!((response.status, response.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"));
    assert_eq!(response.header(header::RETRY_AFTER), "1");
    let page = shell.get("/").await;
    assert_eq!((page.status, page.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    until(|| shell.in_flight() == 0).await;
    assert_eq!(shell.query("{ film }").await.status, StatusCode::OK);
}

#[tokio::test]
async fn persisted_query_is_executed_by_its_hash() {
    let shell = Shell::new();
    let hash = "a0d2d5f5f1c7d0d0a4a9b2d1c3a7c2c2f2c6f7f3f1c3d2d6c3a8e1c9f1d2b3a4";
    let persisted = |hash: &str, query: Option<&str>| {
        let mut body = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
        if let Some(query) = query {
            body["query"] = query.into();
        }
        post(body.to_string())
    };
    assert_eq!(shell.send(persisted(hash, None)).await.json()["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(shell.send(persisted(hash, Some("{ film }"))).await.code(), "BAD_USER_INPUT");
    assert_eq!(shell.send(persisted("abc", None)).await.code(), "BAD_USER_INPUT");

    let hash = sha256("{ film }");
    assert_eq!(shell.send(persisted(&hash, None)).await.code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(shell.send(persisted(&hash, Some("{ film }"))).await.json()["data"]["film"], "Ran");
    assert_eq!(shell.send(persisted(&hash.to_uppercase(), None)).await.json()["data"]["film"], "Ran");
    let extensions = format!("%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{hash}%22%7D%7D");
    assert_eq!(shell.get(&format!("/graphql?extensions={extensions}")).await.json()["data"]["film"], "Ran");
}

#[tokio::test]
async fn trusted_documents_only_rejects_other_documents() {
    let shell =
        Shell::trusting(TrustedDocuments { by_id: [("film".to_owned(), "{ film }".to_owned())].into(), only: true });
    let send = async |body: Value| shell.send(post(body.to_string())).await;
    assert_eq!(send(json!({ "documentId": "film" })).await.json()["data"]["film"], "Ran");
    assert_eq!(send(json!({ "query": "{ film }" })).await.json()["data"]["film"], "Ran");
    let by_hash = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": sha256("{ film }") } } });
    assert_eq!(send(by_hash).await.json()["data"]["film"], "Ran");
    assert_eq!(send(json!({ "query": "{ __typename }" })).await.code(), "FORBIDDEN");
    assert_eq!(send(json!({ "documentId": "other" })).await.code(), "PERSISTED_QUERY_NOT_FOUND");
    let query = "{ __typename }";
    let sent =
        json!({ "query": query, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": sha256(query) } } });
    assert_eq!(send(sent).await.code(), "FORBIDDEN");
    assert_eq!(shell.metric("cinegraph_graphql_rejected_total{reason=\"auth\"}"), 2);
}

fn preflight(origin: &str, headers: &str) -> Request<Body> {
    Request::options("/graphql")
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, headers)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn preflights_allow_the_headers_of_graphql_clients_and_tracing() {
    let shell = Shell::new();
    let headers = "content-type,authorization,traceparent,tracestate,baggage,x-request-id,apollographql-client-name,\
                   Apollographql-Client-Version,x-tenant";
    let allowed = shell.send(preflight("https://films.example", headers)).await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://films.example");
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_HEADERS), headers);
}

#[tokio::test]
async fn rejected_preflights_name_the_setting() {
    let shell = Shell::new();
    let long = "x".repeat(5000);
    for (origin, headers, named) in [
        ("https://elsewhere.example", "content-type", "cors_allowed_origins"),
        ("http://films.example", "", "cors_allowed_origins"),
        ("null", "content-type", "cors_allowed_origins"),
        ("https://films.example", "content-type, x-other", "x-other is not in the setting cors_allowed_headers"),
        ("https://films.example", long.as_str(), "cors_allowed_headers"),
    ] {
        let rejected = shell.send(preflight(origin, headers)).await;
        assert_eq!((rejected.status, rejected.code().as_str()), (StatusCode::FORBIDDEN, "FORBIDDEN"), "{origin}");
        assert!(rejected.text.contains(named) && rejected.text.len() < 400, "{origin}: {}", rejected.text);
        assert_eq!(rejected.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
    }
}

#[tokio::test]
async fn only_responses_to_allowed_origins_can_be_read_by_their_pages() {
    let shell = Shell::new();
    let send_from = async |origin: &str| {
        let mut request = post(json!({ "query": "{ film }" }).to_string());
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        shell.send(request).await
    };
    let allowed = send_from("https://films.example").await;
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://films.example");
    let other = send_from("https://elsewhere.example").await;
    assert_eq!((other.status, other.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (StatusCode::OK, ""));
}

#[tokio::test]
async fn long_responses_are_compressed_with_the_accepted_encoding() {
    let shell = Shell::new();
    let introspection = "{ __schema { types { name description fields { name description } } } }";
    for encoding in ["gzip", "br"] {
        let mut request = post(json!({ "query": introspection }).to_string());
        request.headers_mut().insert(header::ACCEPT_ENCODING, encoding.parse().unwrap());
        let response = shell.public.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_ENCODING], encoding);
        assert!(response.headers()[header::VARY].to_str().unwrap().contains("accept-encoding"));
        let mut short = post(json!({ "query": "{ film }" }).to_string());
        short.headers_mut().insert(header::ACCEPT_ENCODING, encoding.parse().unwrap());
        assert_eq!(shell.send(short).await.header(header::CONTENT_ENCODING), "");
    }
}

#[tokio::test]
async fn request_keeps_its_request_id() {
    let shell = Shell::new();
    let named = async |id: &str| {
        let mut request = post(json!({ "query": "{ film }" }).to_string());
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        shell.send(request).await
    };
    let log = Log::start();
    assert_eq!(named("order-7.a").await.header("x-request-id"), "order-7.a");
    assert_eq!(log.operations()[0]["request_id"], "order-7.a");
    let other = named("two words").await;
    assert_eq!(other.header("x-request-id"), other.header("x-trace-id"));
}

#[tokio::test]
async fn uncached_requests_run_off_the_connection_threads() {
    let shell = Shell::new();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (threads, stop) = (PerCoreRuntimes::start().unwrap(), CancellationToken::new());
    let (limits, runtimes) = (ConnectionLimits::default(), threads.runtimes());
    let server = tokio::spawn(serve(listener, shell.public.clone(), limits, runtimes, stop.clone()));

    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET /graphql?query=%7Bthread%7D HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();

    let here = thread::current().name().unwrap().to_owned();
    assert!(response.ends_with(&json!({ "data": { "thread": here } }).to_string()), "{response}");
    stop.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn half_sent_heads_and_bodies_time_out() {
    let limits = HttpLimits { body_read: Duration::from_millis(100), ..HttpLimits::default() };
    let shell = Shell::with(limits, ENOUGH, true);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = ConnectionLimits { head_read: Duration::from_millis(100), ..ConnectionLimits::default() };
    let runtimes = vec![Handle::current()];
    tokio::spawn(serve(listener, shell.public.clone(), connections, runtimes, CancellationToken::new()));
    let head =
        "POST /graphql HTTP/1.1\r\nHost: cinegraph\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n";

    for (sent, expected) in [("POST /graphql HTTP/1.1\r\nHost: cin", ""), ("", ""), (head, "HTTP/1.1 408")] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        client.write_all(if sent == head { b"{" } else { b"" }).await.unwrap();
        let mut response = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), client.read_to_string(&mut response)).await;
        assert!(read.is_ok() && response.starts_with(expected), "{sent:?}: {response}");
    }
}

#[tokio::test]
async fn body_that_ends_too_early_is_a_bad_request() {
    let shell = Shell::new();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
    tokio::spawn(serve(listener, shell.public.clone(), limits, runtimes, CancellationToken::new()));
    let head = "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";

    for body in [
        "Content-Length: 20\r\n\r\n",
        "Content-Length: 20\r\n\r\n{\"query\":\"{ film }",
        "Content-Length: 400000\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"que",
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all((head.to_owned() + body).as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 400") && response.contains("ended before"), "{body:?}: {response}");
    }
    until(|| shell.in_flight() == 0).await;
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
