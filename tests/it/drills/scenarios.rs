//! Scenarios on call: a fault, the alerts that must fire or stay silent, and when. They take minutes each: `make drills`.
//!
//! The first five run at real durations. For the others, Prometheus divides all durations by twenty, and so do they: a
//! scenario's traffic lasts a twentieth of the time at the same rate, because the thresholds are rates. Only what is
//! counted, such as one failed request in an hour, happens as often as it would.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::instance::Instance;
use super::prometheus::{Alertmanager, Pace, Prometheus, STARVED};
use crate::faults::catalogue;
use crate::support::{PostgresServer, send_once, until};

/// Requests that differ, each of which is one entry of the cache `responses`: at most a thousand.
fn page(number: u64) -> String {
    let (decade, first, fields) = (1950 + number % 5 * 10, 1 + number / 5 % 100, number / 500 % 2);
    let fields = ["rank", "rank score"][usize::try_from(fields).unwrap()];
    format!("{{ predictions(decade: {decade}, first: {first}) {{ nodes {{ {fields} }} }} }}")
}

/// The same, with much of each movie.
fn large_page(number: u64) -> String {
    page(number).replace("rank", "rank movie { title year genres { name } }")
}

/// Ten of them.
fn few_pages(number: u64) -> String {
    page(number % 10)
}

/// Weights that nobody else sends.
fn custom_weights(number: u64) -> String {
    format!(
        "{{ predictions(decade: 1990, first: 5, weights: {{popularOpinion: {}, criticalAcclaim: 1, \
         industryRecognition: 1, culturalImpact: 1, peopleQuality: 1}}) {{ nodes {{ rank }} }} }}",
        number + 2
    )
}

/// A statement for each request.
fn search(number: u64) -> String {
    format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
}

/// Pages, and searches, which need the database.
fn mixed(number: u64) -> String {
    if number.is_multiple_of(4) { search(number) } else { few_pages(number) }
}

async fn invalidate_everything(database: &PostgresServer) {
    let statement =
        "SELECT cinegraph.raise_version('scores', '', decade, true) FROM generate_series(1950, 1990, 10) AS decade";
    database.run(statement).await;
}

/// Waits until the averages of the past that the miss spike compares with have values.
async fn baseline(prometheus: &Prometheus, pace: Pace) {
    // Ten minutes, and two scrapes and an evaluation before.
    tokio::time::sleep(pace.minutes(12)).await;
    let average = format!(
        "avg_over_time(cinegraph:cache_misses:rate5m%5B{}ms%5D%20offset%20{}ms)",
        pace.minutes(360).as_millis(),
        pace.minutes(10).as_millis()
    );
    until("the baseline of misses has values", async || prometheus.series(&average) > 0).await;
}

#[track_caller]
fn assert_first(seen: &BTreeMap<String, Duration>, alert: &str, within: Duration) {
    let after = seen.get(alert).unwrap_or_else(|| panic!("{alert} did not fire, but {seen:?}"));
    assert!(*after <= within, "{alert} after {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_mass_invalidation() {
    let database = catalogue().await;
    let instance = Instance::start("mass-invalidation", &database.url("postgres"), &[]).await;
    instance.request(1_000, page).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::REAL, None).await;
    let load = instance.load(Duration::from_secs(1), few_pages);
    baseline(&prometheus, Pace::REAL).await;

    let since = Instant::now();
    invalidate_everything(&database).await;
    instance.request(1_000, page).await;
    let _ = writeln!(std::io::stderr(), "mass invalidation: 1,000 misses in {:.0?}", since.elapsed());
    let alert = "CinegraphCacheMissSpike";
    let seen = prometheus.observe("mass invalidation", &[alert], since, Duration::from_mins(4)).await;
    load.abort();
    assert_first(&seen, alert, Duration::from_secs(125));
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_four_crashes() {
    let database = catalogue().await;
    let mut instance = Instance::start("four-crashes", &database.url("postgres"), &[]).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::REAL, None).await;
    let since = Instant::now();
    for crash in 1..=4 {
        // Long enough to be scraped; each time under a new instance label.
        tokio::time::sleep(Duration::from_secs(25)).await;
        instance.end("KILL");
        instance = Instance::start(&format!("four-crashes-{crash}"), &database.url("postgres"), &[]).await;
        prometheus.set_targets(&[&instance.admin]);
    }
    let alert = "CinegraphRestarting";
    let seen = prometheus.observe("four crashes", &[alert], since, Duration::from_mins(4)).await;
    assert_first(&seen, alert, Duration::from_secs(200));
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_starved_process() {
    let database = catalogue().await;
    let instance = Instance::start("starved", &database.url("postgres"), &[]).await;
    instance.request(10, few_pages).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::REAL, None).await;
    let load = instance.load(Duration::from_millis(200), few_pages);
    let since = Instant::now();
    let starve = async {
        loop {
            for signal in ["STOP", "CONT"] {
                instance.signal(signal);
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        }
    };
    let expected = [STARVED];
    let seen = tokio::select! {
        () = starve => unreachable!("it goes on"),
        seen = prometheus.observe("starved process", &expected, since, Duration::from_mins(11)) => seen,
    };
    instance.signal("CONT");
    load.abort();
    assert_first(&seen, STARVED, Duration::from_mins(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_postgres_stopped() {
    let mut database = catalogue().await;
    let instance = Instance::start("postgres-stopped", &database.url("postgres"), &[]).await;
    instance.request(100, mixed).await;
    let alertmanager = Alertmanager::start().await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::REAL, Some(&alertmanager.address)).await;
    let load = instance.load(Duration::from_millis(200), mixed);
    tokio::time::sleep(Duration::from_mins(1)).await;

    database.stop();
    let since = Instant::now();
    let alert = "CinegraphDatabaseDown";
    let seen = prometheus.observe("PostgreSQL stopped", &[alert], since, Duration::from_mins(3)).await;
    assert_first(&seen, alert, Duration::from_secs(95));
    // All that follows from it, the slower burn rate included, which has to be pending for five minutes.
    let slower = "CinegraphErrorBudgetBurnMedium";
    let seen = prometheus.observe("PostgreSQL stopped", &[slower], since, Duration::from_mins(9)).await;
    assert_first(&seen, slower, Duration::from_mins(8));
    // Alertmanager notifies of what is new every five minutes.
    prometheus.observe("PostgreSQL stopped", &[], since, Duration::from_mins(9)).await;
    database.start_again().await;
    prometheus.observe("PostgreSQL again", &[], Instant::now(), Duration::from_mins(2)).await;
    load.abort();
    let notifications = alertmanager.notifications();
    let _ = writeln!(std::io::stderr(), "PostgreSQL stopped: notifications: {notifications:#?}");
    assert!((1..=2).contains(&notifications.len()), "{notifications:#?}");
    // The slower burn rate pages nobody by itself.
    let is_alone = |each: &&String| each.contains(slower) && !each.contains("CinegraphErrorBudgetBurnFast");
    assert_eq!(notifications.iter().find(is_alone), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_connections_exhausted() {
    let database = catalogue().await;
    let instance = Instance::start("connections-exhausted", &database.url("postgres"), &[]).await;
    instance.request(100, mixed).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::REAL, None).await;
    let load = instance.load(Duration::from_millis(200), mixed);
    tokio::time::sleep(Duration::from_mins(1)).await;

    // Another application takes every connection, those of the instance included.
    let mut first = PgConnection::connect(&database.url("postgres")).await.unwrap();
    let since = Instant::now();
    let mut held = Vec::new();
    let greed = async {
        loop {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cinegraph%'";
            sqlx::raw_sql(end).execute(&mut first).await.unwrap();
            while let Ok(connection) = PgConnection::connect(&database.url("postgres")).await {
                held.push(connection);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let expected = ["CinegraphDatabaseDown"];
    let seen = tokio::select! {
        () = greed => unreachable!("it goes on"),
        seen = prometheus.observe("connections exhausted", &expected, since, Duration::from_mins(8)) => seen,
    };
    let count = held.len();
    drop(held);
    load.abort();
    assert_first(&seen, expected[0], Duration::from_secs(125));
    let log = std::fs::read_to_string(&instance.log).unwrap();
    let reason: Vec<_> = log.lines().filter(|line| line.contains("too many")).collect();
    let _ = writeln!(std::io::stderr(), "connections exhausted: {count} held; the log says {:?}", reason.first());
    assert!(!reason.is_empty(), "the log has the reason");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_deploy_with_cold_memory() {
    let database = catalogue().await;
    let mut instance = Instance::start("deploy", &database.url("postgres"), &[]).await;
    instance.request(200, page).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let load = instance.load(Duration::from_millis(100), few_pages);
    baseline(&prometheus, Pace::TWENTIETH).await;
    load.abort();

    instance.end("TERM");
    instance.start_again().await;
    // A load balancer waits for health checks; meanwhile the instance is scraped for the first time.
    until("the new process is scraped", async || {
        prometheus.series("time()%20-%20process_start_time_seconds%20%3C%2030") > 0
    })
    .await;
    let since = Instant::now();
    instance.request(200, page).await;
    let alert = "CinegraphCacheMissSpike";
    let seen = prometheus.observe("deploy with cold memory", &[alert], since, Pace::TWENTIETH.minutes(5)).await;
    // Two minutes, a twentieth, and what polling adds.
    assert_first(&seen, alert, Duration::from_secs(8));
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_growth_of_custom_weights() {
    let database = catalogue().await;
    let instance = Instance::start("custom-weights", &database.url("postgres"), &[]).await;
    instance.request(10, few_pages).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let pages = instance.load(Duration::from_millis(200), few_pages);
    baseline(&prometheus, Pace::TWENTIETH).await;

    let since = Instant::now();
    let custom = instance.load(Duration::from_millis(200), custom_weights);
    let seen = prometheus.observe("growth of custom weights", &[], since, Pace::TWENTIETH.minutes(60)).await;
    pages.abort();
    custom.abort();
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_cache_too_small() {
    let database = catalogue().await;
    let small = [("CINEGRAPH_CACHE_ANSWERS_BYTES", "1000000")];
    let instance = Instance::start("small-cache", &database.url("postgres"), &small).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let load = instance.load(Duration::from_millis(20), large_page);
    let expected = ["CinegraphCacheEvictionPressure", "CinegraphHitRatioLow"];
    let seen = prometheus.observe("cache too small", &expected, Instant::now(), Pace::TWENTIETH.minutes(75)).await;
    load.abort();
    for alert in expected {
        assert_first(&seen, alert, Pace::TWENTIETH.minutes(75));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_cache_off() {
    let database = catalogue().await;
    let off = [("CINEGRAPH_CACHE_ENABLED", "false")];
    let instance = Instance::start("cache-off", &database.url("postgres"), &off).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let load = instance.load(Duration::from_millis(200), few_pages);
    let alert = "CinegraphHitRatioLow";
    let seen = prometheus.observe("cache off", &[alert], Instant::now(), Pace::TWENTIETH.minutes(50)).await;
    load.abort();
    // 3 minutes until the rate over half an hour is high enough, and 15 for which it must stay low; and what scrapes,
    // evaluations and polling add, which is a minute at this pace.
    assert_first(&seen, alert, Pace::TWENTIETH.minutes(22));
    let metrics = crate::cli::get(&instance.admin, "/metrics").1;
    assert!(metrics.contains("cinegraph_prediction_duration_seconds_count"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_one_failure_at_one_request_a_minute() {
    let database = catalogue().await;
    let settings = [("CINEGRAPH_REQUEST_TIMEOUT_SECONDS", "1")];
    let instance = Instance::start("one-failure", &database.url("postgres"), &settings).await;
    instance.request(10, few_pages).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let load = instance.load(Pace::TWENTIETH.minutes(1), few_pages);
    tokio::time::sleep(Pace::TWENTIETH.minutes(10)).await;

    let mut lock = PgConnection::connect(&database.url("postgres")).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE movies IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let (failed, _) = send_once(instance.public, &search(999_999)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();
    assert!(failed.problem.is_some(), "{failed:?}");
    let seen = prometheus.observe("one failure", &[], Instant::now(), Pace::TWENTIETH.minutes(30)).await;
    load.abort();
    let counted = crate::cli::get(&instance.admin, "/metrics").1;
    let bad = super::sum(&counted, "cinegraph_slo_requests_total", &["result=\"bad\""]);
    assert!((1.0..=2.0).contains(&bad), "{bad} requests failed");
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_collector_dead() {
    let database = catalogue().await;
    let nobody = format!("http://{}", crate::support::free_address());
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", nobody.as_str()), ("OTEL_TRACES_SAMPLER", "always_on")];
    let instance = Instance::start("collector-dead", &database.url("postgres"), &settings).await;
    instance.request(10, few_pages).await;
    let prometheus = Prometheus::start(&[&instance.admin], Pace::TWENTIETH, None).await;
    let load = instance.load(Duration::from_millis(50), few_pages);
    let alert = "CinegraphTelemetryDropped";
    let seen = prometheus.observe("collector dead", &[alert], Instant::now(), Pace::TWENTIETH.minutes(60)).await;
    load.abort();
    assert_first(&seen, alert, Pace::TWENTIETH.minutes(40));
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaled_rollout_with_new_instance_labels() {
    let database = catalogue().await;
    let url = database.url("postgres");
    let mut instances = Vec::new();
    for number in 0..3 {
        instances.push(Instance::start(&format!("rollout-{number}"), &url, &[]).await);
    }
    let targets = |instances: &[Instance]| instances.iter().map(|each| each.admin.clone()).collect::<Vec<_>>();
    let set = |prometheus: &Prometheus, instances: &[Instance]| {
        prometheus.set_targets(&targets(instances).iter().map(String::as_str).collect::<Vec<_>>());
    };
    let prometheus = Prometheus::start(&[], Pace::TWENTIETH, None).await;
    set(&prometheus, &instances);
    tokio::time::sleep(Pace::TWENTIETH.minutes(35)).await;

    let since = Instant::now();
    for number in 3..6 {
        let new = Instance::start(&format!("rollout-{number}"), &url, &[]).await;
        instances.push(new);
        set(&prometheus, &instances);
        tokio::time::sleep(Pace::TWENTIETH.minutes(1)).await;
        let mut old = instances.remove(0);
        set(&prometheus, &instances);
        old.end("TERM");
    }
    let seen = prometheus.observe("rollout", &[], since, since.elapsed() + Pace::TWENTIETH.minutes(30)).await;
    assert!(seen.is_empty(), "{seen:?}");
}
