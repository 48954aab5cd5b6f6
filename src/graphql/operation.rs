//! One operation in flight: its metrics, span and log line, however it ends.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_graphql::ServerError;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::document::{OperationInfo, redact_literals};
use super::document_limits::Size;
use super::error::complete_error;
use super::error_code::ErrorCode;
use super::metrics::{GraphqlMetrics, OperationGuard, OperationType, Outcome, Phase, PredictionSource, Rejection};
use super::response::{ExecutionStatus, OperationResponse};
use crate::cache::Dependencies;
use crate::digest::sha256_hex;
use crate::telemetry::{Label, OperationUsage, integer, is_trace_truncated};

/// Operations that take longer are logged as slow. A choice: the first query of a decade takes 0.3 to 0.4 s with a
/// million movies, and is no reason for a warning.
const SLOW_OPERATION: Duration = Duration::from_millis(500);

/// Cost of an operation in points. A clone travels in the data of the request to the validation, which sets it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost(Arc<OnceLock<usize>>);

impl Cost {
    pub(super) fn set(&self, points: usize) {
        // Cannot fail: an operation is validated once.
        let _ = self.0.set(points);
    }

    pub(super) fn points(&self) -> Option<usize> {
        self.0.get().copied()
    }
}

/// An operation in flight. Dropping it writes its one log line, so cancelled requests are logged as well.
pub(super) struct Operation {
    metrics: GraphqlMetrics,
    guard: OperationGuard,
    /// The request's trace context, for the log lines of an operation that continues or is dropped outside of it.
    context: Context,
    span: Span,
    pub(super) info: Arc<OperationInfo>,
    codes: Vec<ErrorCode>,
    hits: u32,
    stale: u32,
    misses: u32,
    usage: Arc<OperationUsage>,
    cost: Cost,
    status: Option<u16>,
    request_id: Option<String>,
    /// The outcome and, for a prediction, where its result comes from. `None` until [`set_outcome`](Self::set_outcome).
    end: Option<(Outcome, Option<PredictionSource>)>,
}

impl Operation {
    /// Starts an operation. `request_id` is the client's, for the log line.
    pub(super) fn start(metrics: &GraphqlMetrics, request_id: Option<&str>) -> Self {
        let span = tracing::info_span!(
            "operation",
            otel.name = "GraphQL Operation",
            otel.kind = "server",
            otel.status_code = Empty,
            graphql.operation.r#type = Empty,
            graphql.operation.name = Empty,
            graphql.document = Empty,
            graphql.document.hash = Empty,
            cinegraph.graphql.outcome = Empty,
            cinegraph.graphql.complexity = Empty,
            cinegraph.graphql.depth = Empty,
            cinegraph.trace.truncated = Empty,
            error.r#type = Empty,
        );
        Self {
            metrics: metrics.clone(),
            guard: metrics.operation(),
            context: Context::current(),
            span,
            info: Arc::default(),
            codes: Vec::new(),
            hits: 0,
            stale: 0,
            misses: 0,
            usage: Arc::default(),
            cost: Cost::default(),
            status: None,
            request_id: request_id.map(str::to_owned),
            end: None,
        }
    }

    /// Links the span to that of the connection that the operation was received on. The operation is in a trace of its
    /// own, because a connection may last for days.
    pub(super) fn link_to(&self, connection: &SpanContext) {
        self.span.add_link(connection.clone());
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The trace context of the request.
    pub(super) fn context(&self) -> Context {
        self.context.clone()
    }

    /// The counters of the SQL statements that the operation runs.
    pub(super) fn usage(&self) -> Arc<OperationUsage> {
        Arc::clone(&self.usage)
    }

    /// The cell that validation stores the operation's cost in.
    pub(super) fn cost(&self) -> Cost {
        self.cost.clone()
    }

    /// Records the depth, and the redacted document in the span if it is sampled.
    pub(super) fn record_limits(&self, query: &str, size: Size) {
        self.metrics.depth(size.depth);
        if !self.span.is_disabled() {
            self.span.record("cinegraph.graphql.depth", integer(size.depth));
            self.span.record("graphql.document", redact_literals(query));
            self.span.record("graphql.document.hash", sha256_hex(query));
        }
    }

    /// Counts a rejection before execution.
    pub(super) fn rejected(&self, reason: Rejection) {
        self.metrics.rejected(reason);
    }

    /// Sets the operation's metadata.
    pub(super) fn describe(&mut self, info: Arc<OperationInfo>) {
        self.guard.set_kind(info.kind);
        self.info = info;
    }

    /// Records the error codes and the cache usage of a response. A subscription has one response per event.
    pub(super) fn record(&mut self, codes: &[ErrorCode], read: &Dependencies) {
        for &code in codes {
            self.metrics.error(code);
            // A subscription may run for days, so each code is listed once.
            if !self.codes.contains(&code) {
                self.codes.push(code);
            }
        }
        self.hits += read.hits;
        self.stale += read.stale;
        self.misses += read.misses;
    }

    /// Records a hit of the response cache.
    pub(super) fn record_hit(&mut self, info: &Arc<OperationInfo>) {
        self.describe(Arc::clone(info));
        self.hits = 1;
    }

    /// Counts the rejection, and returns the response to it.
    pub(super) fn reject(&mut self, mut error: ServerError, status: ExecutionStatus) -> OperationResponse {
        let code = complete_error(&mut error);
        self.record(&[code], &Dependencies::default());
        if let Some(reason) = rejection(code, &error) {
            self.rejected(reason);
        }
        OperationResponse::rejected(error, status)
    }

    /// Records the end of an operation received by HTTP; the log line has the status of its response.
    pub(super) fn end_with_status(&mut self, response: &OperationResponse, http_status: fn(ExecutionStatus) -> u16) {
        self.status = Some(http_status(response.status));
        self.set_outcome(response.outcome, response.prediction);
    }

    /// Records the outcome, and where the result comes from if the operation is a prediction.
    pub(super) fn set_outcome(&mut self, outcome: Outcome, prediction: Option<PredictionSource>) {
        self.end = Some((outcome, prediction));
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let (outcome, prediction) = self.end.take().unwrap_or_else(|| (Outcome::abandoned(), None));
        let elapsed = self.guard.finish(outcome);
        let OperationInfo { kind, name, root_fields } = &*self.info;
        if *kind != OperationType::Unknown && !self.span.is_disabled() {
            // A started span cannot be renamed through the `otel.name` field.
            self.span.context().span().update_name(kind.as_str());
            self.span.record("graphql.operation.type", kind.as_str());
        }
        self.span.record("graphql.operation.name", name.as_deref());
        self.span.record("cinegraph.graphql.outcome", outcome.as_str());
        let complexity = self.cost.points();
        self.span.record("cinegraph.graphql.complexity", complexity.map(integer));
        if is_trace_truncated(&self.usage) {
            self.span.record("cinegraph.trace.truncated", true);
        }
        if matches!(outcome, Outcome::Error | Outcome::Partial) {
            self.span.record("otel.status_code", "ERROR");
            // Only an operation that a panic drops has no code, see `Outcome::abandoned`.
            let fault = self.codes.iter().find(|code| code.is_server_fault()).or(self.codes.first());
            self.span.record("error.type", fault.map_or("panic", |code| code.as_str()));
        }
        // The log line belongs to the trace of the request, wherever the operation is dropped.
        let _attached = self.context.clone().attach();
        let _entered = self.span.enter();
        tracing::info!(
            operation_type = kind.as_str(),
            operation_name = name,
            root_fields = root_fields.join(","),
            outcome = outcome.as_str(),
            error_codes = self.codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(","),
            status = self.status,
            request_id = self.request_id,
            duration_ms = milliseconds(elapsed),
            complexity,
            cache_hits = self.hits,
            cache_stale = self.stale,
            cache_misses = self.misses,
            db_queries = self.usage.statements(),
            db_ms = milliseconds(self.usage.time()),
            source = prediction.map(|prediction| prediction.source.as_str()),
            "graphql operation"
        );
        if elapsed > SLOW_OPERATION && *kind != OperationType::Subscription {
            // What the line above says and this one needs too: filters and alerts often keep warnings only.
            tracing::warn!(
                operation_name = name,
                root_fields = root_fields.join(","),
                request_id = self.request_id,
                duration_ms = milliseconds(elapsed),
                db_ms = milliseconds(self.usage.time()),
                limit_ms = milliseconds(SLOW_OPERATION),
                "slow operation"
            );
        }
    }
}

/// Metric label of a rejection; `None` for an unknown persisted query, which is part of the protocol: the client
/// sends the document next.
fn rejection(code: ErrorCode, error: &ServerError) -> Option<Rejection> {
    // The extensions of the error name the limit that was exceeded.
    let is_about = |figure| error.extensions.as_ref().is_some_and(|extensions| extensions.get(figure).is_some());
    match code {
        ErrorCode::PersistedQueryNotFound => None,
        ErrorCode::ParseFailed => Some(Rejection::Syntax),
        ErrorCode::Forbidden | ErrorCode::Unauthenticated => Some(Rejection::Auth),
        ErrorCode::QueryTooComplex if is_about("depth") || is_about("nesting") => Some(Rejection::Depth),
        ErrorCode::QueryTooComplex if is_about("tokens") => Some(Rejection::TooLarge),
        ErrorCode::QueryTooComplex => Some(Rejection::Complexity),
        _ => Some(Rejection::Validation),
    }
}

/// Runs one phase of an operation in its own span and records its duration.
pub(super) async fn instrument_phase<T>(metrics: &GraphqlMetrics, phase: Phase, work: impl Future<Output = T>) -> T {
    let name = phase.as_str();
    let span = tracing::info_span!("phase", otel.name = format!("graphql {name}"), graphql.processing.r#type = name);
    let started = Instant::now();
    let output = work.instrument(span).await;
    metrics.phase(phase, started.elapsed());
    output
}

/// Milliseconds, rounded to three decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
