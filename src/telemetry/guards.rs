//! Guards that measure requests, operations, statements and tasks. A guard records in its drop, because a client that
//! disconnects drops the handler's future, and code after its `.await` never runs.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::metrics::{Label, SLO_ROUTE, Status};
use super::registry::{Metrics, number};
use super::usage::OperationUsage;
use crate::graphql::{OperationEnd, OperationType, Outcome};
use crate::http::{Method, Slo};
use crate::jobs::TaskOutcome;
use crate::store::{FailureKind, Pool, Task};

/// Minimum duration of a wait for a connection to have a span.
const LONG_WAIT: Duration = Duration::from_millis(1);

/// Status counted when the client disconnects before the response, as in nginx logs.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Metrics {
    /// Starts measuring a request to `route`, the template of the path.
    #[must_use]
    pub fn http_request(&self, method: Method, route: Cow<'static, str>) -> HttpRequestGuard {
        self.0.http_active.at(method).increment(1.0);
        HttpRequestGuard {
            metrics: self.clone(),
            started: Instant::now(),
            method,
            route,
            response: None,
            bytes: 0,
            complete: false,
        }
    }

    /// Starts measuring an operation whose type is not known yet.
    #[must_use]
    pub fn operation(&self) -> OperationGuard {
        let kind = OperationType::Unknown;
        self.0.operations.at(kind).active.increment(1.0);
        OperationGuard { metrics: self.clone(), started: Instant::now(), kind, finished: false }
    }

    /// Starts measuring a root field.
    #[must_use]
    pub fn field(&self, field: &'static str) -> FieldGuard {
        FieldGuard { metrics: self.clone(), started: Instant::now(), field, status: Status::Error }
    }

    /// Counts a subscription as open until it is dropped.
    #[must_use]
    pub fn subscription(&self, field: &'static str) -> SubscriptionGuard {
        self.0.fields.get(field).1.subscriptions.increment(1.0);
        SubscriptionGuard { metrics: self.clone(), field }
    }

    /// Starts measuring a statement, from when it is sent.
    #[must_use]
    pub fn statement(&self, query_name: &'static str) -> StatementGuard {
        let span = tracing::info_span!(
            "statement",
            otel.name = query_name,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "postgresql",
            db.namespace = Empty,
            db.operation.name = Empty,
            db.query.summary = Empty,
            db.query.text = Empty,
            cinegraph.db.query_name = query_name,
            db.response.returned_rows = Empty,
            db.response.status_code = Empty,
            error.r#type = Empty,
            server.address = Empty,
            server.port = Empty,
        );
        StatementGuard { metrics: self.clone(), started: Instant::now(), query_name, span }
    }

    /// Starts measuring a wait for a connection of `pool`.
    #[must_use]
    pub fn connection_wait(&self, pool: Pool) -> WaitGuard {
        self.0.pools.at(pool).pending.increment(1.0);
        WaitGuard { metrics: self.clone(), started: Instant::now(), pool }
    }

    /// Starts measuring a run of a background task.
    #[must_use]
    pub fn task(&self, task: Task) -> TaskGuard {
        self.0.tasks.at(task).running.increment(1.0);
        TaskGuard { metrics: self.clone(), started: Instant::now(), task, outcome: TaskOutcome::Error }
    }
}

/// A request in flight. If it is dropped before [`sent_all`](Self::sent_all), the client has disconnected.
#[derive(Debug)]
pub struct HttpRequestGuard {
    metrics: Metrics,
    started: Instant,
    method: Method,
    route: Cow<'static, str>,
    response: Option<(u16, Option<OperationEnd>)>,
    bytes: u64,
    complete: bool,
}

impl HttpRequestGuard {
    /// Records that the response head is ready; `end` is set if the request ran an operation.
    pub fn response_started(&mut self, status: u16, end: Option<OperationEnd>) {
        self.response = Some((status, end));
    }

    /// Records that `bytes` of the body are ready.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Records that the whole body is ready.
    pub fn sent_all(mut self) {
        self.complete = true;
    }

    fn slo(&self) -> Slo {
        match self.response.map(|(status, end)| (status, end.map(|end| end.outcome))) {
            Some((500.., _) | (_, Some(Outcome::Error | Outcome::Partial))) => Slo::Bad,
            Some((status, None | Some(Outcome::Ok))) if status < 400 && self.complete => Slo::Good,
            None if std::thread::panicking() => Slo::Bad,
            _ => Slo::Excluded,
        }
    }
}

impl Drop for HttpRequestGuard {
    fn drop(&mut self) {
        let registry = &self.metrics.0;
        registry.http_active.at(self.method).decrement(1.0);
        if self.route == SLO_ROUTE {
            registry.slo.at(self.slo()).increment(1);
        }
        let status = self.response.map_or(CLIENT_CLOSED_REQUEST, |(status, _)| status);
        let elapsed = self.started.elapsed();
        registry.record_response(self.method, &self.route, status, elapsed);
        if let Some((_, Some(OperationEnd { outcome: Outcome::Ok, prediction: Some(source) }))) = self.response {
            self.metrics.prediction(source, elapsed);
        }
        if self.complete {
            registry.record_response_size(&self.route, self.bytes);
        }
    }
}

/// An operation in flight. If it is dropped unfinished, its outcome is [`Outcome::abandoned`].
#[derive(Debug)]
pub struct OperationGuard {
    metrics: Metrics,
    started: Instant,
    kind: OperationType,
    finished: bool,
}

impl OperationGuard {
    /// Sets the type of the operation, once the document is parsed.
    pub fn kind(&mut self, kind: OperationType) {
        let operations = &self.metrics.0.operations;
        operations.at(self.kind).active.decrement(1.0);
        operations.at(kind).active.increment(1.0);
        self.kind = kind;
    }

    /// Records the outcome, and returns the time since the start. Only the first call records.
    pub fn finish(&mut self, outcome: Outcome) -> Duration {
        let elapsed = self.started.elapsed();
        if !std::mem::replace(&mut self.finished, true) {
            let handles = self.metrics.0.operations.at(self.kind);
            handles.active.decrement(1.0);
            handles.duration.at(outcome).record(elapsed);
        }
        elapsed
    }
}

impl Drop for OperationGuard {
    fn drop(&mut self) {
        self.finish(Outcome::abandoned());
    }
}

/// A root field being resolved. If it is dropped unfinished, it counts as an error.
#[derive(Debug)]
pub struct FieldGuard {
    metrics: Metrics,
    started: Instant,
    field: &'static str,
    status: Status,
}

impl FieldGuard {
    /// Records the end.
    pub fn finish(mut self, status: Status) {
        self.status = status;
    }
}

impl Drop for FieldGuard {
    fn drop(&mut self) {
        let (_, handles) = self.metrics.0.fields.get(self.field);
        handles.duration.record(self.started.elapsed());
        handles.requests.at(self.status).increment(1);
    }
}

/// An open subscription.
#[derive(Debug)]
pub struct SubscriptionGuard {
    metrics: Metrics,
    field: &'static str,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.metrics.0.fields.get(self.field).1.subscriptions.decrement(1.0);
    }
}

/// A running statement. If it is dropped unfinished, because its request was cancelled, only its time is recorded.
#[derive(Debug)]
pub struct StatementGuard {
    metrics: Metrics,
    started: Instant,
    query_name: &'static str,
    span: Span,
}

impl StatementGuard {
    /// Adds the server's address to the span.
    pub fn sent_to(&self, host: &str, port: u16, database: Option<&str>) {
        self.span.record("server.address", host);
        self.span.record("server.port", port);
        self.span.record("db.namespace", database);
    }

    /// Adds the SQL text, which has placeholders instead of values, to the span.
    pub fn sends(&self, sql: &str) {
        if self.span.is_disabled() {
            return;
        }
        let operation = match sql.split_whitespace().next().unwrap_or_default() {
            "WITH" => "SELECT",
            word => word,
        };
        let summary = format!("{operation} {}", self.query_name);
        self.span.record("db.operation.name", operation);
        self.span.record("db.query.summary", &summary);
        self.span.record("db.query.text", sql);
        self.span.context().span().update_name(summary);
    }

    /// Records that all rows are read, and returns the time since the start.
    #[must_use = "slow statements are logged"]
    pub fn finish_ok(self, rows: usize) -> Duration {
        self.span.record("db.response.returned_rows", rows);
        self.metrics.0.queries.get(self.query_name).1.rows.record(number(rows));
        self.started.elapsed()
    }

    /// Records a failure, with the SQLSTATE if the server reported one.
    pub fn finish_err(self, error: FailureKind, sqlstate: Option<&str>) {
        self.span.record("otel.status_code", "ERROR");
        self.span.record("error.type", error.as_str());
        self.span.record("db.response.status_code", sqlstate);
        self.metrics.0.queries.get(self.query_name).1.errors.at(error).increment(1);
    }
}

impl Drop for StatementGuard {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.0.queries.get(self.query_name).1.duration.record(took);
        OperationUsage::record_statement(took);
    }
}

/// A task that waits for a connection. If it is dropped unfinished, only the number of waiting tasks changes.
#[derive(Debug)]
pub struct WaitGuard {
    metrics: Metrics,
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

/// Adds a span of the wait to the current trace, if the wait was long.
fn trace_wait(waited: Duration) {
    let trace = Context::current();
    if waited > LONG_WAIT && trace.span().is_recording() && OperationUsage::allows_span() {
        let started = SystemTime::now().checked_sub(waited).unwrap_or_else(SystemTime::now);
        let tracer = super::tracer();
        SpanBuilder::from_name("db pool acquire").with_start_time(started).start_with_context(&tracer, &trace).end();
    }
}

/// A run of a background task. If it is dropped unfinished, it counts as an error.
#[derive(Debug)]
pub struct TaskGuard {
    metrics: Metrics,
    started: Instant,
    task: Task,
    outcome: TaskOutcome,
}

impl TaskGuard {
    /// Counts processed rows or keys.
    pub fn items(&self, status: Status, count: u64) {
        self.metrics.0.tasks.at(self.task).items.at(status).increment(count);
    }

    /// Records the outcome, and returns the time since the start.
    #[must_use = "the end of a task is logged with it"]
    pub fn finish(mut self, outcome: TaskOutcome) -> Duration {
        self.outcome = outcome;
        self.started.elapsed()
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let handles = self.metrics.0.tasks.at(self.task);
        handles.running.decrement(1.0);
        handles.duration.record(self.started.elapsed());
        handles.runs.at(self.outcome).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Inventory;

    fn metrics() -> Metrics {
        Metrics::new(&Inventory { fields: &["predictions"], loaders: &[], queries: &["film"] }).unwrap()
    }

    fn assert_has(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.render();
        for line in lines {
            assert!(text.lines().any(|have| have == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_request_is_active_until_its_last_byte() {
        let metrics = metrics();

        let mut request = metrics.http_request(Method::Post, "/graphql".into());
        request.response_started(200, Some(OperationEnd { outcome: Outcome::Ok, prediction: None }));
        request.sent(300);
        assert_has(&metrics, &[r#"http_server_active_requests{http_request_method="POST"} 1"#]);
        request.sent_all();

        assert_has(
            &metrics,
            &[
                r#"http_server_active_requests{http_request_method="POST"} 0"#,
                r#"http_server_response_body_size_bytes_sum{http_route="/graphql"} 300"#,
                r#"cinegraph_slo_requests_total{result="good"} 1"#,
            ],
        );
    }

    #[test]
    fn a_request_is_good_bad_or_excluded() {
        let cases = [
            (200, Some(Outcome::Ok), "good"),
            (200, None, "good"),
            (200, Some(Outcome::Rejected), "excluded"),
            (413, None, "excluded"),
            (200, Some(Outcome::Partial), "bad"),
            (200, Some(Outcome::Error), "bad"),
            (500, None, "bad"),
        ];
        for (status, outcome, result) in cases {
            let metrics = metrics();
            let mut request = metrics.http_request(Method::Post, "/graphql".into());
            request.response_started(status, outcome.map(|outcome| OperationEnd { outcome, prediction: None }));
            request.sent_all();
            assert_has(&metrics, &[&format!(r#"cinegraph_slo_requests_total{{result="{result}"}} 1"#)]);
        }
    }

    #[test]
    fn a_client_that_disconnects_counts_as_499_and_is_excluded() {
        let metrics = metrics();

        drop(metrics.http_request(Method::Post, "/graphql".into()));

        assert_has(
            &metrics,
            &[
                r#"http_server_request_duration_seconds_count{http_request_method="POST",http_route="/graphql",http_response_status_code="499"} 1"#,
                r#"cinegraph_slo_requests_total{result="excluded"} 1"#,
                r#"http_server_active_requests{http_request_method="POST"} 0"#,
            ],
        );
    }

    #[test]
    fn an_operation_is_counted_once_under_its_type() {
        let metrics = metrics();

        let mut finished = metrics.operation();
        finished.kind(OperationType::Query);
        finished.finish(Outcome::Ok);
        drop(finished);
        drop(metrics.operation());

        assert_has(
            &metrics,
            &[
                r#"graphql_server_request_duration_seconds_count{graphql_operation_type="query",outcome="ok"} 1"#,
                r#"graphql_server_request_duration_seconds_count{graphql_operation_type="query",outcome="cancelled"} 0"#,
                r#"graphql_server_request_duration_seconds_count{graphql_operation_type="unknown",outcome="cancelled"} 1"#,
                r#"graphql_server_request_active{graphql_operation_type="query"} 0"#,
                r#"graphql_server_request_active{graphql_operation_type="unknown"} 0"#,
            ],
        );
    }

    #[test]
    fn an_operation_that_panics_is_an_error() {
        let metrics = metrics();
        let inside = metrics.clone();

        let panicked = std::thread::spawn(move || {
            let _operation = inside.operation();
            panic!("resolver panicked");
        });

        assert!(panicked.join().is_err());
        assert_has(
            &metrics,
            &[r#"graphql_server_request_duration_seconds_count{graphql_operation_type="unknown",outcome="error"} 1"#],
        );
    }

    #[test]
    fn fields_statements_and_tasks_record_their_outcome() {
        let metrics = metrics();

        metrics.field("predictions").finish(Status::Ok);
        drop(metrics.field("predictions"));
        let _ = metrics.statement("film").finish_ok(25);
        metrics.statement("unknown").finish_err(FailureKind::Timeout, None);
        let run = metrics.task(Task::ScoreRefresh);
        run.items(Status::Ok, 3);
        assert_has(&metrics, &[r#"cinegraph_task_running{task="score_refresh"} 1"#]);
        let _ = run.finish(TaskOutcome::Skipped);

        assert_has(
            &metrics,
            &[
                r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="ok"} 1"#,
                r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="error"} 1"#,
                r#"db_client_response_returned_rows_sum{query_name="film"} 25"#,
                r#"db_client_operation_duration_seconds_count{query_name="film"} 1"#,
                r#"cinegraph_db_errors_total{query_name="other",error_type="timeout"} 1"#,
                r#"cinegraph_task_runs_total{task="score_refresh",outcome="skipped"} 1"#,
                r#"cinegraph_task_items_total{task="score_refresh",outcome="ok"} 3"#,
                r#"cinegraph_task_running{task="score_refresh"} 0"#,
            ],
        );
    }

    #[test]
    fn a_connection_wait_is_acquired_timed_out_or_dropped() {
        let metrics = metrics();
        let pending = r#"db_client_connection_pending_requests{pool="primary"}"#;

        let (acquired, timed_out, dropped) = (
            metrics.connection_wait(Pool::Primary),
            metrics.connection_wait(Pool::Primary),
            metrics.connection_wait(Pool::Primary),
        );
        assert_has(&metrics, &[&format!("{pending} 3")]);
        acquired.acquired();
        timed_out.timed_out();
        drop(dropped);

        assert_has(
            &metrics,
            &[
                &format!("{pending} 0"),
                r#"db_client_connection_wait_time_seconds_count{pool="primary"} 1"#,
                r#"db_client_connection_timeouts_total{pool="primary"} 1"#,
            ],
        );
    }
}
