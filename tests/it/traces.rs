//! The traces of the running program, as a collector receives them.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;

use super::cli::{Server, get};
use super::support::{Collector, Movie, TestService, attributes, until, url};

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
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
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

    let task = collector.named("task cache_warm").unwrap();
    assert!(task.parent_span_id.is_empty());
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
