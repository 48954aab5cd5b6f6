//! Every metric on one page: its name, kind, labels, buckets and meaning, and the values its labels may take.
//!
//! Dashboards and alerts use these names literally, so a change here breaks them. A label's values come from an enum of
//! this page or from the names given at start ([`Inventory`](super::Inventory)), never from a client.

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its name; the unit is its suffix.
    pub name: &'static str,
    /// What it measures, as `# HELP` says it.
    pub help: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds, `+Inf` implied. Without bounds the exporter would make a summary, which cannot be added
    /// up across instances.
    Histogram(&'static [f64]),
}

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// All of them, in declaration order.
    const ALL: &'static [Self];

    /// The value as `/metrics` writes it.
    fn as_str(self) -> &'static str;

    /// The place in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),+
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// An HTTP method that we serve, or any other.
    Method { Get = "GET", Post = "POST", Options = "OPTIONS", Other = "_OTHER" }
}

label! {
    /// What a request to `/graphql` did to our promise.
    Slo { Good = "good", Bad = "bad", Excluded = "excluded" }
}

label! {
    /// The type of an operation; unknown until its document is parsed.
    OperationType { Query = "query", Mutation = "mutation", Subscription = "subscription", Unknown = "unknown" }
}

label! {
    /// How an operation ended: `partial` is data with a fault of ours, `rejected` is the client's fault.
    Outcome { Ok = "ok", Partial = "partial", Error = "error", Rejected = "rejected", Cancelled = "cancelled" }
}

label! {
    /// Whether one piece of work was done.
    Done { Ok = "ok", Error = "error" }
}

label! {
    /// The values of `extensions.code`.
    ErrorCode {
        ParseFailed = "GRAPHQL_PARSE_FAILED",
        ValidationFailed = "GRAPHQL_VALIDATION_FAILED",
        BadUserInput = "BAD_USER_INPUT",
        NotFound = "NOT_FOUND",
        Unauthenticated = "UNAUTHENTICATED",
        Forbidden = "FORBIDDEN",
        Conflict = "CONFLICT",
        QueryTooComplex = "QUERY_TOO_COMPLEX",
        PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND",
        RateLimited = "RATE_LIMITED",
        Timeout = "TIMEOUT",
        ServiceUnavailable = "SERVICE_UNAVAILABLE",
        Internal = "INTERNAL",
    }
}

impl ErrorCode {
    /// The code of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Whether the fault is ours and not the client's.
    #[must_use]
    pub fn is_server_fault(self) -> bool {
        matches!(self, Self::Timeout | Self::ServiceUnavailable | Self::Internal)
    }
}

label! {
    /// Why we ended a subscription, or refused one: its client reads too slowly, has too many, we stop, or it failed.
    Dropped { Slow = "slow", Limit = "limit", Shutdown = "shutdown", Error = "error" }
}

label! {
    /// Why a statement failed.
    DbError {
        Timeout = "timeout",
        Connection = "connection",
        Serialization = "serialization",
        Constraint = "constraint",
        Other = "other",
    }
}

label! {
    /// A pool of database connections.
    Pool { Primary = "primary", Replica = "replica" }
}

label! {
    /// What a pooled connection is doing.
    ConnectionState { Idle = "idle", Used = "used" }
}

label! {
    /// Work in the background.
    Task {
        CacheWarm = "cache_warm",
        ScoreDrain = "score_drain",
        ScoreRefresh = "score_refresh",
        SnapshotRefresh = "snapshot_refresh",
        PersonQuality = "person_quality",
    }
}

label! {
    /// How a background task ended; `skipped`: another instance held the lock.
    TaskOutcome { Ok = "ok", Error = "error", Skipped = "skipped" }
}

label! {
    /// A cache.
    CacheName {
        Responses = "responses",
        Columns = "columns",
        Predictions = "predictions",
        Validation = "validation",
        Profiles = "profiles",
        Films = "films",
    }
}

label! {
    /// A tier of a cache: in this process, or shared.
    Layer { L1 = "l1", L2 = "l2" }
}

label! {
    /// What a look-up that a request made came to; `stale`: an old value was served and a refresh started.
    Lookup { HitL1 = "hit_l1", HitL2 = "hit_l2", Stale = "stale", Miss = "miss", Bypass = "bypass" }
}

label! {
    /// What one tier answered.
    LayerResult { Hit = "hit", Miss = "miss", Error = "error", Timeout = "timeout" }
}

label! {
    /// What one tier was asked to do.
    CacheOperation { Get = "get", Set = "set", Delete = "delete" }
}

label! {
    /// Who computes a missing value, and who waits for it.
    FlightRole { Leader = "leader", Follower = "follower" }
}

label! {
    /// What became of a refresh that a stale answer started; `skipped`: another one was under way.
    Revalidation { Ok = "ok", Error = "error", Skipped = "skipped" }
}

label! {
    /// Why a value was stored.
    WriteReason { Miss = "miss", Revalidate = "revalidate", Warm = "warm" }
}

label! {
    /// Why a value left L1.
    Eviction { Capacity = "capacity", Expired = "expired", Invalidated = "invalidated" }
}

label! {
    /// The slowest source that an answer used.
    Source { CacheFresh = "cache_fresh", CacheStale = "cache_stale", Database = "database", Fallback = "fallback" }
}

label! {
    /// What is done with an operation, one after the other.
    Phase { Parse = "parse", Validate = "validate", Execute = "execute" }
}

label! {
    /// Why an operation was refused before it was executed.
    Rejection {
        Syntax = "syntax",
        Validation = "validation",
        Depth = "depth",
        Complexity = "complexity",
        Auth = "auth",
        RateLimit = "rate_limit",
        TooLarge = "too_large",
    }
}

label! {
    /// Memory, from what was asked for to what is only kept.
    Allocated { Allocated = "allocated", Active = "active", Resident = "resident", Retained = "retained" }
}

label! {
    /// What is given a rest when it fails, so that its substitute answers at once.
    BreakerName { CacheL2 = "cache_l2", ScoreTable = "score_table", Replica = "replica" }
}

label! {
    /// What a breaker does with calls: lets them through, lets one try, refuses them.
    BreakerState { Closed = "closed", HalfOpen = "half_open", Open = "open" }
}

label! {
    /// What came of the substitute of something that failed; `shed`: there were too many already.
    Fallback { Ok = "ok", Error = "error", Shed = "shed" }
}

label! {
    /// What a browser waited for on the predictions page.
    PagePhase { Ttfb = "ttfb", FirstList = "first_list", Rerank = "rerank" }
}

label! {
    /// What can get lost on its way out.
    Signal { Spans = "spans", Logs = "logs" }
}

/// The value of a label for whatever was not named at start.
pub const OTHER: &str = "other";

/// The route of a request that no route matches.
pub const UNMATCHED: &str = "unmatched";

/// The route whose requests the availability promise counts.
pub const SLO_ROUTE: &str = "/graphql";

/// The most root fields that get a label value of their own.
pub(super) const FIELD_CEILING: usize = 40;

/// The most statements that get a label value of their own.
pub(super) const QUERY_CEILING: usize = 33;

/// The most data loaders that get a label value of their own.
pub(super) const LOADER_CEILING: usize = 8;

const HTTP: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const FIELD: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
const CACHE: &[f64] = &[0.000_01, 0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1];
const AGE: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
const DB: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];
const JOB: &[f64] = &[0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
const COUNT: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
const SIZE: &[f64] = &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

macro_rules! catalogue {
    ($($id:ident: $kind:ident $(($buckets:ident))?, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        $(pub(super) const $id: Definition = Definition {
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
        "Request in until the last body byte is ready; 499 where the client left before the answer. Probes and scrapes are left out.";
    HTTP_ACTIVE: Gauge, "http_server_active_requests", ["http_request_method"],
        "Requests in flight.";
    HTTP_BODY_SIZE: Histogram(SIZE), "http_server_response_body_size_bytes", ["http_route"],
        "Answer size before compression.";
    SLO_REQUESTS: Counter, "cinegraph_slo_requests_total", ["result"],
        "Requests to /graphql: good, bad (our fault), excluded (the client's).";

    OPERATION_DURATION: Histogram(FAST), "graphql_server_request_duration_seconds",
        ["graphql_operation_type", "outcome"],
        "Time of one operation, parsing included.";
    OPERATION_ACTIVE: Gauge, "graphql_server_request_active", ["graphql_operation_type"],
        "Operations in flight.";
    PHASE_DURATION: Histogram(FIELD), "graphql_server_processing_duration_seconds", ["graphql_processing_type"],
        "Time of each phase of an operation.";
    GRAPHQL_REJECTED: Counter, "cinegraph_graphql_rejected_total", ["reason"],
        "Operations refused before they were executed.";
    COMPLEXITY: Histogram(COUNT), "cinegraph_graphql_complexity", [],
        "Points that operations cost, told before they are executed.";
    DEPTH: Histogram(COUNT), "cinegraph_graphql_depth", [],
        "Levels of fields of operations, introspection not counted.";
    FIELD_DURATION: Histogram(FIELD), "cinegraph_graphql_field_duration_seconds", ["field"],
        "Time of a root field.";
    FIELD_REQUESTS: Counter, "cinegraph_graphql_field_requests_total", ["field", "outcome"],
        "Root fields resolved.";
    GRAPHQL_ERRORS: Counter, "cinegraph_graphql_errors_total", ["code"],
        "Entries in errors, by extensions.code.";
    LOADER_BATCH_SIZE: Histogram(COUNT), "cinegraph_dataloader_batch_size", ["loader"],
        "Keys in one batch.";

    SUBSCRIPTIONS_ACTIVE: Gauge, "cinegraph_subscriptions_active", ["field"],
        "Open subscriptions.";
    SUBSCRIPTIONS_DROPPED: Counter, "cinegraph_subscriptions_dropped_total", ["reason"],
        "Subscriptions that were ended or refused by us.";

    PREDICTION_DURATION: Histogram(FAST), "cinegraph_prediction_duration_seconds", ["source"],
        "Time of requests whose root fields are all predictions, by the slowest source used.";

    CACHE_LOOKUPS: Counter, "cinegraph_cache_lookups_total", ["cache", "result"],
        "Look-ups made by requests.";
    CACHE_LAYER_REQUESTS: Counter, "cinegraph_cache_layer_requests_total", ["cache", "layer", "result"],
        "Tiers asked by requests.";
    CACHE_OPERATION_DURATION: Histogram(CACHE), "cinegraph_cache_operation_duration_seconds", ["layer", "op"],
        "Time inside one tier.";
    CACHE_LOAD_DURATION: Histogram(FAST), "cinegraph_cache_load_duration_seconds", ["cache", "outcome"],
        "Time to compute a missing value.";
    CACHE_SINGLE_FLIGHT: Counter, "cinegraph_cache_single_flight_total", ["cache", "role"],
        "Misses, by who computed the value and who waited for it.";
    CACHE_REVALIDATIONS: Counter, "cinegraph_cache_revalidations_total", ["cache", "outcome"],
        "Refreshes in the background after a stale answer.";
    CACHE_WRITES: Counter, "cinegraph_cache_writes_total", ["cache", "layer", "reason"],
        "Values stored.";
    CACHE_EVICTIONS: Counter, "cinegraph_cache_evictions_total", ["cache", "reason"],
        "Values removed from L1.";
    CACHE_ENTRIES: Gauge, "cinegraph_cache_entries", ["cache"],
        "Values in L1.";
    CACHE_CAPACITY_ENTRIES: Gauge, "cinegraph_cache_capacity_entries", ["cache"],
        "Values that L1 may hold.";
    CACHE_BYTES: Gauge, "cinegraph_cache_estimated_bytes", ["cache"],
        "Estimated size of the values in L1.";
    CACHE_CAPACITY_BYTES: Gauge, "cinegraph_cache_capacity_bytes", ["cache"],
        "Estimated size that L1 may have.";
    CACHE_VALUE_AGE: Histogram(AGE), "cinegraph_cache_value_age_seconds", ["cache"],
        "Age of a value when it is served.";
    CACHE_L2_ENABLED: Gauge, "cinegraph_cache_l2_enabled", [],
        "Whether Redis is configured.";
    CACHE_L2_UP: Gauge, "cinegraph_cache_l2_up", [],
        "Whether Redis answered last time.";

    BREAKER_STATE: Gauge, "cinegraph_circuit_breaker_state", ["breaker", "state"],
        "1 for the state that a circuit breaker is in.";
    BREAKER_TRANSITIONS: Counter, "cinegraph_circuit_breaker_transitions_total", ["breaker", "to"],
        "State changes of a circuit breaker.";
    FALLBACK_REQUESTS: Counter, "cinegraph_fallback_requests_total", ["breaker", "outcome"],
        "Loads by the substitute of what fails or is refused: the direct query, the primary; shed: too many at once.";
    REPLICA_LAG: Gauge, "cinegraph_replica_lag_seconds", [],
        "How far the read replica is behind; 0 where there is none.";

    STATEMENT_DURATION: Histogram(DB), "db_client_operation_duration_seconds", ["query_name"],
        "Statement sent until its last row is read, without waiting for a connection.";
    STATEMENT_ERRORS: Counter, "cinegraph_db_errors_total", ["query_name", "error_type"],
        "Failed statements.";
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
        "Waits for a connection that gave up.";

    TASK_RUNS: Counter, "cinegraph_task_runs_total", ["task", "outcome"],
        "Finished runs of background tasks.";
    TASK_DURATION: Histogram(JOB), "cinegraph_task_duration_seconds", ["task"],
        "Run time of background tasks.";
    TASK_ITEMS: Counter, "cinegraph_task_items_total", ["task", "outcome"],
        "Rows or keys that background tasks worked on.";
    TASK_LAST_SUCCESS: Gauge, "cinegraph_task_last_success_timestamp_seconds", ["task"],
        "When a background task last succeeded on any instance, since the Unix epoch; 0: never.";
    TASK_INTERVAL: Gauge, "cinegraph_task_interval_seconds", ["task"],
        "Planned time between two runs of a background task; 0 where this instance does not run it.";
    TASK_RUNNING: Gauge, "cinegraph_task_running", ["task"],
        "1 while a background task runs here.";
    SCORE_QUEUE_FILMS: Gauge, "cinegraph_score_queue_films", [],
        "Films waiting for new scores.";
    SCORE_QUEUE_AGE: Gauge, "cinegraph_score_queue_oldest_age_seconds", [],
        "How long the first of them has waited.";
    SNAPSHOT_AGE: Gauge, "cinegraph_snapshot_age_seconds", [],
        "Age of what validations read; 0 where there is none.";
    RECONCILE_DIFFERENCES: Gauge, "cinegraph_score_reconcile_differences", [],
        "Films whose score the last check of all films had to correct.";

    PAGE_DURATION: Histogram(HTTP), "cinegraph_page_duration_seconds", ["phase"],
        "What browsers measured on the predictions page: from navigation to the first byte and to a usable list, from a slider to the new order.";

    BUILD_INFO: Gauge, "cinegraph_build_info", ["version", "revision", "schema_hash"],
        "Always 1: which build runs.";
    MEMORY_LIMIT: Gauge, "cinegraph_memory_limit_bytes", [],
        "Memory that the control group allows; 0 where nothing is limited.";
    ALLOCATOR: Gauge, "cinegraph_allocator_bytes", ["state"],
        "Memory as the allocator sees it: asked for, in its pages, resident, kept for later.";
    TELEMETRY_DROPPED: Counter, "cinegraph_telemetry_dropped_total", ["signal"],
        "Spans and log lines that were lost on their way out.";
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
        "Start of the process since the Unix epoch.";
    TOKIO_WORKERS: Gauge, "tokio_workers", [],
        "Worker threads of the runtime.";
    TOKIO_TASKS: Gauge, "tokio_alive_tasks", [],
        "Tasks that the runtime holds.";
    TOKIO_QUEUE: Gauge, "tokio_global_queue_depth", [],
        "Tasks waiting in the global queue.";
    TOKIO_BUSY: Counter, "tokio_worker_busy_seconds_total", [],
        "Time workers were busy, summed over them.";
}
