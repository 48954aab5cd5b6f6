//! Monitoring: every expression of dashboards and rules in a real Prometheus, and drills: a fault of a real server fires
//! its alert, which resolves after the fault.

mod instance;
mod prometheus;
mod scenarios;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use self::prometheus::{Pace, Prometheus};
use super::cli::{Server, get};
use super::faults::{TURN, catalogue};
use super::support::{LoadGenerator, RedisServer, Socket, until};

/// An alert waits for its window and its `for`, at most 15 minutes each here, both divided by sixty.
const PATIENCE: Duration = Duration::from_mins(1);

impl Prometheus {
    /// Waits until all of these fire; returns all that do.
    async fn fires(&self, alerts: &[&str], mut meanwhile: impl AsyncFnMut()) -> BTreeSet<String> {
        let began = Instant::now();
        loop {
            meanwhile().await;
            let firing = self.firing();
            if alerts.iter().all(|alert| firing.contains(*alert)) {
                let _ = writeln!(std::io::stderr(), "drill: {firing:?} after {:.0?}", began.elapsed());
                return firing;
            }
            assert!(began.elapsed() < PATIENCE, "{alerts:?} do not fire, but {firing:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until none of these fires.
    async fn ends(&self, alerts: &[&str]) {
        let began = Instant::now();
        while alerts.iter().any(|alert| self.firing().contains(*alert)) {
            assert!(began.elapsed() < PATIENCE, "of {alerts:?} still {:?}", self.firing());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn address(of: &str) -> SocketAddr {
    of.parse().unwrap()
}

/// Pages of five decades, cached after the first requests.
fn cached_page(number: u64) -> String {
    format!("{{ predictions(decade: {}) {{ nodes {{ rank score }} }} }}", 1950 + number % 5 * 10)
}

/// Every kind of operation, invalid ones included.
fn everything(number: u64) -> String {
    match number % 12 {
        0 => format!(
            "{{ predictions(decade: 1990, weights: {{popularOpinion: {number}, criticalAcclaim: 1, industryRecognition: 1, \
             culturalImpact: 1, peopleQuality: 1}}) {{ nodes {{ rank movie {{ title genres {{ name }} credits {{ id }} }} }} }} }}"
        ),
        1 => "{ nothing }".to_owned(),
        2 => "{ predictions(decade: 1995) { totalCount } }".to_owned(),
        3 => "{".to_owned(),
        4 => "mutation { refreshScores { id } }".to_owned(),
        5 => "{ validation { overall { accuracy } } profileComparison { winner { name } } }".to_owned(),
        6 => "{ profiles { name } lists { key } genres { name } status { dataVersion } }".to_owned(),
        7 => format!("{{ movies(titleContains: \"{:x}\") {{ nodes {{ title }} }} }}", number % 1000),
        8 => "{ confirmedAdditions(decade: 1980) { nodes { rank } } }".to_owned(),
        _ => cached_page(number),
    }
}

/// The sum of all series of one name with these labels.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let of_it =
        |line: &&str| line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label));
    metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Metric invariants that hold after any load, as documented for each metric.
#[track_caller]
fn assert_invariants(metrics: &str) {
    let all = |name| sum(metrics, name, &[]);
    let requests = sum(metrics, "http_server_request_duration_seconds_count", &["http_route=\"/graphql\""]);
    assert!(requests > 0.0);
    let counted = |surface: &str| sum(metrics, "cinegraph_slo_requests_total", &[&format!("surface=\"{surface}\"")]);
    assert_eq!(counted("api"), requests, "each request is good, bad or excluded");
    let of_page =
        |route: &str| sum(metrics, "http_server_request_duration_seconds_count", &[&format!("http_route=\"{route}\"")]);
    let pages = ["/", "/additions", "/validation", "/validation/{decade}", "/films/{id}"];
    assert_eq!(counted("page"), pages.into_iter().map(of_page).sum::<f64>(), "each page is good, bad or excluded");
    for cache in ["responses", "predictions", "validation", "films", "columns", "profiles"] {
        let of = format!("cache=\"{cache}\"");
        let lookups =
            |result: &str| sum(metrics, "cinegraph_cache_lookups_total", &[&of, &format!("result=\"{result}\"")]);
        let count = |name| sum(metrics, name, &[&of]);
        assert_eq!(lookups("miss"), count("cinegraph_cache_single_flight_total"), "{cache}: misses lead or follow");
        assert_eq!(
            lookups("stale"),
            count("cinegraph_cache_revalidations_total"),
            "{cache}: every stale hit starts a refresh"
        );
        assert_eq!(
            count("cinegraph_cache_lookups_total"),
            sum(metrics, "cinegraph_cache_layer_requests_total", &[&of, "layer=\"l1\""]),
            "{cache}: each lookup checks L1 first",
        );
    }
    for in_flight in [
        "http_server_active_requests",
        "graphql_server_request_active",
        "cinegraph_subscriptions_active",
        "db_client_connection_pending_requests",
    ] {
        assert_eq!(all(in_flight), 0.0, "{in_flight}");
    }
    for breaker in ["cache_l2", "score_table", "replica"] {
        let states = sum(metrics, "cinegraph_circuit_breaker_state", &[&format!("breaker=\"{breaker}\"")]);
        assert_eq!(states, 1.0, "{breaker} is in one state");
    }
    let series = metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut counts = std::collections::BTreeMap::<_, usize>::new();
    for line in series {
        *counts.entry(line.split(['{', ' ']).next().unwrap()).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count).unwrap();
    assert!(*most.1 <= 500 && counts.values().sum::<usize>() <= 5_000, "too many series: {most:?}");
}

/// Clients that disconnect in the middle of the request, and before the response.
async fn hang_up(to: SocketAddr) {
    let body = json!({ "query": everything(0) }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for share in [request.len() / 2, request.len() - 5, request.len()] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&request.as_bytes()[..share]).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dashboard_and_rule_expression_has_data_and_metric_invariants_hold() {
    let _turn = TURN.lock().await;
    let (database, redis) = (catalogue().await, RedisServer::start().await);
    let settings = [("CINEGRAPH_REDIS_URL", redis.url()), ("CINEGRAPH_REQUEST_TIMEOUT_SECONDS", "1".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::with(&database.url("postgres"), &settings);
    let prometheus = Prometheus::start(&[&server.admin], Pace::SIXTIETH, None).await;

    let clients = LoadGenerator::start(address(&server.public), 4, everything);
    let mut socket = Socket::open(address(&server.public)).await;
    socket.subscribe("1", "subscription { predictionStream(decade: 1990, limit: 10) { received } }").await;
    socket.next("1").await;
    let timings =
        r#"[{"phase":"ttfb","seconds":0.1},{"phase":"first_list","seconds":0.2},{"phase":"rerank","seconds":0.05}]"#;
    assert_eq!(server.post("/page/timings", timings).0, 204);
    // A few requests time out while `movies` is locked.
    let mut lock = PgConnection::connect(&database.url("postgres")).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE movies IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    until("a request has timed out", async || {
        hang_up(address(&server.public)).await;
        sum(&get(&server.admin, "/metrics").1, "cinegraph_graphql_errors_total", &["code=\"TIMEOUT\""]) > 0.0
    })
    .await;
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-dashboards.py");
    let began = Instant::now();
    let report = loop {
        let url = format!("http://{}", prometheus.address);
        let output = tokio::process::Command::new("python3").arg(&script).arg(url).output().await.unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            break report;
        }
        assert!(began.elapsed() < PATIENCE, "{report}");
    };
    // Metrics without values here: stale hits, the replica, and timeouts of pool waits.
    let unmeasured: Vec<_> = report.lines().filter(|line| line.contains("has no measurements")).collect();
    println!("{report}");
    assert!(unmeasured.len() < 10, "{unmeasured:#?}");

    drop(socket);
    clients.end().await;
    until("no other request is in flight", async || {
        sum(&get(&server.admin, "/metrics").1, "http_server_active_requests", &[]) < 1.5
    })
    .await;
    let metrics = get(&server.admin, "/metrics").1;
    assert_invariants(&metrics);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: scripts/install.sh test");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let lint = promtool.wait_with_output().unwrap();
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_fires_its_alert_and_the_alert_resolves_with_it() {
    let _turn = TURN.lock().await;
    let (database, redis) = (catalogue().await, RedisServer::start().await);
    let settings = [("CINEGRAPH_REDIS_URL", redis.url()), ("CINEGRAPH_DATABASE_MAX_CONNECTIONS", "6".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::with(&database.url("postgres"), &settings);
    let prometheus = Prometheus::start(&[&server.admin], Pace::SIXTIETH, None).await;
    let nothing = async || ();

    let readers = LoadGenerator::start(address(&server.public), 2, cached_page);
    until("the baseline of cache misses has data", async || {
        prometheus.series("avg_over_time(cinegraph:cache_misses:rate5m%5B6m%5D%20offset%2010s)") > 0
    })
    .await;
    let spike = ["CinegraphCacheMissSpike"];
    let everything_changed = async || {
        database
            .run("SELECT cinegraph.raise_version('scores', '', decade, true) FROM generate_series(1950, 1990, 10) AS decade")
            .await;
    };
    let firing = prometheus.fires(&spike, everything_changed).await;
    assert!(!firing.contains("CinegraphCacheL2Down") && !firing.contains("CinegraphDbQuerySlow"), "{firing:?}");
    prometheus.ends(&spike).await;

    let no_redis = ["CinegraphCacheL2Down", "CinegraphOptionalBreakerOpen"];
    redis.freeze();
    let firing = prometheus.fires(&no_redis, nothing).await;
    assert!(!firing.contains("CinegraphCircuitBreakerOpen"), "{firing:?}");
    redis.thaw();
    prometheus.ends(&no_redis).await;

    let no_table = ["CinegraphCircuitBreakerOpen"];
    database.run("ALTER TABLE cinegraph.movie_discovery_scores RENAME TO elsewhere").await;
    prometheus.fires(&no_table, everything_changed).await;
    database.run("ALTER TABLE cinegraph.elsewhere RENAME TO movie_discovery_scores").await;
    prometheus.ends(&no_table).await;
    readers.end().await;

    let slow = ["CinegraphDbQuerySlow"];
    let one = LoadGenerator::start(address(&server.public), 1, |number| {
        format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
    });
    // Every read of `movies` waits for about 0.3 s, because PostgreSQL grants locks in the order of requests.
    let mut lock = PgConnection::connect(&database.url("postgres")).await.unwrap();
    let slowness = tokio::spawn(async move {
        loop {
            let hold = "BEGIN; LOCK TABLE movies IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.3); COMMIT";
            sqlx::raw_sql(hold).execute(&mut lock).await.unwrap();
        }
    });
    let firing = prometheus.fires(&slow, nothing).await;
    slowness.abort();
    assert!(!firing.contains("CinegraphDbPoolSaturated"), "{firing:?}");
    prometheus.ends(&slow).await;
    one.end().await;

    let full = ["CinegraphDbPoolSaturated", "CinegraphDbPoolTimeouts"];
    let mut lock = PgConnection::connect(&database.url("postgres")).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE movies IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let many = LoadGenerator::start(address(&server.public), 16, |number| {
        format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
    });
    prometheus.fires(&full, nothing).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();
    many.end().await;
    prometheus.ends(&full).await;

    let frozen = ["CinegraphDbErrors"];
    let readers = LoadGenerator::start(address(&server.public), 4, everything);
    database.freeze();
    prometheus.fires(&frozen, nothing).await;
    database.thaw();
    prometheus.ends(&frozen).await;
    readers.end().await;
}
