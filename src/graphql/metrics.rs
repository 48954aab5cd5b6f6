//! Metrics of operations: instruments, guards and label values.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error_code::ErrorCode;
use crate::cache::{DataSource, Selection};
use crate::telemetry::{
    ByLabel, ByName, Counter, Gauge, Histogram, Label as _, Recorder, Status, catalogue, label, number,
};

label! {
    /// The type of an operation; unknown until its document is parsed.
    OperationType { Query = "query", Mutation = "mutation", Subscription = "subscription", Unknown = "unknown" }
}

label! {
    /// How an operation ended. `partial`: with data and server errors; `error`: with server errors and no data;
    /// `rejected`: with client errors only; `cancelled`: the client left.
    Outcome { Ok = "ok", Partial = "partial", Error = "error", Rejected = "rejected", Cancelled = "cancelled" }
}

label! {
    /// A phase of an operation. The values are in the order of the phases.
    Phase { Parse = "parse", Validate = "validate", Execute = "execute" }
}

label! {
    /// Why an operation was rejected before execution.
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
    /// Why a subscription was ended or rejected: slow client, too many subscriptions, shutdown or an error.
    Dropped { Slow = "slow", Limit = "limit", Shutdown = "shutdown", Error = "error" }
}

label! {
    /// Why an admin token was rejected. `invalid`: it is unknown; `rate_limit`: it was not checked, because the client
    /// has sent too many unknown tokens.
    TokenRejection { Invalid = "invalid", RateLimit = "rate_limit" }
}

impl Outcome {
    /// Outcome of an operation whose future is dropped before it has ended: [`Outcome::Error`] if a panic drops it,
    /// otherwise [`Outcome::Cancelled`], since the client has left.
    #[must_use]
    pub fn abandoned() -> Self {
        if std::thread::panicking() { Self::Error } else { Self::Cancelled }
    }
}

/// How the operation of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationEnd {
    /// Success, or the kind of failure.
    pub outcome: Outcome,
    /// Where the result comes from, if all root fields are predictions; `None` otherwise.
    pub prediction: Option<PredictionSource>,
}

/// Labels of the metric of predictions: where a result comes from, and whose weights it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictionSource {
    /// The slowest source used; [`DataSource::Memory`] if none was.
    pub source: DataSource,
    /// Weights of a profile, or custom ones.
    pub selection: Selection,
}

/// Metrics of operations. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct GraphqlMetrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    operations: ByLabel<OperationType, OperationInstruments>,
    fields: ByName<FieldInstruments>,
    subscriptions: HashMap<&'static str, Gauge>,
    loaders: ByName<Histogram>,
    errors: ByLabel<ErrorCode, Counter>,
    rejected: ByLabel<Rejection, Counter>,
    phases: ByLabel<Phase, Histogram>,
    complexity: Histogram,
    depth: Histogram,
    subscriptions_dropped: ByLabel<Dropped, Counter>,
    predictions: ByLabel<DataSource, ByLabel<Selection, Histogram>>,
    admin_tokens_rejected: ByLabel<TokenRejection, Counter>,
}

#[derive(Debug)]
struct OperationInstruments {
    active: Gauge,
    duration: ByLabel<Outcome, Histogram>,
}

#[derive(Debug)]
struct FieldInstruments {
    duration: Histogram,
    requests: ByLabel<Status, Counter>,
}

impl GraphqlMetrics {
    /// The instruments of a schema with these root fields and data loaders. All other names are recorded as `other`.
    /// `subscriptions` are the root fields that are subscriptions.
    #[must_use]
    pub fn new(
        recorder: &Recorder,
        fields: &[&'static str],
        subscriptions: &[&'static str],
        loaders: &[&'static str],
    ) -> Self {
        Self(Arc::new(Instruments {
            operations: ByLabel::of(|kind: OperationType| OperationInstruments {
                active: recorder.gauge(&catalogue::OPERATION_ACTIVE, &[kind.as_str()]),
                duration: recorder.histograms(&catalogue::OPERATION_DURATION, &[kind.as_str()]),
            }),
            fields: ByName::of(fields, |field| FieldInstruments {
                duration: recorder.histogram(&catalogue::FIELD_DURATION, &[field]),
                requests: recorder.counters(&catalogue::FIELD_REQUESTS, &[field]),
            }),
            subscriptions: subscriptions
                .iter()
                .map(|&field| (field, recorder.gauge(&catalogue::SUBSCRIPTIONS_ACTIVE, &[field])))
                .collect(),
            loaders: ByName::of(loaders, |loader| recorder.histogram(&catalogue::LOADER_BATCH_SIZE, &[loader])),
            errors: recorder.counters(&catalogue::GRAPHQL_ERRORS, &[]),
            rejected: recorder.counters(&catalogue::GRAPHQL_REJECTED, &[]),
            phases: recorder.histograms(&catalogue::PHASE_DURATION, &[]),
            complexity: recorder.histogram(&catalogue::COMPLEXITY, &[]),
            depth: recorder.histogram(&catalogue::DEPTH, &[]),
            subscriptions_dropped: recorder.counters(&catalogue::SUBSCRIPTIONS_DROPPED, &[]),
            predictions: ByLabel::of(|source: DataSource| {
                recorder.histograms(&catalogue::PREDICTION_DURATION, &[source.as_str()])
            }),
            admin_tokens_rejected: recorder.counters(&catalogue::ADMIN_TOKENS_REJECTED, &[]),
        }))
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

    /// Counts a subscription as open until the guard is dropped.
    #[must_use]
    pub fn subscription(&self, field: &str) -> SubscriptionGuard {
        let open = self.0.subscriptions.get(field).cloned();
        if let Some(open) = &open {
            open.increment(1.0);
        }
        SubscriptionGuard { open }
    }

    /// Counts an admin token that was rejected.
    pub fn admin_token_rejected(&self, reason: TokenRejection) {
        self.0.admin_tokens_rejected.at(reason).increment(1);
    }

    /// Counts one entry of `errors` in a response.
    pub fn error(&self, code: ErrorCode) {
        self.0.errors.at(code).increment(1);
    }

    /// Counts an operation that is rejected before execution.
    pub fn rejected(&self, reason: Rejection) {
        self.0.rejected.at(reason).increment(1);
    }

    /// Records the duration of a phase of an operation.
    pub fn phase(&self, phase: Phase, took: Duration) {
        self.0.phases.at(phase).record(took);
    }

    /// Records the static cost of an operation in points.
    pub fn complexity(&self, points: usize) {
        self.0.complexity.record(number(points));
    }

    /// Records the number of field levels of an operation.
    pub fn depth(&self, levels: usize) {
        self.0.depth.record(number(levels));
    }

    /// Counts subscriptions that the service ends or rejects.
    pub fn subscriptions_dropped(&self, reason: Dropped, count: usize) {
        self.0.subscriptions_dropped.at(reason).increment(count.try_into().unwrap_or(u64::MAX));
    }

    /// Records the number of keys in one batch of `loader`.
    pub fn loader_batch(&self, loader: &str, keys: usize) {
        self.0.loaders.get(loader).1.record(number(keys));
    }

    /// Returns `field` if it is a root field of the schema, and `other` if not, so that no text of a client gets into
    /// logs and labels.
    #[must_use]
    pub fn field_name(&self, field: &str) -> &'static str {
        self.0.fields.get(field).0
    }

    /// Records the duration of a request whose root fields are all predictions.
    pub fn prediction(&self, PredictionSource { source, selection }: PredictionSource, took: Duration) {
        self.0.predictions.at(source).at(selection).record(took);
    }
}

/// An operation in flight. If it is dropped unfinished, its outcome is [`Outcome::abandoned`].
#[derive(Debug)]
pub struct OperationGuard {
    metrics: GraphqlMetrics,
    started: Instant,
    kind: OperationType,
    finished: bool,
}

impl OperationGuard {
    /// Sets the type of the operation, which is known once the document is parsed. From then on, the operation counts
    /// as active under this type.
    pub fn set_kind(&mut self, kind: OperationType) {
        let operations = &self.metrics.0.operations;
        operations.at(self.kind).active.decrement(1.0);
        operations.at(kind).active.increment(1.0);
        self.kind = kind;
    }

    /// Records the outcome, and returns the time since the start. Only the first call records: the guard calls this
    /// again when it is dropped.
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

/// A root field being resolved. Dropped without [`finish`](Self::finish), by a client that leaves or by a panic, it
/// counts as an error.
#[derive(Debug)]
pub struct FieldGuard {
    metrics: GraphqlMetrics,
    started: Instant,
    field: &'static str,
    status: Status,
}

impl FieldGuard {
    /// Ends the field with this status. The drop at the end of the call records it.
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

/// An open subscription. Dropping it ends the count as open.
#[derive(Debug)]
pub struct SubscriptionGuard {
    /// `None` if the field is not a subscription of the schema.
    open: Option<Gauge>,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.decrement(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> (GraphqlMetrics, Recorder) {
        let recorder = Recorder::new().unwrap();
        (GraphqlMetrics::new(&recorder, &["predictions"], &[], &[]), recorder)
    }

    fn assert_has(recorder: &Recorder, lines: &[&str]) {
        let text = recorder.render();
        for line in lines {
            assert!(text.lines().any(|have| have == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn an_operation_is_counted_once_under_its_type() {
        let (metrics, recorder) = metrics();

        let mut finished = metrics.operation();
        finished.set_kind(OperationType::Query);
        finished.finish(Outcome::Ok);
        drop(finished);
        drop(metrics.operation());

        assert_has(
            &recorder,
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
        let (metrics, recorder) = metrics();
        let inside = metrics.clone();

        let panicked = std::thread::spawn(move || {
            let _operation = inside.operation();
            panic!("resolver panicked");
        });

        assert!(panicked.join().is_err());
        assert_has(
            &recorder,
            &[r#"graphql_server_request_duration_seconds_count{graphql_operation_type="unknown",outcome="error"} 1"#],
        );
    }

    #[test]
    fn a_field_records_its_outcome() {
        let (metrics, recorder) = metrics();

        metrics.field("predictions").finish(Status::Ok);
        drop(metrics.field("predictions"));

        assert_has(
            &recorder,
            &[
                r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="ok"} 1"#,
                r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="error"} 1"#,
            ],
        );
    }
}
