//! The metrics that dashboards and alerts are written against: names, types, labels, values and buckets, complete from
//! the start.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;

use crate::cli::{Server, get};
use crate::support::{Movie, TestService, until, url};

/// The values that a label may have.
#[derive(Clone, Copy)]
enum Values {
    /// These, all of them from the start.
    All(&'static [&'static str]),
    /// Names in the program, from the start: at most this many, and `other`.
    Names(usize),
    /// As they occur: routes, statuses, hashes.
    Open,
}

use Values::{All, Names, Open};

type Row = (&'static str, &'static str, &'static [(&'static str, Values)], &'static [f64]);

const HTTP: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const FIELD: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
const CACHE: &[f64] = &[0.00001, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];
const DB: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];
const JOB: &[f64] = &[0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
const AGE: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0];
const COUNT: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
const SIZE: &[f64] = &[256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
const DELAY: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

const METHOD: (&str, Values) = ("http_request_method", All(&["GET", "POST", "OPTIONS", "_OTHER"]));
const OPERATION: (&str, Values) = ("graphql_operation_type", All(&["query", "mutation", "subscription", "unknown"]));
const FIELD_NAME: (&str, Values) = ("field", Names(40));
const OK_ERROR: (&str, Values) = ("outcome", All(&["ok", "error"]));
const SELECTION: (&str, Values) = ("selection", All(&["profile", "custom"]));
const CACHES: (&str, Values) =
    ("cache", All(&["responses", "columns", "predictions", "validation", "profiles", "films"]));
const LAYER: (&str, Values) = ("layer", All(&["l1", "l2"]));
const BREAKER: (&str, Values) = ("breaker", All(&["cache_l2", "score_table", "replica"]));
const STATES: Values = All(&["closed", "half_open", "open"]);
const QUERY: (&str, Values) = ("query_name", Names(40));
const POOL: (&str, Values) = ("pool", All(&["primary", "replica"]));
const TASK: (&str, Values) =
    ("task", All(&["cache_warm", "score_drain", "score_refresh", "snapshot_refresh", "person_quality", "model_train"]));

const METRICS: &[Row] = &[
    (
        "http_server_request_duration_seconds",
        "histogram",
        &[("http_request_method", Open), ("http_route", Open), ("http_response_status_code", Open)],
        HTTP,
    ),
    ("http_server_active_requests", "gauge", &[METHOD], &[]),
    ("http_server_response_body_size_bytes", "histogram", &[("http_route", Open)], SIZE),
    (
        "cinegraph_slo_requests_total",
        "counter",
        &[("surface", All(&["api", "page"])), ("result", All(&["good", "bad", "excluded"]))],
        &[],
    ),
    (
        "graphql_server_request_duration_seconds",
        "histogram",
        &[OPERATION, ("outcome", All(&["ok", "partial", "error", "rejected", "cancelled"]))],
        FAST,
    ),
    ("graphql_server_request_active", "gauge", &[OPERATION], &[]),
    (
        "graphql_server_processing_duration_seconds",
        "histogram",
        &[("graphql_processing_type", All(&["parse", "validate", "execute"]))],
        FIELD,
    ),
    ("cinegraph_graphql_field_duration_seconds", "histogram", &[FIELD_NAME], FIELD),
    ("cinegraph_graphql_field_requests_total", "counter", &[FIELD_NAME, OK_ERROR], &[]),
    ("cinegraph_graphql_errors_total", "counter", &[("code", Names(40))], &[]),
    (
        "cinegraph_graphql_rejected_total",
        "counter",
        &[("reason", All(&["syntax", "validation", "depth", "complexity", "auth", "rate_limit", "too_large"]))],
        &[],
    ),
    ("cinegraph_graphql_complexity", "histogram", &[], COUNT),
    ("cinegraph_graphql_depth", "histogram", &[], COUNT),
    ("cinegraph_dataloader_batch_size", "histogram", &[("loader", Names(13))], COUNT),
    (
        "cinegraph_prediction_duration_seconds",
        "histogram",
        &[("source", All(&["cache_fresh", "cache_stale", "memory", "database", "fallback"])), SELECTION],
        FAST,
    ),
    (
        "cinegraph_cache_lookups_total",
        "counter",
        &[CACHES, SELECTION, ("result", All(&["hit_l1", "hit_l2", "stale", "miss"]))],
        &[],
    ),
    (
        "cinegraph_cache_layer_requests_total",
        "counter",
        &[CACHES, LAYER, ("result", All(&["hit", "miss", "error", "timeout"]))],
        &[],
    ),
    (
        "cinegraph_cache_operation_duration_seconds",
        "histogram",
        &[LAYER, ("op", All(&["get", "set", "delete"]))],
        CACHE,
    ),
    ("cinegraph_cache_load_duration_seconds", "histogram", &[CACHES, OK_ERROR], FAST),
    ("cinegraph_cache_single_flight_total", "counter", &[CACHES, ("role", All(&["leader", "follower"]))], &[]),
    ("cinegraph_cache_revalidations_total", "counter", &[CACHES, ("outcome", All(&["ok", "error", "skipped"]))], &[]),
    (
        "cinegraph_cache_writes_total",
        "counter",
        &[CACHES, LAYER, ("reason", All(&["miss", "revalidate", "warm"]))],
        &[],
    ),
    (
        "cinegraph_cache_evictions_total",
        "counter",
        &[CACHES, ("reason", All(&["capacity", "expired", "invalidated"]))],
        &[],
    ),
    ("cinegraph_cache_entries", "gauge", &[CACHES], &[]),
    ("cinegraph_cache_capacity_entries", "gauge", &[CACHES], &[]),
    ("cinegraph_cache_estimated_bytes", "gauge", &[CACHES], &[]),
    ("cinegraph_cache_capacity_bytes", "gauge", &[CACHES], &[]),
    ("cinegraph_cache_value_age_seconds", "histogram", &[CACHES], AGE),
    ("cinegraph_cache_l2_enabled", "gauge", &[], &[]),
    ("cinegraph_cache_l2_up", "gauge", &[], &[]),
    ("cinegraph_circuit_breaker_state", "gauge", &[BREAKER, ("state", STATES)], &[]),
    ("cinegraph_circuit_breaker_transitions_total", "counter", &[BREAKER, ("to", STATES)], &[]),
    ("cinegraph_fallback_requests_total", "counter", &[BREAKER, ("outcome", All(&["ok", "error", "shed"]))], &[]),
    ("db_client_operation_duration_seconds", "histogram", &[QUERY], DB),
    (
        "cinegraph_db_errors_total",
        "counter",
        &[QUERY, ("error_type", All(&["timeout", "connection", "serialization", "constraint", "other"]))],
        &[],
    ),
    ("db_client_response_returned_rows", "histogram", &[QUERY], COUNT),
    ("db_client_connections", "gauge", &[("state", All(&["idle", "used"])), POOL], &[]),
    ("db_client_connection_max", "gauge", &[POOL], &[]),
    ("db_client_connection_pending_requests", "gauge", &[POOL], &[]),
    ("db_client_connection_wait_time_seconds", "histogram", &[POOL], DB),
    ("db_client_connection_timeouts_total", "counter", &[POOL], &[]),
    ("cinegraph_task_runs_total", "counter", &[TASK, ("outcome", All(&["ok", "error", "skipped"]))], &[]),
    ("cinegraph_task_duration_seconds", "histogram", &[TASK], JOB),
    ("cinegraph_task_items_total", "counter", &[TASK, OK_ERROR], &[]),
    ("cinegraph_task_last_success_timestamp_seconds", "gauge", &[TASK], &[]),
    ("cinegraph_task_interval_seconds", "gauge", &[TASK], &[]),
    ("cinegraph_task_running", "gauge", &[TASK], &[]),
    ("cinegraph_score_queue_films", "gauge", &[], &[]),
    ("cinegraph_score_queue_oldest_age_seconds", "gauge", &[], &[]),
    ("cinegraph_snapshot_age_seconds", "gauge", &[], &[]),
    ("cinegraph_score_reconcile_differences", "gauge", &[], &[]),
    ("cinegraph_db_up", "gauge", &[POOL], &[]),
    ("cinegraph_replica_lag_seconds", "gauge", &[], &[]),
    ("cinegraph_subscriptions_active", "gauge", &[("field", All(&["predictionStream", "predictionUpdates"]))], &[]),
    (
        "cinegraph_subscriptions_dropped_total",
        "counter",
        &[("reason", All(&["slow", "limit", "shutdown", "error"]))],
        &[],
    ),
    ("cinegraph_page_duration_seconds", "histogram", &[("phase", All(&["ttfb", "first_list", "rerank"]))], HTTP),
    ("cinegraph_build_info", "gauge", &[("version", Open), ("revision", Open), ("schema_hash", Open)], &[]),
    ("cinegraph_memory_limit_bytes", "gauge", &[], &[]),
    ("tokio_schedule_delay_seconds", "histogram", &[], DELAY),
    ("process_cpu_seconds_total", "counter", &[], &[]),
    ("process_resident_memory_bytes", "gauge", &[], &[]),
    ("process_open_fds", "gauge", &[], &[]),
    ("process_max_fds", "gauge", &[], &[]),
    ("process_threads", "gauge", &[], &[]),
    ("process_start_time_seconds", "gauge", &[], &[]),
    ("tokio_workers", "gauge", &[], &[]),
    ("tokio_alive_tasks", "gauge", &[], &[]),
    ("tokio_global_queue_depth", "gauge", &[], &[]),
    ("tokio_worker_busy_seconds_total", "counter", &[], &[]),
];

/// What a scrape says of one metric.
#[derive(Debug, Default)]
struct Scraped {
    kind: String,
    /// Labels and values of each series, without those of buckets.
    series: BTreeSet<BTreeMap<String, String>>,
    /// Upper bounds of the buckets, without `+Inf`.
    bounds: BTreeSet<u64>,
    has_quantiles: bool,
}

/// The metrics of a scrape by name. Label values must not contain commas or quotes.
fn parsed(text: &str) -> BTreeMap<String, Scraped> {
    let mut metrics: BTreeMap<String, Scraped> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            kind.clone_into(&mut metrics.entry(name.to_owned()).or_default().kind);
        } else if !line.starts_with('#') && !line.is_empty() {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|part| name.strip_suffix(part));
            let name = parts.into_iter().find(|name| metrics.contains_key(*name)).unwrap_or(name);
            let metric = metrics.get_mut(name).unwrap_or_else(|| panic!("{line} has no type"));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let mut labels: BTreeMap<String, String> = labels
                .map(|label| label.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
                .collect();
            if let Some(bound) = labels.remove("le").filter(|bound| bound != "+Inf") {
                metric.bounds.insert(bound.parse::<f64>().unwrap().to_bits());
            }
            metric.has_quantiles |= labels.contains_key("quantile");
            metric.series.insert(labels);
        }
    }
    metrics
}

fn assert_row(metrics: &BTreeMap<String, Scraped>, (name, kind, labels, buckets): Row) {
    let metric = metrics.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(metric.kind, kind, "{name}");
    assert!(!metric.has_quantiles, "{name} is a summary");
    let bounds: Vec<f64> = metric.bounds.iter().map(|bits| f64::from_bits(*bits)).collect();
    assert_eq!(bounds, buckets, "buckets of {name}");
    let expected: BTreeSet<&str> = labels.iter().map(|(label, _)| *label).collect();
    assert!(!metric.series.is_empty(), "{name} has no series");
    for series in &metric.series {
        assert_eq!(series.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "labels of {name}");
    }
    let mut combinations = 1;
    for (label, values) in labels {
        let have: BTreeSet<&str> = metric.series.iter().map(|series| series[*label].as_str()).collect();
        match values {
            All(values) => assert_eq!(have, values.iter().copied().collect(), "{label} of {name}"),
            Names(most) => assert!(have.len() <= most + 1, "{label} of {name}: {} values", have.len()),
            Open => return,
        }
        combinations *= have.len();
    }
    assert_eq!(metric.series.len(), combinations, "{name} lacks series of some combinations of label values");
}

#[sqlx::test(migrations = false)]
async fn metrics_are_complete_right_after_the_start(pool: PgPool) {
    let service = TestService::on(pool).await;
    let server = Server::start(&url(&service.pool));
    // Series by route and status occur with the first request.
    server.execute(&json!({ "query": "{ profiles { name } }" }).to_string());

    let text = get(&server.admin, "/metrics").1;
    let metrics = parsed(&text);

    for row in METRICS {
        assert_row(&metrics, *row);
    }
    // Only log lines are rate-limited.
    let dropped: BTreeSet<_> = metrics["cinegraph_telemetry_dropped_total"]
        .series
        .iter()
        .map(|labels| (labels["signal"].as_str(), labels["reason"].as_str(), labels.len()))
        .collect();
    let lost = ["spans", "metrics", "logs"]
        .into_iter()
        .flat_map(|signal| [(signal, "queue_full", 2), (signal, "export_failed", 2)]);
    assert_eq!(dropped, lost.chain([("logs", "rate_limited", 2)]).collect());
    if cfg!(feature = "jemalloc") {
        const STATE: (&str, Values) = ("state", All(&["allocated", "active", "resident", "retained"]));
        assert_row(&metrics, ("cinegraph_allocator_bytes", "gauge", &[STATE], &[]));
    }
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut counts = BTreeMap::<_, usize>::new();
    for line in samples {
        let name = line.split(['{', ' ']).next().unwrap();
        let metric = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        *counts.entry(metric).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count).unwrap();
    assert!(*most.1 <= 500 && counts.values().sum::<usize>() <= 6_000, "too many series: {most:?}");
}

#[sqlx::test(migrations = false)]
async fn tasks_that_an_instance_does_not_run_are_never_due(pool: PgPool) {
    let service = TestService::on(pool).await;
    let arguments = ["serve", "--http-addr", "127.0.0.1:0", "--no-jobs"];
    let server = Server::running(&url(&service.pool), &arguments, "serving");

    let metrics = get(&server.admin, "/metrics").1;

    let interval = |task: &str| {
        let series = format!("cinegraph_task_interval_seconds{{task=\"{task}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    };
    for task in ["score_drain", "score_refresh", "snapshot_refresh", "person_quality", "model_train"] {
        assert_eq!(interval(task), "+Inf", "{task}");
    }
    assert_eq!(interval("cache_warm"), "600");
}

#[sqlx::test(migrations = false)]
async fn instances_without_jobs_report_queue_and_snapshot(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Changed").released("1994-05-01").rated(7.0, 7.0).on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    let past = "UPDATE cinegraph.snapshot SET taken_at = now() - interval '5 hours';
                INSERT INTO cinegraph.score_refresh_queue (reason, enqueued_at)
                VALUES ('movies', now() - interval '10 minutes');
                UPDATE cinegraph.tasks SET last_success_at = to_timestamp(1234567890) WHERE name = 'snapshot_refresh'";
    sqlx::raw_sql(past).execute(&service.pool).await.unwrap();

    let arguments = ["serve", "--http-addr", "127.0.0.1:0", "--no-jobs"];
    let server = Server::running(&url(&service.pool), &arguments, "serving");

    until("the state of the data is reported", async || {
        let metrics = get(&server.admin, "/metrics").1;
        let value = |series: &str| -> f64 {
            let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{series} is missing")).parse().unwrap()
        };
        (600.0..700.0).contains(&value("cinegraph_score_queue_oldest_age_seconds"))
            && value("cinegraph_score_queue_films") >= 1.0
            && (18_000.0..18_100.0).contains(&value("cinegraph_snapshot_age_seconds"))
            && value("cinegraph_task_last_success_timestamp_seconds{task=\"snapshot_refresh\"}") == 1_234_567_890.0
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn runtime_and_database_are_watched(pool: PgPool) {
    let service = TestService::on(pool).await;
    let server = Server::start(&url(&service.pool));
    until("the primary is pinged and wakes are measured", async || {
        let metrics = get(&server.admin, "/metrics").1;
        let wakes = metrics.lines().find_map(|line| line.strip_prefix("tokio_schedule_delay_seconds_count "));
        metrics.contains("cinegraph_db_up{pool=\"primary\"} 1\n") && wakes.unwrap() != "0"
    })
    .await;
    assert!(get(&server.admin, "/metrics").1.contains("cinegraph_db_up{pool=\"replica\"} 0\n"));
}

/// The number of predictions by source and selection, without those that are 0.
fn predictions(service: &TestService) -> BTreeMap<(&'static str, &'static str), u64> {
    let mut counts = BTreeMap::new();
    for source in ["cache_fresh", "cache_stale", "memory", "database", "fallback"] {
        for selection in ["profile", "custom"] {
            let labels = [("source", source), ("selection", selection)];
            let count = service.counted("cinegraph_prediction_duration_seconds_count", &labels);
            if count > 0 {
                counts.insert((source, selection), count);
            }
        }
    }
    counts
}

/// A page of the 1990s under weights that differ for each `n`.
fn weighed(n: u32) -> String {
    format!(
        "{{ predictions(decade: 1990, weights: {{popularOpinion: {n}, criticalAcclaim: 1, industryRecognition: 2, \
         culturalImpact: 3, peopleQuality: 9}}) {{ nodes {{ score movie {{ title }} }} }} }}"
    )
}

const PAGE: &str = "{ predictions(decade: 1990) { nodes { score movie { title } } } }";

#[sqlx::test(migrations = false)]
async fn predictions_count_by_the_slowest_source_and_by_whose_weights(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second"] {
        let movie = Movie::new(title).released("1994-05-01").rated(8.0, 8.0).reviewed(80.0, 80.0).popularity(9.0);
        movie.insert(&service.pool).await;
    }
    service.refresh().await;

    service.data(&weighed(1)).await;
    assert_eq!(predictions(&service), BTreeMap::from([(("database", "custom"), 1)]), "nothing was cached");
    for n in 2..=4 {
        let statements = service.statements();
        service.data(&weighed(n)).await;
        assert_eq!(service.statements(), statements);
    }
    let mut expected = BTreeMap::from([(("database", "custom"), 1), (("memory", "custom"), 3)]);
    assert_eq!(predictions(&service), expected, "columns and details were cached");

    service.data(PAGE).await;
    expected.insert(("memory", "profile"), 1);
    assert_eq!(predictions(&service), expected, "the ranking of the profile was computed");
    service.data(PAGE).await;
    expected.insert(("cache_fresh", "profile"), 1);
    assert_eq!(predictions(&service), expected);
    // Another document, whose ranking and details are cached.
    service.data("{ predictions(decade: 1990) { nodes { rank } } }").await;
    expected.insert(("cache_fresh", "profile"), 2);
    assert_eq!(predictions(&service), expected);
    // Details that are not cached.
    service.data("{ predictions(decade: 1990) { nodes { movie { genres { name } } } } }").await;
    expected.insert(("database", "profile"), 1);
    assert_eq!(predictions(&service), expected, "a statement ran");
    service.data(&weighed(4)).await;
    expected.insert(("cache_fresh", "custom"), 1);
    assert_eq!(predictions(&service), expected);

    // Weights that equal a profile's are the profile's, and a movie's prediction counts like a page.
    let id = service.data("{ predictions(decade: 1990) { nodes { movie { id } } } }").await;
    let id = id["predictions"]["nodes"][0]["movie"]["id"].as_str().unwrap().to_owned();
    expected.insert(("cache_fresh", "profile"), 3);
    service.data(&format!("{{ prediction(by: {{id: \"{id}\"}}) {{ score }} }}")).await;
    // Which movie it is, is read from the database.
    expected.insert(("database", "profile"), 2);
    assert_eq!(predictions(&service), expected);
    let weights = "popularOpinion: 1, criticalAcclaim: 0, industryRecognition: 0, culturalImpact: 0, peopleQuality: 3";
    service.data(&format!("{{ prediction(by: {{id: \"{id}\"}}, weights: {{{weights}}}) {{ score }} }}")).await;
    expected.insert(("database", "custom"), 2);
    assert_eq!(predictions(&service), expected);
}

#[sqlx::test(migrations = false)]
async fn an_outdated_response_after_a_failed_statement_came_from_the_database(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("First").released("1994-05-01").rated(8.0, 8.0).insert(&service.pool).await;
    service.refresh().await;
    service.data(PAGE).await;
    sqlx::query("ALTER SCHEMA cinegraph RENAME TO away").execute(&service.pool).await.unwrap();
    service.later(TimeDelta::days(30));
    let statements = service.statements();

    service.data(PAGE).await;

    assert!(service.statements() > statements);
    assert_eq!(predictions(&service), BTreeMap::from([(("database", "profile"), 2)]));
}

#[sqlx::test(migrations = false)]
async fn lookups_of_custom_weights_are_counted_apart(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movie = Movie::new("First").released("1994-05-01").rated(8.0, 8.0).reviewed(80.0, 80.0).popularity(9.0);
    movie.insert(&service.pool).await;
    service.refresh().await;
    let lookups = |cache: &str, selection: &str, result: &str| {
        let labels = [("cache", cache), ("selection", selection), ("result", result)];
        service.counted("cinegraph_cache_lookups_total", &labels)
    };

    for n in 1..=3 {
        service.data(&weighed(n)).await;
    }
    service.data(&weighed(3)).await;
    for cache in ["responses", "predictions"] {
        assert_eq!([lookups(cache, "custom", "miss"), lookups(cache, "profile", "miss")], [3, 0], "{cache}");
    }
    assert_eq!([lookups("responses", "custom", "hit_l1"), lookups("responses", "profile", "hit_l1")], [1, 0]);
    // Columns and details belong to no weights.
    assert_eq!([lookups("columns", "custom", "miss"), lookups("columns", "profile", "miss")], [0, 1]);

    service.data(PAGE).await;
    service.data(PAGE).await;
    for cache in ["responses", "predictions"] {
        assert_eq!([lookups(cache, "custom", "miss"), lookups(cache, "profile", "miss")], [3, 1], "{cache}");
    }
    assert_eq!(lookups("responses", "profile", "hit_l1"), 1);

    // A client that leaves while it waits for custom weights has missed theirs, although their response has no key that
    // tells.
    let details = "{ predictions(decade: 1990, weights: {popularOpinion: 6, criticalAcclaim: 1, industryRecognition: 2, \
                   culturalImpact: 3, peopleQuality: 4}) { nodes { movie { genres { name } } } } }";
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE movie_genres").execute(&mut *lock).await.unwrap();
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query LIKE '%movie_genres%')";
    tokio::select! {
        response = service.execute(details, json!({})) => panic!("{response:#}"),
        () = until("the statement waits", async || {
            sqlx::query_scalar::<_, bool>(waits).fetch_one(&service.pool).await.unwrap()
        }) => {}
    }
    until("the lookup is counted", async || lookups("responses", "custom", "miss") == 4).await;
    assert_eq!(lookups("responses", "profile", "miss"), 1);

    // A failed load of custom weights is one of theirs, too. Renamed under the lock, since the load that still waits for it
    // would cache the genres.
    sqlx::query("ALTER TABLE movie_genres RENAME TO gone").execute(&mut *lock).await.unwrap();
    lock.commit().await.unwrap();
    let failing = "{ predictions(decade: 1990, weights: {popularOpinion: 7, criticalAcclaim: 1, industryRecognition: 2, \
                   culturalImpact: 3, peopleQuality: 4}) { nodes { movie { genres { name } } } } }";
    assert!(service.execute(failing, json!({})).await["errors"].is_array());
    assert_eq!([lookups("responses", "custom", "miss"), lookups("responses", "profile", "miss")], [5, 1]);
}

#[sqlx::test(migrations = false)]
async fn with_caches_off_no_prediction_counts_as_cached(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("First").released("1994-05-01").rated(8.0, 8.0).insert(&service.pool).await;
    service.refresh().await;
    let server = Server::with(&url(&service.pool), &[("CINEGRAPH_CACHE_ENABLED", "false")]);
    let count = |source: &str| {
        let series =
            format!("cinegraph_prediction_duration_seconds_count{{source=\"{source}\",selection=\"profile\"}} ");
        let metrics = get(&server.admin, "/metrics").1;
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse::<u64>().unwrap()
    };
    // The first request loads the columns of the decade, if they were not warmed in time.
    server.execute(&json!({ "query": PAGE }).to_string());
    let before = count("database");

    for _ in 0..3 {
        let (status, ..) = server.execute(&json!({ "query": PAGE }).to_string());
        assert_eq!(status, 200);
        server.execute(&json!({ "query": "{ predictions(decade: 1990) { nodes { score } } }" }).to_string());
    }

    assert_eq!(count("database") - before, 3, "titles are read from the database");
    assert_eq!(count("memory"), 3, "scores are computed from columns");
    assert_eq!(["cache_fresh", "cache_stale"].map(count), [0, 0]);
}

#[sqlx::test(migrations = false)]
async fn each_request_for_a_page_counts_once_for_its_promise(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("First").released("1994-05-01").rated(8.0, 8.0).insert(&service.pool).await;
    service.refresh().await;
    let slo = |surface: &str, result: &str| {
        service.counted("cinegraph_slo_requests_total", &[("surface", surface), ("result", result)])
    };

    for (uri, status) in [
        ("/?decade=1990", 200),
        ("/additions?decade=1990", 200),
        ("/validation", 200),
        ("/validation/1990", 200),
        ("/additions/", 308),
        ("/?decade=1995", 400),
        ("/films/999999", 404),
        ("/validation/never", 400),
        // Not pages of people.
        ("/health/live", 200),
        ("/nowhere", 404),
        ("/graphql/ws", 426),
    ] {
        let response = service.get(uri).await;
        assert_eq!(response.status().as_u16(), status, "{uri}");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    }
    assert_eq!(["good", "bad", "excluded"].map(|result| slo("page", result)), [5, 0, 3]);
    assert_eq!(service.counted("cinegraph_slo_requests_total", &[("surface", "api")]), 0);

    service.data(PAGE).await;
    assert_eq!(slo("api", "good"), 1);
    let broken = TestService::without_database();
    broken.get("/").await;
    let bad = broken.counted("cinegraph_slo_requests_total", &[("surface", "page"), ("result", "bad")]);
    assert_eq!(bad, 1, "the service is at fault");
}
