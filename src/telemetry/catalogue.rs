//! Catalogue of every metric: name, kind, labels, buckets and help text.
//!
//! Dashboards and alerts use these names literally, so a change here breaks them. Label values come from the enums and
//! name lists of the modules that record the metrics, never from a client.

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its name; the unit is its suffix.
    pub name: &'static str,
    /// The text of its `# HELP` line.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels. [`Recorder`](super::Recorder) expects their values in the same order.
    pub labels: &'static [&'static str],
}

/// Type of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets with these upper bounds, in ascending order; a last bucket, `+Inf`, is implied. Without
    /// bounds, the exporter would create a summary, which cannot be aggregated across instances.
    Histogram(&'static [f64]),
}

// Upper bounds of buckets, in seconds unless stated otherwise. Those without a source are choices that cover the
// expected values. There are few of them, because each bound costs one series for every combination of label values,
// and a test allows 500 series per metric.

/// HTTP requests and page loads: the bounds that OpenTelemetry's semantic conventions advise for
/// `http.server.request.duration`. An alert about page loads needs the bound 0.5.
const HTTP: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Operations, and the loads of caches that they wait for. Alerts need the bound 0.05 for cached predictions.
const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Phases and root fields of an operation. Fewer bounds than [`FAST`], because each root field of the schema, of which
/// there may be 40, has a histogram of its own.
const FIELD: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Operations of a cache layer: from some microseconds in memory to above the default timeout of Redis, 50 ms.
const CACHE: &[f64] = &[0.000_01, 0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1];
/// Ages of cache entries: from a second to a day, since entries are served beyond their TTL during an outage.
const AGE: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
/// Statements, and the wait for a connection. By default, a statement of a request ends after 2 s at the latest; only
/// direct queries and background work take longer.
const DB: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];
/// Runs of background tasks: a batch to a full refresh of a large database.
const JOB: &[f64] = &[0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Numbers of things, such as rows or keys.
const COUNT: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
/// How late a sleeping task wakes: from the resolution of timers to a second. An alert needs the bound 0.05.
const DELAY: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Sizes in bytes: 256 bytes to 4 MiB, each bound four times the one before.
const SIZE: &[f64] = &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

macro_rules! catalogue {
    ($($id:ident: $kind:ident $(($buckets:ident))?, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        $(pub(crate) const $id: Definition = Definition {
            name: $name,
            help: $help,
            kind: Kind::$kind $(($buckets))?,
            labels: &[$($label),*],
        };)+

        /// Every metric that the service emits.
        pub const CATALOGUE: &[Definition] = &[$($id),+];
    };
}

catalogue! {
    HTTP_DURATION: Histogram(HTTP), "http_server_request_duration_seconds",
        ["http_request_method", "http_route", "http_response_status_code"],
        "Time until the last body byte is ready; status 499 if the client disconnected first. Without probes and scrapes.";
    HTTP_ACTIVE: Gauge, "http_server_active_requests", ["http_request_method"],
        "HTTP requests being served. Without probes, scrapes and open subscriptions.";
    HTTP_BODY_SIZE: Histogram(SIZE), "http_server_response_body_size_bytes", ["http_route"],
        "Response body size before compression.";
    SLO_REQUESTS: Counter, "cinegraph_slo_requests_total", ["surface", "result"],
        "Requests to /graphql (api) and to pages (page): good, bad (server error), excluded (client error or disconnect).";

    OPERATION_DURATION: Histogram(FAST), "graphql_server_request_duration_seconds",
        ["graphql_operation_type", "outcome"],
        "Duration of one operation, including parsing.";
    OPERATION_ACTIVE: Gauge, "graphql_server_request_active", ["graphql_operation_type"],
        "Operations in flight.";
    PHASE_DURATION: Histogram(FIELD), "graphql_server_processing_duration_seconds", ["graphql_processing_type"],
        "Duration of each phase of an operation.";
    GRAPHQL_REJECTED: Counter, "cinegraph_graphql_rejected_total", ["reason"],
        "Operations rejected before execution.";
    ADMIN_TOKENS_REJECTED: Counter, "cinegraph_admin_tokens_rejected_total", ["reason"],
        "Rejected admin tokens; invalid: unknown, rate_limit: not checked, since the client had sent too many unknown ones.";
    COMPLEXITY: Histogram(COUNT), "cinegraph_graphql_complexity", [],
        "Static operation cost in points, computed before execution.";
    DEPTH: Histogram(COUNT), "cinegraph_graphql_depth", [],
        "Field depth of operations, excluding introspection.";
    FIELD_DURATION: Histogram(FIELD), "cinegraph_graphql_field_duration_seconds", ["field"],
        "Duration of a root field.";
    FIELD_REQUESTS: Counter, "cinegraph_graphql_field_requests_total", ["field", "outcome"],
        "Root fields resolved.";
    GRAPHQL_ERRORS: Counter, "cinegraph_graphql_errors_total", ["code"],
        "Entries in errors, by extensions.code.";
    LOADER_BATCH_SIZE: Histogram(COUNT), "cinegraph_dataloader_batch_size", ["loader"],
        "Keys per DataLoader batch.";

    SUBSCRIPTIONS_ACTIVE: Gauge, "cinegraph_subscriptions_active", ["field"],
        "Open subscriptions.";
    SUBSCRIPTIONS_DROPPED: Counter, "cinegraph_subscriptions_dropped_total", ["reason"],
        "Subscriptions ended or rejected by the service.";

    PREDICTION_DURATION: Histogram(FAST), "cinegraph_prediction_duration_seconds", ["source", "selection"],
        "Duration of operations whose root fields are all prediction or predictions; source: the slowest data source used.";

    CACHE_LOOKUPS: Counter, "cinegraph_cache_lookups_total", ["cache", "selection", "result"],
        "Cache lookups by requests; custom: values for weights that equal no profile's.";
    CACHE_LAYER_REQUESTS: Counter, "cinegraph_cache_layer_requests_total", ["cache", "layer", "result"],
        "Cache lookups by requests in each layer: l1 (memory) or l2 (Redis); finding a stale entry is a hit.";
    CACHE_OPERATION_DURATION: Histogram(CACHE), "cinegraph_cache_operation_duration_seconds", ["layer", "op"],
        "Duration of one operation on a cache layer: l1 (memory) or l2 (Redis).";
    CACHE_LOAD_DURATION: Histogram(FAST), "cinegraph_cache_load_duration_seconds", ["cache", "outcome"],
        "Duration of cache loads.";
    CACHE_SINGLE_FLIGHT: Counter, "cinegraph_cache_single_flight_total", ["cache", "role"],
        "Cache misses by role: leader (started the load), follower (waited for it).";
    CACHE_REVALIDATIONS: Counter, "cinegraph_cache_revalidations_total", ["cache", "outcome"],
        "Refreshes of stale entries; skipped: another refresh of the key was running.";
    CACHE_WRITES: Counter, "cinegraph_cache_writes_total", ["cache", "layer", "reason"],
        "Entries stored.";
    CACHE_EVICTIONS: Counter, "cinegraph_cache_evictions_total", ["cache", "reason"],
        "Entries removed from L1.";
    CACHE_ENTRIES: Gauge, "cinegraph_cache_entries", ["cache"],
        "Entries in L1.";
    CACHE_CAPACITY_ENTRIES: Gauge, "cinegraph_cache_capacity_entries", ["cache"],
        "Maximum number of entries in L1.";
    CACHE_BYTES: Gauge, "cinegraph_cache_estimated_bytes", ["cache"],
        "Estimated size of the entries in L1.";
    CACHE_CAPACITY_BYTES: Gauge, "cinegraph_cache_capacity_bytes", ["cache"],
        "Maximum estimated size of L1.";
    CACHE_VALUE_AGE: Histogram(AGE), "cinegraph_cache_value_age_seconds", ["cache"],
        "Age of an entry when it is served.";
    CACHE_L2_ENABLED: Gauge, "cinegraph_cache_l2_enabled", [],
        "1 if Redis is configured.";
    CACHE_L2_UP: Gauge, "cinegraph_cache_l2_up", [],
        "1 if Redis responded to the last ping, which is sent every five seconds.";

    BREAKER_STATE: Gauge, "cinegraph_circuit_breaker_state", ["breaker", "state"],
        "1 for the current state of a circuit breaker.";
    BREAKER_TRANSITIONS: Counter, "cinegraph_circuit_breaker_transitions_total", ["breaker", "to"],
        "State changes of a circuit breaker.";
    FALLBACK_REQUESTS: Counter, "cinegraph_fallback_requests_total", ["breaker", "outcome"],
        "Loads by a fallback (direct query, primary); shed: rejected because too many were running.";
    REPLICA_LAG: Gauge, "cinegraph_replica_lag_seconds", [],
        "Replication lag of the read replica; 0 without a replica.";
    IDENTITY_CHANGES: Counter, "cinegraph_database_identity_changes_total", [],
        "Changes of the database's identity (failover, restore, detach and attach): all cached data is discarded.";

    DB_UP: Gauge, "cinegraph_db_up", ["pool"],
        "1 if a dedicated connection got a response to its ping, which is sent every second; 0 without a replica.";
    STATEMENT_DURATION: Histogram(DB), "db_client_operation_duration_seconds", ["query_name"],
        "Statement duration until the last row, excluding the wait for a connection. Statements that got none are not counted.";
    STATEMENT_ERRORS: Counter, "cinegraph_db_errors_total", ["query_name", "error_type"],
        "Failed statements, those that got no connection included.";
    STATEMENT_ROWS: Histogram(COUNT), "db_client_response_returned_rows", ["query_name"],
        "Rows per statement.";
    CONNECTIONS: Gauge, "db_client_connections", ["state", "pool"],
        "Pooled connections.";
    CONNECTION_MAX: Gauge, "db_client_connection_max", ["pool"],
        "Pool limit.";
    CONNECTION_PENDING: Gauge, "db_client_connection_pending_requests", ["pool"],
        "Tasks waiting for a connection.";
    CONNECTION_WAIT: Histogram(DB), "db_client_connection_wait_time_seconds", ["pool"],
        "Time to get a connection.";
    CONNECTION_TIMEOUTS: Counter, "db_client_connection_timeouts_total", ["pool"],
        "Waits for a connection that timed out.";
    POOL_EXHAUSTED: Gauge, "cinegraph_db_pool_exhausted", [],
        "1 while no statement of a request gets a connection although the database responds.";
    CONNECTIONS_ABANDONED: Counter, "cinegraph_db_connections_abandoned_total", [],
        "Connections closed because the server did not respond before the client's deadline.";

    TASK_RUNS: Counter, "cinegraph_task_runs_total", ["task", "outcome"],
        "Finished runs of background tasks.";
    TASK_DURATION: Histogram(JOB), "cinegraph_task_duration_seconds", ["task"],
        "Run time of background tasks.";
    TASK_ITEMS: Counter, "cinegraph_task_items_total", ["task", "outcome"],
        "Rows or keys processed by background tasks.";
    TASK_LAST_SUCCESS: Gauge, "cinegraph_task_last_success_timestamp_seconds", ["task"],
        "Unix time of a background task's last success on any instance; 0 if it never succeeded.";
    TASK_INTERVAL: Gauge, "cinegraph_task_interval_seconds", ["task"],
        "Planned time between runs of a background task; +Inf if it does not run on this instance.";
    TASK_RUNNING: Gauge, "cinegraph_task_running", ["task"],
        "1 while a background task runs on this instance.";
    SCORE_QUEUE_FILMS: Gauge, "cinegraph_score_queue_films", [],
        "Movies waiting for new scores; every instance reads it from the database.";
    SCORE_QUEUE_AGE: Gauge, "cinegraph_score_queue_oldest_age_seconds", [],
        "Waiting time of the oldest queued movie; every instance reads it from the database.";
    SNAPSHOT_AGE: Gauge, "cinegraph_snapshot_age_seconds", [],
        "Age of the validation snapshot; 0 without a snapshot. Every instance reads it from the database.";
    RECONCILE_DIFFERENCES: Gauge, "cinegraph_score_reconcile_differences", [],
        "Movies whose score the last full refresh on this instance corrected.";

    MODEL_AGE: Gauge, "cinegraph_model_age_seconds", ["list", "ranking"],
        "Age of the data that the served version of a learned ranking was trained on; 0 if none is served.";
    MODEL_SERVED: Gauge, "cinegraph_model_served", ["list", "ranking"],
        "1 if a version of the learned ranking is served. Every instance reads these metrics from the database.";
    MODEL_REFUSALS: Gauge, "cinegraph_model_refusals", ["list", "ranking"],
        "Refused trainings in a row, up to 10: the ranking would not be better than the formula, or not honest.";
    MODEL_TRAINING: Gauge, "cinegraph_model_training_seconds", ["list", "ranking"],
        "Duration of the last training.";
    MODEL_RECALL: Gauge, "cinegraph_model_recall_ratio", ["list", "ranking"],
        "Share of the listed movies that the last training found in decades that it had not seen.";
    MODEL_LOG_LOSS: Gauge, "cinegraph_model_log_loss", ["list", "ranking"],
        "Log loss of the probabilities of the last training, in decades that it had not seen.";
    MODEL_ECE: Gauge, "cinegraph_model_ece_ratio", ["list", "ranking"],
        "Expected calibration error of the last training: how far its probabilities are off on average.";
    MODEL_LEAK_AUC: Gauge, "cinegraph_model_leak_auc_ratio", ["list", "ranking"],
        "How well missing values, ages of values or votes alone tell listed movies from others: 0.5 not at all; 0: not measured.";

    PAGE_DURATION: Histogram(HTTP), "cinegraph_page_duration_seconds", ["phase"],
        "Browser timings of the predictions page: first byte, usable list (both since navigation), reranked list.";

    BUILD_INFO: Gauge, "cinegraph_build_info", ["version", "revision", "schema_hash"],
        "Always 1; the labels identify the running build.";
    MEMORY_LIMIT: Gauge, "cinegraph_memory_limit_bytes", [],
        "Memory limit of the control group; 0 if unlimited.";
    ALLOCATOR: Gauge, "cinegraph_allocator_bytes", ["state"],
        "Memory of the allocator: allocated, in active pages, resident, retained for reuse.";
    TELEMETRY_DROPPED: Counter, "cinegraph_telemetry_dropped_total", ["signal", "reason"],
        "Spans, log lines and data points of metrics that were not delivered. rate_limited: repeated lines, left out on purpose.";
    PROCESS_CPU: Counter, "process_cpu_seconds_total", [],
        "User and system CPU time.";
    PROCESS_MEMORY: Gauge, "process_resident_memory_bytes", [],
        "Resident memory.";
    PROCESS_OPEN_FDS: Gauge, "process_open_fds", [],
        "Open file descriptors.";
    PROCESS_MAX_FDS: Gauge, "process_max_fds", [],
        "Limit of open file descriptors.";
    PROCESS_THREADS: Gauge, "process_threads", [],
        "Operating system threads.";
    PROCESS_START: Gauge, "process_start_time_seconds", [],
        "Start time of the process, as Unix time.";
    SCHEDULE_DELAY: Histogram(DELAY), "tokio_schedule_delay_seconds", [],
        "How much later than due a sleeping task woke, four times a second: high if the process gets too little CPU.";
    TOKIO_WORKERS: Gauge, "tokio_workers", [],
        "Worker threads of the runtime.";
    TOKIO_TASKS: Gauge, "tokio_alive_tasks", [],
        "Tasks alive in the runtime.";
    TOKIO_QUEUE: Gauge, "tokio_global_queue_depth", [],
        "Tasks waiting in Tokio's global queue.";
    TOKIO_BUSY: Counter, "tokio_worker_busy_seconds_total", [],
        "Busy time of all worker threads, summed.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_end_in_total_and_help_ends_with_a_full_stop() {
        for metric in CATALOGUE {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn bucket_bounds_increase() {
        for metric in CATALOGUE {
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.is_sorted_by(|low, high| low < high), "{}", metric.name);
            }
        }
    }
}
