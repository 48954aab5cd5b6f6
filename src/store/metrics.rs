//! Metrics of statements and connections: instruments, guards and label values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::error::FailureKind;
use super::query_name::QueryName;
use super::statement_text::{StatementTexts, TextSummary};
use crate::telemetry::{
    self, ByLabel, Counter, Gauge, Histogram, Label as _, OperationUsage, ReadableGauge, Recorder, catalogue, integer,
    label, number,
};

/// A wait for a connection gets a span if it takes longer. A choice: getting a free connection takes less.
const LONG_WAIT: Duration = Duration::from_millis(1);

label! {
    /// A pool of database connections.
    Pool { Primary = "primary", Replica = "replica" }
}

label! {
    /// State of a pooled connection.
    ConnectionState { Idle = "idle", Used = "used" }
}

/// Connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Open connections that are not in use.
    pub idle: f64,
    /// Connections in use.
    pub used: f64,
    /// Maximum number of connections; 0 if the pool is not configured.
    pub max: f64,
}

/// Metrics of statements and connections. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct StoreMetrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    queries: ByLabel<QueryName, StatementInstruments>,
    /// Number of statements that were sent and have ended, cancelled ones included.
    count: AtomicU64,
    pools: ByLabel<Pool, PoolInstruments>,
    replica_lag: Gauge,
    identity_changes: Counter,
    abandoned: Counter,
    exhausted: Gauge,
}

#[derive(Debug)]
struct StatementInstruments {
    duration: Histogram,
    rows: Histogram,
    errors: ByLabel<FailureKind, Counter>,
}

#[derive(Debug)]
struct PoolInstruments {
    up: Gauge,
    connections: ByLabel<ConnectionState, ReadableGauge>,
    max: ReadableGauge,
    pending: Gauge,
    wait: Histogram,
    timeouts: Counter,
}

impl StoreMetrics {
    /// The instruments of all statements and pools.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(Arc::new(Instruments {
            queries: ByLabel::of(|query: QueryName| StatementInstruments {
                duration: recorder.histogram(&catalogue::STATEMENT_DURATION, &[query.as_str()]),
                rows: recorder.histogram(&catalogue::STATEMENT_ROWS, &[query.as_str()]),
                errors: recorder.counters(&catalogue::STATEMENT_ERRORS, &[query.as_str()]),
            }),
            count: AtomicU64::new(0),
            pools: ByLabel::of(|pool: Pool| PoolInstruments::new(recorder, pool.as_str())),
            replica_lag: recorder.gauge(&catalogue::REPLICA_LAG, &[]),
            identity_changes: recorder.counter(&catalogue::IDENTITY_CHANGES, &[]),
            exhausted: recorder.gauge(&catalogue::POOL_EXHAUSTED, &[]),
            abandoned: recorder.counter(&catalogue::CONNECTIONS_ABANDONED, &[]),
        }))
    }

    /// Starts measuring a statement. To be called when it is sent.
    #[must_use]
    pub fn statement(&self, query_name: QueryName) -> StatementGuard {
        let span = tracing::info_span!(
            "statement",
            otel.name = query_name.as_str(),
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "postgresql",
            db.namespace = Empty,
            db.operation.name = Empty,
            db.collection.name = Empty,
            db.query.summary = Empty,
            db.query.text = Empty,
            cinegraph.db.query_name = query_name.as_str(),
            db.response.returned_rows = Empty,
            db.response.status_code = Empty,
            error.r#type = Empty,
            server.address = Empty,
            server.port = Empty,
        );
        let texts = Arc::new(StatementTexts::new(query_name, !span.is_disabled()));
        StatementGuard { metrics: self.clone(), started: Instant::now(), query_name, span, texts, sent: true }
    }

    /// Starts measuring a wait for a connection of `pool`.
    #[must_use]
    pub fn connection_wait(&self, pool: Pool) -> WaitGuard {
        self.0.pools.at(pool).pending.increment(1.0);
        WaitGuard { metrics: self.clone(), started: Instant::now(), pool }
    }

    /// Sets the number of connections of `pool` by state, and the maximum.
    pub fn connections(&self, pool: Pool, idle: usize, used: usize, max: usize) {
        let pool = self.0.pools.at(pool);
        pool.connections.at(ConnectionState::Idle).set(number(idle));
        pool.connections.at(ConnectionState::Used).set(number(used));
        pool.max.set(number(max));
    }

    /// Sets whether the server of `pool` responded to the last ping.
    pub fn up(&self, pool: Pool, up: bool) {
        self.0.pools.at(pool).up.set(if up { 1.0 } else { 0.0 });
    }

    /// Sets the replication lag of the replica.
    pub fn replica_lag(&self, lag: Duration) {
        self.0.replica_lag.set(lag.as_secs_f64());
    }

    /// Counts that the database turned out to have another identity.
    pub fn identity_changed(&self) {
        self.0.identity_changes.increment(1);
    }

    /// Counts a connection that is closed because its server did not respond in time.
    pub fn connection_abandoned(&self) {
        self.0.abandoned.increment(1);
    }

    /// Sets whether the pool of requests is exhausted although the database responds.
    pub fn pool_exhausted(&self, exhausted: bool) {
        self.0.exhausted.set(if exhausted { 1.0 } else { 0.0 });
    }

    /// The connections of `pool` when they were last measured, for `/status`.
    #[must_use]
    pub fn pool_status(&self, pool: Pool) -> PoolStatus {
        let pool = self.0.pools.at(pool);
        let connections = |state| pool.connections.at(state).value();
        let (idle, used) = (connections(ConnectionState::Idle), connections(ConnectionState::Used));
        PoolStatus { idle, used, max: pool.max.value() }
    }

    /// Number of statements that have ended, cancelled ones included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }
}

impl PoolInstruments {
    fn new(recorder: &Recorder, pool: &str) -> Self {
        Self {
            up: recorder.gauge(&catalogue::DB_UP, &[pool]),
            connections: ByLabel::of(|state: ConnectionState| {
                recorder.gauge(&catalogue::CONNECTIONS, &[state.as_str(), pool]).into()
            }),
            max: recorder.gauge(&catalogue::CONNECTION_MAX, &[pool]).into(),
            pending: recorder.gauge(&catalogue::CONNECTION_PENDING, &[pool]),
            wait: recorder.histogram(&catalogue::CONNECTION_WAIT, &[pool]),
            timeouts: recorder.counter(&catalogue::CONNECTION_TIMEOUTS, &[pool]),
        }
    }
}

/// A running statement. If it is dropped unfinished, because its request was cancelled, it is counted and timed,
/// without rows or error.
#[derive(Debug)]
pub struct StatementGuard {
    metrics: StoreMetrics,
    started: Instant,
    query_name: QueryName,
    span: Span,
    texts: Arc<StatementTexts>,
    /// Whether the statement is sent to the server.
    sent: bool,
}

impl StatementGuard {
    /// Adds the server's address to the span.
    pub fn sent_to(&self, host: &str, port: u16, database: Option<&str>) {
        self.span.record("server.address", host);
        self.span.record("server.port", i64::from(port));
        self.span.record("db.namespace", database);
    }

    /// Receives the SQL texts of the statements, which the span tells.
    pub(super) fn texts(&self) -> Arc<StatementTexts> {
        Arc::clone(&self.texts)
    }

    fn trace_texts(&self) {
        let Some(TextSummary { operation, collection, text }) = self.texts.summary() else { return };
        let summary = format!("{operation} {}", self.query_name);
        self.span.record("db.operation.name", operation);
        self.span.record("db.collection.name", collection);
        self.span.record("db.query.summary", &summary);
        self.span.record("db.query.text", text);
        // The semantic conventions of OpenTelemetry name a database span by its summary.
        self.span.context().span().update_name(summary);
    }

    /// Records that all rows are read, and returns the time since the start.
    #[must_use = "slow statements are logged"]
    pub fn finish_ok(self, rows: usize) -> Duration {
        self.span.record("db.response.returned_rows", integer(rows));
        self.metrics.0.queries.at(self.query_name).rows.record(number(rows));
        self.started.elapsed()
    }

    /// Records a failure, with the SQLSTATE if the server reported one.
    pub fn finish_err(self, error: FailureKind, sqlstate: Option<&str>) {
        self.span.record("otel.status_code", "ERROR");
        self.span.record("error.type", error.as_str());
        self.span.record("db.response.status_code", sqlstate);
        self.metrics.0.queries.at(self.query_name).errors.at(error).increment(1);
    }

    /// Records that the statement failed because it got no connection. It counts as failed, but has no duration: many
    /// failures in no time would make the statements of an outage look fast.
    pub fn finish_unsent(mut self) {
        self.sent = false;
        self.finish_err(FailureKind::Connection, None);
    }
}

impl Drop for StatementGuard {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.trace_texts();
        if !self.sent {
            return;
        }
        self.metrics.0.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.0.queries.at(self.query_name).duration.record(took);
        OperationUsage::record_statement(took);
    }
}

/// A task that waits for a connection. If it is dropped unfinished, only the number of waiting tasks changes.
#[derive(Debug)]
pub struct WaitGuard {
    metrics: StoreMetrics,
    started: Instant,
    pool: Pool,
}

impl WaitGuard {
    /// Records that the task has a connection.
    pub fn acquired(self) {
        let waited = self.started.elapsed();
        self.metrics.0.pools.at(self.pool).wait.record(waited);
        trace_wait(waited);
    }

    /// Records that the wait timed out.
    pub fn timed_out(self) {
        self.metrics.0.pools.at(self.pool).timeouts.increment(1);
        trace_wait(self.started.elapsed());
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.metrics.0.pools.at(self.pool).pending.decrement(1.0);
    }
}

/// Adds a span of the wait to the current trace, if the wait was long. The span is created after the wait, with the
/// time at which it began, because only then is it known whether the wait was long.
fn trace_wait(waited: Duration) {
    let trace = Context::current();
    if waited > LONG_WAIT && trace.span().is_recording() && telemetry::count_span_within_limit() {
        let started = SystemTime::now().checked_sub(waited).unwrap_or_else(SystemTime::now);
        let tracer = telemetry::tracer();
        SpanBuilder::from_name("db pool acquire").with_start_time(started).start_with_context(&tracer, &trace).end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> (StoreMetrics, Recorder) {
        let recorder = Recorder::new().unwrap();
        (StoreMetrics::new(&recorder), recorder)
    }

    fn assert_has(recorder: &Recorder, lines: &[&str]) {
        let text = recorder.render();
        for line in lines {
            assert!(text.lines().any(|have| have == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_statement_records_its_outcome() {
        let (metrics, recorder) = metrics();

        let _ = metrics.statement(QueryName::Lists).finish_ok(25);
        metrics.statement(QueryName::Snapshot).finish_err(FailureKind::Timeout, None);

        assert_eq!(metrics.statements(), 2);
        assert_has(
            &recorder,
            &[
                r#"db_client_response_returned_rows_sum{query_name="lists"} 25"#,
                r#"db_client_operation_duration_seconds_count{query_name="lists"} 1"#,
                r#"cinegraph_db_errors_total{query_name="snapshot",error_type="timeout"} 1"#,
            ],
        );
    }

    #[tokio::test]
    async fn a_statement_that_is_not_sent_is_an_error_without_a_duration() {
        let (metrics, recorder) = metrics();
        let usage = Arc::new(OperationUsage::default());

        let fail = async { metrics.statement(QueryName::Lists).finish_unsent() };
        Arc::clone(&usage).scope(fail).await;

        assert_eq!((metrics.statements(), usage.statements()), (0, 0));
        assert_has(
            &recorder,
            &[
                r#"db_client_operation_duration_seconds_count{query_name="lists"} 0"#,
                r#"cinegraph_db_errors_total{query_name="lists",error_type="connection"} 1"#,
            ],
        );
    }

    #[test]
    fn a_connection_wait_is_acquired_timed_out_or_dropped() {
        let (metrics, recorder) = metrics();
        let pending = r#"db_client_connection_pending_requests{pool="primary"}"#;

        let (acquired, timed_out, dropped) = (
            metrics.connection_wait(Pool::Primary),
            metrics.connection_wait(Pool::Primary),
            metrics.connection_wait(Pool::Primary),
        );
        assert_has(&recorder, &[&format!("{pending} 3")]);
        acquired.acquired();
        timed_out.timed_out();
        drop(dropped);

        assert_has(
            &recorder,
            &[
                &format!("{pending} 0"),
                r#"db_client_connection_wait_time_seconds_count{pool="primary"} 1"#,
                r#"db_client_connection_timeouts_total{pool="primary"} 1"#,
            ],
        );
    }
}
