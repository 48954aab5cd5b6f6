//! The traces of the running program, as a collector receives them.

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;

use super::cli::{Server, get};
use super::support::{Collector, Movie, RedisServer, Socket, TestService, attributes, hex, until, url};

/// Names and kinds as an indented tree, in order of start. Without waits for a connection: only those above a
/// millisecond have a span, so they depend on the load of the machine.
fn tree(spans: &[Span]) -> String {
    fn below(spans: &[Span], parent: &[u8], depth: usize, text: &mut String) {
        let of_it = |span: &&Span| span.parent_span_id == parent && span.name != "db pool acquire";
        let mut children: Vec<_> = spans.iter().filter(of_it).collect();
        children.sort_by_key(|span| span.start_time_unix_nano);
        for span in children {
            let kind = match span.kind() {
                SpanKind::Server => " (server)",
                SpanKind::Client => " (client)",
                _ => "",
            };
            text.push_str(&format!("{}{}{kind}\n", "  ".repeat(depth), span.name));
            below(spans, &span.span_id, depth + 1, text);
        }
    }
    let mut text = String::new();
    below(spans, &[], 0, &mut text);
    text
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name.starts_with(name));
    let span = found.next().unwrap_or_else(|| panic!("no {name} in\n{}", tree(spans)));
    assert!(found.next().is_none(), "several {name} in\n{}", tree(spans));
    span
}

#[track_caller]
fn assert_integers(span: &Span, names: &[&str]) {
    for name in names {
        let attribute = span.attributes.iter().find(|attribute| attribute.key == *name);
        let value = attribute.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
        assert!(matches!(value, Some(any_value::Value::IntValue(_))), "{name} of {}: {value:?}", span.name);
    }
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// Executes a query; returns the trace id and `Cache-Status`.
pub(crate) fn execute(server: &Server, query: &str) -> (String, String) {
    let (status, head, _) = server.execute(&json!({ "query": query }).to_string());
    assert_eq!(status, 200);
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
        line.unwrap_or_default().trim_start_matches([':', ' ']).to_owned()
    };
    (header("x-trace-id"), header("cache-status"))
}

#[sqlx::test(migrations = false)]
async fn request_is_exported_as_a_tree_of_spans(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).popularity(9.0).insert(&pool).await;
    service.refresh().await;
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::with(&url(&pool), &settings);
    // Custom weights, because the service warms its caches for every profile.
    let weighed = |popular: u8, selection: &str| {
        let others = "criticalAcclaim: 1, industryRecognition: 4, culturalImpact: 1, peopleQuality: 5";
        let weights = format!("popularOpinion: {popular}, {others}");
        format!("query Page {{ predictions(decade: 1990, weights: {{{weights}}}) {{ nodes {{ {selection} }} }} }}")
    };

    let predictions = |selection: &str| weighed(3, selection);
    until("the caches are warm", async || collector.named("task cache_warm").is_some()).await;
    execute(&server, &weighed(2, "score movie { title }"));

    let cold = collector.whole(&execute(&server, &predictions("score movie { title }")).0).await;
    insta::assert_snapshot!("a cold query", tree(&cold));
    let operation = attributes(&one(&cold, "query").attributes);
    assert_eq!(operation["graphql.operation.type"], "query");
    assert_eq!(operation["cinegraph.graphql.outcome"], "ok");
    assert!(
        !operation["graphql.document"].contains('3'),
        "literals are not redacted: {}",
        operation["graphql.document"]
    );
    assert!(["cinegraph.graphql.complexity", "cinegraph.graphql.depth"].iter().all(|name| operation[*name] != "0"));
    let http = attributes(&one(&cold, "POST /graphql").attributes);
    assert_eq!(http["http.response.status_code"], "200");
    assert!(cold.iter().all(|span| !is_error(span)));

    let searched =
        collector.whole(&execute(&server, "{ movies(titleContains: \"Love\") { nodes { title } } }").0).await;
    insta::assert_snapshot!("a query of the database", tree(&searched));
    let statement = searched.iter().find(|span| span.kind() == SpanKind::Client).unwrap();
    assert_integers(statement, &["server.port", "db.response.returned_rows"]);
    assert_integers(one(&searched, "POST /graphql"), &["http.response.status_code", "server.port"]);
    assert_integers(one(&searched, "query"), &["cinegraph.graphql.complexity", "cinegraph.graphql.depth"]);
    let statement = attributes(&statement.attributes);
    for name in ["db.system.name", "db.namespace", "cinegraph.db.query_name"] {
        assert!(statement.get(name).is_some_and(|value| !value.is_empty()), "{name} in {statement:?}");
    }
    assert_eq!(statement["db.operation.name"], "SELECT");
    assert_eq!(statement["db.query.summary"], "SELECT movies_by_title");
    let text = &statement["db.query.text"];
    assert!(text.contains("$1") && !text.contains("Love"), "{text}");

    let cached = collector.whole(&execute(&server, &predictions("score movie { title }")).0).await;
    insta::assert_snapshot!("a cached query", tree(&cached));
    assert_eq!(attributes(&one(&cached, "cache get").attributes)["cinegraph.cache.result"], "hit_l1");

    let executed = collector.whole(&execute(&server, &predictions("rank")).0).await;
    insta::assert_snapshot!("a query executed from the result cache", tree(&executed));
    assert_eq!(executed.len(), 7);

    sqlx::query("SELECT cinegraph.raise_version('scores', '', 1990, false)").execute(&pool).await.unwrap();
    let mut stale = String::new();
    until("a stale response is served", async || {
        let (trace, how) = execute(&server, &predictions("rank"));
        stale = trace;
        how.contains("stale")
    })
    .await;
    let stale = collector.whole(&stale).await;
    insta::assert_snapshot!("a stale query", tree(&stale));
    until("the span of its refresh has arrived", async || collector.named("cache revalidate responses").is_some())
        .await;
    let refresh = collector.named("cache revalidate responses").unwrap();
    assert_ne!(refresh.trace_id, stale[0].trace_id);
    assert_eq!(refresh.links.iter().map(|link| &link.trace_id).collect::<Vec<_>>(), [&stale[0].trace_id]);

    sqlx::query("ALTER TABLE movies RENAME TO gone").execute(&pool).await.unwrap();
    let failing = collector.whole(&execute(&server, "{ movies(titleContains: \"Lo\") { nodes { title } } }").0).await;
    insta::assert_snapshot!("a failing query", tree(&failing));
    let statement = failing.iter().find(|span| span.kind() == SpanKind::Client && is_error(span)).unwrap();
    assert_eq!(attributes(&statement.attributes)["db.response.status_code"], "42P01");
    let operation = one(&failing, "query");
    assert!(is_error(operation) && attributes(&operation.attributes)["error.type"] == "INTERNAL");
    let refused = collector.whole(&execute(&server, "{ predictions(decade: 1995) { totalCount } }").0).await;
    assert!(refused.iter().all(|span| !is_error(span)), "a client error does not mark spans as failed");

    let weights = "criticalAcclaim: 1, industryRecognition: 2, culturalImpact: 1, peopleQuality: 5";
    let page = |n: u8| {
        let selection = "nodes { movie { genres { name } countries { name } } }";
        format!(
            "p{n}: predictions(decade: {}, weights: {{popularOpinion: {n}, {weights}}}) {{ {selection} }} ",
            1900 + u32::from(n) % 12 * 10
        )
    };
    let many = format!("{{ {} }}", (1..=30).map(page).collect::<String>());
    let truncated = collector.whole(&execute(&server, &many).0).await;
    assert_eq!(truncated.len(), 100);
    assert_eq!(attributes(&one(&truncated, "query").attributes)["cinegraph.trace.truncated"], "true");

    let loader = collector.starting("dataloader ").unwrap();
    assert_integers(&loader, &["graphql.dataloader.batch.size"]);
    let task = collector.named("task cache_warm").unwrap();
    assert!(task.parent_span_id.is_empty());
    assert_integers(&task, &["cinegraph.task.items"]);
    let task = attributes(&task.attributes);
    for name in ["cinegraph.task.name", "cinegraph.task.run_id", "cinegraph.task.outcome", "cinegraph.task.items"] {
        assert!(task.contains_key(name), "{name} in {task:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn unresponsive_collector_slows_no_request(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    // It accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::with(&url(&pool), &settings);
    let lost = |metrics: &str| {
        let series = "cinegraph_telemetry_dropped_total{signal=\"spans\",reason=\"queue_full\"} ";
        metrics.lines().any(|line| line.strip_prefix(series).is_some_and(|count| count != "0"))
    };

    until("dropped spans are counted", async || {
        let started = std::time::Instant::now();
        let (trace, _) = execute(&server, "{ profiles { name } }");
        assert_eq!(trace.len(), 32);
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "a request waited for the collector");
        lost(&get(&server.admin, "/metrics").1)
    })
    .await;
}

/// A server whose spans all arrive at `collector`.
fn traced(pool: &PgPool, collector: &Collector, settings: &[(&str, &str)]) -> Server {
    let endpoint = format!("http://{}", collector.address);
    let traces = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    Server::with(&url(pool), &[&traces, settings].concat())
}

#[sqlx::test(migrations = false)]
async fn polls_make_no_spans_and_lines_no_events(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let collector = Collector::start().await;
    let server = traced(&pool, &collector, &[]);
    let polls = || sum_of(&get(&server.admin, "/metrics").1, "db_client_operation_duration_seconds_count");
    until("the caches are warm", async || collector.named("task cache_warm").is_some()).await;

    // The queue, the versions and the servers are polled meanwhile.
    let before = polls();
    until("polls have run", async || polls() > before + 8.0).await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(get(&server.public, path).0, 200);
    }
    let _ = get(&server.admin, "/status");
    assert_eq!(server.request("GET", "/nowhere"), 404);
    assert_eq!(server.request("BREW", "/additions"), 405);
    let (last, _) = execute(&server, "{ profiles { name } }");
    collector.whole(&last).await;

    let spans = collector.spans();
    for root in spans.iter().filter(|span| span.parent_span_id.is_empty()) {
        let known = ["task ", "cache revalidate ", "POST /graphql", "GET", "HTTP /additions"];
        let is_known =
            known.iter().any(|name| if *name == "GET" { root.name == *name } else { root.name.starts_with(name) });
        assert!(is_known, "{} is a trace of its own", root.name);
    }
    assert!(spans.iter().all(|span| span.events.is_empty()), "lines are not events of spans");

    let unmatched = spans.iter().find(|span| span.name == "GET").unwrap();
    assert!(!attributes(&unmatched.attributes).contains_key("http.route"));
    let unknown = attributes(&spans.iter().find(|span| span.name == "HTTP /additions").unwrap().attributes);
    assert_eq!((&*unknown["http.request.method"], &*unknown["http.request.method_original"]), ("_OTHER", "BREW"));
    assert_eq!(unknown["http.route"], "/additions");
    let metrics = get(&server.admin, "/metrics").1;
    let counted =
        "http_server_request_duration_seconds_count{http_request_method=\"_OTHER\",http_route=\"/additions\",";
    assert!(metrics.contains(counted), "the method is `_OTHER` in the metric, too");
}

#[sqlx::test(migrations = false)]
async fn propagators_decide_whether_a_caller_is_followed(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for (propagators, is_followed) in
        [("tracecontext", true), ("baggage,tracecontext", true), ("baggage", false), ("none", false)]
    {
        let collector = Collector::start().await;
        let server = traced(&pool, &collector, &[("OTEL_PROPAGATORS", propagators)]);

        let body = json!({ "query": "{ profiles { name } }" }).to_string();
        let (status, head, _) = server.execute_in_trace(&format!("00-{trace}-{parent}-01"), &body);

        until("the request has arrived", async || collector.named("POST /graphql").is_some()).await;
        let span = collector.named("POST /graphql").unwrap();
        assert_eq!((status, hex(&span.trace_id) == trace), (200, is_followed), "{propagators}");
        assert_eq!(hex(&span.parent_span_id), if is_followed { parent } else { "" }, "{propagators}");
        assert_eq!(head.contains(trace), is_followed, "{propagators}: {head}");
        assert!(span.links.is_empty(), "{propagators}");
    }
}

#[sqlx::test(migrations = false)]
async fn statements_in_transactions_tell_their_text(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let collector = Collector::start().await;
    let server = traced(&pool, &collector, &[("CINEGRAPH_LOG_FILTER", "debug")]);
    // A job, whose request and work are transactions.
    sqlx::query("SELECT cinegraph.request_task('score_refresh', '0 seconds')").execute(&pool).await.unwrap();
    sqlx::query("UPDATE external_metrics SET value = 5").execute(&pool).await.unwrap();
    until("the tasks have run", async || {
        ["task score_drain", "task score_refresh"].iter().all(|name| collector.named(name).is_some())
    })
    .await;

    let statements = |task: &str| {
        let task = collector.named(task).unwrap();
        let spans = collector.trace(&hex(&task.trace_id)).into_iter();
        spans.filter(|span| span.kind() == SpanKind::Client).collect::<Vec<_>>()
    };
    for task in ["task score_drain", "task score_refresh"] {
        let spans = statements(task);
        assert!(!spans.is_empty(), "{task}");
        for span in spans {
            let told = attributes(&span.attributes);
            let [operation, text] = ["db.operation.name", "db.query.text"]
                .map(|name| told.get(name).unwrap_or_else(|| panic!("no {name} in {} of {task}: {told:?}", span.name)));
            assert_eq!(span.name, format!("{operation} {}", told["cinegraph.db.query_name"]));
            assert!(operation.starts_with(|first: char| first.is_ascii_uppercase()), "{operation}");
            assert!(!text.is_empty() && !text.starts_with("BEGIN"), "{text}");
        }
    }
    let drained = |text: &str| text.contains("DELETE FROM cinegraph.score_refresh_queue");
    let span = statements("task score_drain").into_iter().map(|span| attributes(&span.attributes));
    let span = span.into_iter().find(|span| drained(&span["db.query.text"])).expect("the queue is read");
    assert_eq!(span["cinegraph.db.query_name"], "task_scores");
    let is_logged = |line: &serde_json::Value| {
        line["level"] == "DEBUG" && line["query_name"] == "task_scores" && drained(line["sql"].as_str().unwrap_or(""))
    };
    assert!(server.log().iter().any(is_logged), "the text is in the log");
}

/// The sum of all series of one name.
fn sum_of(metrics: &str, name: &str) -> f64 {
    let of_it = metrics.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    of_it.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[sqlx::test(migrations = false)]
async fn spans_of_redis_name_the_server(pool: PgPool) {
    let (service, redis) = (TestService::on(pool.clone()).await, RedisServer::start().await);
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let collector = Collector::start().await;
    let server = traced(&pool, &collector, &[("CINEGRAPH_REDIS_URL", &redis.url())]);
    execute(&server, "{ predictions(decade: 1990, first: 3) { nodes { rank } } }");
    until("a span of Redis has arrived", async || collector.named("GET").is_some()).await;

    let span = collector.named("GET").unwrap();
    assert_eq!(span.kind(), SpanKind::Client);
    assert!(!span.parent_span_id.is_empty());
    assert_integers(&span, &["server.port"]);
    let span = attributes(&span.attributes);
    let expected = [
        ("db.system.name", "redis"),
        ("db.operation.name", "GET"),
        ("server.address", "127.0.0.1"),
        ("server.port", &redis.port().to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(span[name], value, "{name}");
    }
    assert!(collector.named("PING").is_none(), "a ping is no trace");
}

#[sqlx::test(migrations = false)]
async fn subscriptions_are_linked_to_their_connection(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let collector = Collector::start().await;
    let server = traced(&pool, &collector, &[]);

    let mut socket = Socket::open(server.public.parse().unwrap()).await;
    socket.subscribe("1", "subscription { predictionStream(decade: 1990, limit: 1) { __typename } }").await;
    socket.next("1").await;
    until("the subscription has arrived", async || collector.named("subscription").is_some()).await;

    let handshake = collector.named("GET /graphql/ws").unwrap();
    let subscription = collector.named("subscription").unwrap();
    assert!(subscription.parent_span_id.is_empty());
    assert_ne!(subscription.trace_id, handshake.trace_id);
    let links: Vec<_> = subscription.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(links, [(&handshake.trace_id, &handshake.span_id)]);
}
