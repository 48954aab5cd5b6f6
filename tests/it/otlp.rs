//! Traces, metrics and logs of the running program, as a collector receives them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::http::Version;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::cli::{Server, cinegraph, get, stderr_of};
use super::support::{
    CertificateAuthority, Collector, Fault, Link, Movie, TestService, attributes, hex, text, until, url,
};
use super::traces::execute;

/// Exports all signals to this endpoint, soon.
fn exporting<'a>(endpoint: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let all = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    [&all[..], more].concat()
}

/// A predictions query whose response no cache has.
fn uncached(popular: u8) -> String {
    let others = "criticalAcclaim: 1, industryRecognition: 4, culturalImpact: 1, peopleQuality: 5";
    format!("{{ predictions(decade: 1990, weights: {{popularOpinion: {popular}, {others}}}) {{ nodes {{ score }} }} }}")
}

async fn movies(pool: &PgPool) -> TestService {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(pool).await;
    service.refresh().await;
    service
}

/// The warning about failed exports of a signal, if it has been logged.
fn failure(server: &Server, signal: &str) -> Option<String> {
    let lines = server.logged("telemetry export failed");
    let line = lines.into_iter().find(|line| line["signal"] == signal)?;
    Some(line["error"].as_str().unwrap().to_owned())
}

fn dropped(server: &Server, signal: &str, reason: &str) -> u64 {
    let (_, text) = get(&server.admin, "/metrics");
    let series = format!("cinegraph_telemetry_dropped_total{{signal=\"{signal}\",reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

/// All signals of one request, by this protocol, compressed, over TLS with a certificate on both sides.
async fn arrives(pool: PgPool, protocol: &str, version: Version, paths: [&str; 3]) {
    let _service = movies(&pool).await;
    let authority = CertificateAuthority::new();
    let (clients, server_identity) = (CertificateAuthority::new(), authority.issue("IP:127.0.0.1"));
    let client = clients.issue("DNS:client");
    let collector = Collector::with_tls(&server_identity, &clients.certificate()).await;
    let endpoint = format!("https://{}", collector.address);
    let (trusted, certificate, key) = (authority.certificate(), client.certificate, client.key);
    let security = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret,x-tenant=films"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.to_str().unwrap()),
        ("OTEL_SERVICE_NAME", "films-eu"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=eu%2Cwest,service.name=other"),
    ];
    let server = Server::with(&url(&pool), &exporting(&endpoint, &security));

    let (trace, _) = execute(&server, &uncached(2));
    let spans = collector.whole(&trace).await;
    until("the line of the operation has arrived", async || {
        collector.lines(&trace).iter().any(|line| text(line.body.as_ref()) == "graphql operation")
    })
    .await;
    execute(&server, &uncached(2));
    until("the metrics have arrived", async || collector.sum("cinegraph_prediction_duration_seconds", &[]) >= 2.0)
        .await;

    // One trace id, and the line is one of a span that arrived.
    let lines = collector.lines(&trace);
    let line = lines.iter().find(|line| text(line.body.as_ref()) == "graphql operation").unwrap();
    assert!(spans.iter().any(|span| span.span_id == line.span_id), "{} is no span", hex(&line.span_id));
    assert_eq!(line.severity_text, "INFO");
    let fields = attributes(&line.attributes);
    assert_eq!(fields["outcome"], "ok", "{fields:?}");
    assert!(spans.iter().any(|span| span.kind() == SpanKind::Server));

    assert_equal_metrics(&collector, &server).await;

    let sent = collector.sent();
    let used: BTreeSet<_> = sent.iter().map(|sent| sent.path.as_str()).collect();
    assert_eq!(used, BTreeSet::from(paths));
    for export in &sent {
        assert_eq!(export.version, version);
        assert_eq!(export.headers["authorization"], "Bearer secret");
        assert_eq!(export.headers["x-tenant"], "films");
        let encoding = if protocol == "grpc" { "grpc-encoding" } else { "content-encoding" };
        assert_eq!(export.headers[encoding], "gzip");
    }
    for resource in collector.resources() {
        assert_eq!(resource["service.name"], "films-eu");
        assert_eq!(resource["deployment.environment.name"], "eu,west");
        assert_eq!(resource["telemetry.sdk.language"], "rust");
        for name in ["service.version", "service.instance.id", "telemetry.sdk.name", "telemetry.sdk.version"] {
            assert!(resource.contains_key(name), "{name} in {resource:?}");
        }
    }
    assert!(server.logged("telemetry export failed").is_empty());
    assert!(server.logged("some OTEL_* variables are not honoured").is_empty());
}

/// Both have the same metrics with the same series, and the hit ratio of requests is the same.
async fn assert_equal_metrics(collector: &Collector, server: &Server) {
    let (_, text) = get(&server.admin, "/metrics");
    let scraped: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let exported = collector.metrics();
    assert_eq!(exported.iter().map(|metric| metric.name.as_str()).collect::<BTreeSet<_>>(), scraped);

    let count = |labels: &str| -> f64 {
        let series = format!("cinegraph_prediction_duration_seconds_count{{{labels}");
        let values = text.lines().filter(|line| line.starts_with(&series)).map(|line| line.rsplit_once(' ').unwrap().1);
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    };
    let scraped_ratio = 1.0 - count("source=\"database\"") / count("");
    until("the hit ratio is the same", async || {
        let of = |labels: &[(&str, &str)]| collector.sum("cinegraph_prediction_duration_seconds", labels);
        1.0 - of(&[("source", "database")]) / of(&[]) == scraped_ratio
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn all_signals_of_a_request_arrive_by_http(pool: PgPool) {
    arrives(pool, "http/protobuf", Version::HTTP_11, ["/v1/traces", "/v1/metrics", "/v1/logs"]).await;
}

#[sqlx::test(migrations = false)]
async fn all_signals_of_a_request_arrive_by_grpc(pool: PgPool) {
    let paths = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    ];
    arrives(pool, "grpc", Version::HTTP_2, paths).await;
}

#[sqlx::test(migrations = false)]
async fn each_signal_may_have_a_protocol_and_a_collector_of_its_own(pool: PgPool) {
    let _service = movies(&pool).await;
    let (traces, logs) = (Collector::start().await, Collector::start().await);
    let (endpoint, own) = (format!("http://{}", traces.address), logs.address.to_string());
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_LOGS_EXPORTER", "otlp,console"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        // An endpoint of gRPC may have no scheme.
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", own.as_str()),
        ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "2"),
    ];
    let server = Server::with(&url(&pool), &settings);

    let (trace, _) = execute(&server, "query Genres { genres { name } }");
    let spans = traces.whole(&trace).await;
    until("the line has arrived", async || !logs.lines(&trace).is_empty()).await;

    let values = spans.iter().flat_map(|span| attributes(&span.attributes)).filter(|(name, _)| name == "url.path");
    assert_eq!(values.map(|(_, value)| value).collect::<Vec<_>>(), ["/grap"]);
    let line = &logs.lines(&trace)[0];
    assert_eq!(line.attributes.len(), 2);
    assert!(line.dropped_attributes_count > 0);
    assert!(traces.all_lines().is_empty() && traces.metrics().is_empty());
}

#[sqlx::test(migrations = false)]
async fn temporary_failures_are_tried_again(pool: PgPool) {
    let _service = movies(&pool).await;
    for (protocol, faults) in [
        ("http/protobuf", [Fault::Status(503), Fault::RetryAfter(1)]),
        ("grpc", [Fault::Code(tonic::Code::Unavailable), Fault::Code(tonic::Code::Aborted)]),
    ] {
        let collector = Collector::start().await;
        collector.fail(&faults);
        let endpoint = format!("http://{}", collector.address);
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        let server = Server::with(&url(&pool), &settings);

        let (trace, _) = execute(&server, "{ genres { name } }");
        collector.whole(&trace).await;

        assert!(collector.sent().len() > faults.len());
        assert_eq!(dropped(&server, "spans", "export_failed"), 0);
        assert_eq!(failure(&server, "spans"), None);
    }
}

#[sqlx::test(migrations = false)]
async fn final_failures_are_counted_and_logged_with_their_cause(pool: PgPool) {
    let _service = movies(&pool).await;
    for (protocol, fault, cause) in [
        ("http/protobuf", Fault::Status(400), "response status 400 Bad Request: not now"),
        ("http/protobuf", Fault::Status(500), "response status 500 Internal Server Error: not now"),
        ("grpc", Fault::Code(tonic::Code::Unauthenticated), "gRPC status UNAUTHENTICATED: not now"),
    ] {
        let collector = Collector::start().await;
        collector.fail(&[fault; 100]);
        let endpoint = format!("http://{}", collector.address);
        let server = Server::with(&url(&pool), &exporting(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]));

        for signal in ["spans", "metrics", "logs"] {
            until("the failure is counted", async || {
                execute(&server, "{ genres { name } }");
                dropped(&server, signal, "export_failed") > 0
            })
            .await;
            until("the failure is logged", async || failure(&server, signal).is_some()).await;
            assert_eq!(failure(&server, signal).unwrap(), cause);
        }
        until("several exports have failed", async || collector.sent().len() > 10).await;
        assert_eq!(server.logged("telemetry export failed").len(), 3, "one line a minute for each signal");
        // The lines about exports are not exported.
        until("exports succeed", async || collector.all_lines().len() > 5 || collector.sent().len() > 120).await;
        let exported = collector.all_lines();
        assert!(exported.iter().all(|line| text(line.body.as_ref()) != "telemetry export failed"));
    }
}

#[sqlx::test(migrations = false)]
async fn an_untrusted_collector_gets_nothing(pool: PgPool) {
    let _service = movies(&pool).await;
    let (authority, other) = (CertificateAuthority::new(), CertificateAuthority::new());
    let collector = Collector::with_tls(&authority.issue("IP:127.0.0.1"), &authority.certificate()).await;
    let (endpoint, trusted) = (format!("https://{}", collector.address), other.certificate());
    let security = [("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.to_str().unwrap())];
    let server = Server::with(&url(&pool), &exporting(&endpoint, &security));

    execute(&server, "{ genres { name } }");

    until("the failure is logged", async || failure(&server, "spans").is_some()).await;
    let cause = failure(&server, "spans").unwrap();
    assert!(cause.starts_with("cannot connect: invalid peer certificate"), "{cause}");
    assert!(collector.sent().is_empty());
}

#[sqlx::test(migrations = false)]
async fn a_collector_that_was_unreachable_is_found_again(pool: PgPool) {
    let _service = movies(&pool).await;
    let collector = Collector::start().await;
    let link = Link::to(collector.address.port()).await;
    let endpoint = format!("http://{}", link.address);
    let server = Server::with(&url(&pool), &exporting(&endpoint, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]));
    execute(&server, "{ genres { name } }");
    until("an export arrives", async || !collector.sent().is_empty()).await;
    link.cut();
    until("the failure is logged", async || {
        execute(&server, "{ genres { name } }");
        failure(&server, "spans").is_some()
    })
    .await;
    assert_eq!(failure(&server, "spans").unwrap(), "no response within 300 ms");

    let arrived = collector.sent().len();
    link.restore();

    until("a trace arrives", async || {
        execute(&server, "{ genres { name } }");
        collector.sent()[arrived..].iter().any(|sent| sent.path == "/v1/traces")
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn a_connection_that_goes_silent_costs_nothing(pool: PgPool) {
    let _service = movies(&pool).await;
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start().await;
        let link = Link::to(collector.address.port()).await;
        let endpoint = format!("http://{}", link.address);
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "8000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        let server = Server::with(&url(&pool), &settings);
        let (before, _) = execute(&server, "{ genres { name } }");
        collector.whole(&before).await;

        // The connection in use is lost without notice, as by a firewall that forgets it. A new one works.
        link.cut();
        link.restore();
        let (after, _) = execute(&server, "{ genres { name } }");
        collector.whole(&after).await;

        assert_eq!(dropped(&server, "spans", "export_failed"), 0);
        assert_eq!(failure(&server, "spans"), None);
    }
}

#[sqlx::test(migrations = false)]
async fn a_collector_that_asks_for_time_gets_it(pool: PgPool) {
    let _service = movies(&pool).await;
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        // Less than the collector asks for, so that the export ends before the time is over.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    collector.fail(&[Fault::RetryAfter(6)]);
    let server = Server::with(&url(&pool), &settings);
    execute(&server, "{ genres { name } }");
    until("the failure is logged", async || failure(&server, "spans").is_some()).await;
    assert_eq!(failure(&server, "spans").unwrap(), "response status 429 Too Many Requests");
    let lost = dropped(&server, "spans", "export_failed");

    let (trace, _) = execute(&server, "{ genres { name } }");
    collector.whole(&trace).await;

    let sent: Vec<_> = collector.sent().iter().map(|sent| sent.at).collect();
    assert!(sent[1] - sent[0] >= Duration::from_millis(5_900), "the next one came after {:?}", sent[1] - sent[0]);
    assert_eq!(dropped(&server, "spans", "export_failed"), lost);
}

#[sqlx::test(migrations = false)]
async fn a_silent_collector_delays_the_end_by_seconds_only(pool: PgPool) {
    let _service = movies(&pool).await;
    // It accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut server = Server::with(&url(&pool), &exporting(&endpoint, &[]));
    execute(&server, "{ genres { name } }");

    let stopping = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(9), "it took {:?}", stopping.elapsed());
}

#[sqlx::test(migrations = false)]
async fn the_rest_is_exported_when_the_program_ends(pool: PgPool) {
    let _service = movies(&pool).await;
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let late = "3600000";
    let delays =
        [("OTEL_BSP_SCHEDULE_DELAY", late), ("OTEL_BLRP_SCHEDULE_DELAY", late), ("OTEL_METRIC_EXPORT_INTERVAL", late)];
    let settings: Vec<_> = exporting(&endpoint, &[])
        .into_iter()
        .filter(|(name, _)| !delays.iter().any(|(late, _)| late == name))
        .collect();
    let mut server = Server::with(&url(&pool), &[&settings[..], &delays].concat());
    let (trace, _) = execute(&server, "{ genres { name } }");
    assert!(collector.trace(&trace).is_empty());

    // On another thread, since the collector runs on this one.
    assert_eq!(spawn_blocking(move || server.stop()).await.unwrap(), Some(0));

    assert!(!collector.trace(&trace).is_empty() && !collector.lines(&trace).is_empty());
    assert!(collector.sum("graphql_server_request_duration_seconds", &[("outcome", "ok")]) >= 1.0);
}

#[test]
fn what_is_set_but_not_honoured_is_named() {
    let mut command = cinegraph("postgres://nobody@127.0.0.1:1/nothing", &["config"]);
    // More than equal lines a second are logged.
    let unknown: Vec<_> = (0..20).map(|number| format!("OTEL_UNKNOWN_{number}")).collect();
    command.envs(unknown.iter().map(|name| (name, "1")));
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_METRICS_EXPORTER", "statsd"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "5"),
        ("OTEL_LOG_LEVEL", "debug"),
    ];
    let output = command.envs(set).output().unwrap();

    let log = stderr_of(&output);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("some OTEL_* variables are not honoured"), "{log}");
    for name in set.iter().map(|(name, _)| *name).skip(1).chain(unknown.iter().map(String::as_str)) {
        assert!(log.contains(name), "{name} in {log}");
    }
    assert!(!log.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{log}");
}
