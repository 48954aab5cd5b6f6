//! One operation in flight: its metadata, metrics, span, log line and error codes, however it ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::{DocumentOperations, OperationType as ParsedType};
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{ServerError, Value};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use sha2::{Digest, Sha256};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::document_limits::{Size, skip_string};
use super::error::ErrorCode;
use super::metrics::{GraphqlMetrics, OperationGuard, OperationType, Outcome, Phase, Rejection};
use super::schema::Cost;
use crate::cache::{DataSource, Dependencies};
use crate::telemetry::{Label, OperationUsage};

/// Maximum length of a logged operation name, in characters.
const NAME_LIMIT: usize = 64;

/// Operations that take longer are logged as slow.
const SLOW: Duration = Duration::from_millis(500);

/// Maximum length of the document in a span, in bytes.
const DOCUMENT_LIMIT: usize = 2048;

/// Maximum length of a syntax error, in characters: the parser's text repeats the client's input.
const SYNTAX_ERROR_LIMIT: usize = 200;

/// Metadata of the operation that a document selects for execution.
#[derive(Debug)]
pub(super) struct OperationInfo {
    pub(super) kind: OperationType,
    pub(super) name: Option<String>,
    pub(super) root_fields: Vec<&'static str>,
}

impl Default for OperationInfo {
    /// An operation that is not parsed yet.
    fn default() -> Self {
        Self { kind: OperationType::Unknown, name: None, root_fields: Vec::new() }
    }
}

impl OperationInfo {
    /// Metadata of the operation that `name` selects; the default if it selects none.
    pub(super) fn of(document: &ExecutableDocument, name: Option<&str>, metrics: &GraphqlMetrics) -> Self {
        let Some((document_name, definition)) = selected_operation(document, name) else { return Self::default() };
        let kind = match definition.ty {
            ParsedType::Query => OperationType::Query,
            ParsedType::Mutation => OperationType::Mutation,
            ParsedType::Subscription => OperationType::Subscription,
        };
        let mut fields = RootFields { document, metrics, spread: HashSet::new(), names: Vec::new() };
        fields.collect(&definition.selection_set.node);
        let name = document_name.map(|name| name.chars().take(NAME_LIMIT).collect());
        Self { kind, name, root_fields: fields.names }
    }
}

/// An operation in flight. Dropping it writes its one log line, so cancelled requests are logged as well.
pub(super) struct Operation {
    metrics: GraphqlMetrics,
    guard: OperationGuard,
    /// The request's trace context, for the log line of an operation that is dropped outside of it.
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
    end: Option<(Outcome, Option<DataSource>)>,
}

impl Operation {
    pub(super) fn start(metrics: &GraphqlMetrics) -> Self {
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
            request_id: None,
            end: None,
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The counter of the operation's SQL statements.
    pub(super) fn usage(&self) -> Arc<OperationUsage> {
        Arc::clone(&self.usage)
    }

    /// The cell that validation stores the operation's cost in.
    pub(super) fn cost(&self) -> Cost {
        self.cost.clone()
    }

    /// Sets the client's request ID for the log line.
    pub(super) fn set_request_id(&mut self, id: String) {
        self.request_id = Some(id);
    }

    /// Records the HTTP status of the response.
    pub(super) fn record_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Records the depth, and the redacted document in the span if it is sampled.
    pub(super) fn record_limits(&self, query: &str, size: Size) {
        self.metrics.depth(size.depth);
        if !self.span.is_disabled() {
            self.span.record("cinegraph.graphql.depth", size.depth);
            self.span.record("graphql.document", redact_literals(query));
            self.span.record("graphql.document.hash", hex(&Sha256::digest(query)));
        }
    }

    /// Counts a rejection before execution.
    pub(super) fn rejected(&self, reason: Rejection) {
        self.metrics.rejected(reason);
    }

    /// Sets the operation's metadata.
    pub(super) fn describe(&mut self, info: Arc<OperationInfo>) {
        self.guard.kind(info.kind);
        self.info = info;
    }

    /// Records the error codes and cache usage of the response, or of each event of a subscription.
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

    pub(super) fn end(&mut self, outcome: Outcome, prediction: Option<DataSource>) {
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
        self.span.record("cinegraph.graphql.complexity", complexity);
        if self.usage.is_trace_truncated() {
            self.span.record("cinegraph.trace.truncated", true);
        }
        if outcome == Outcome::Error {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", self.codes.first().map_or("panic", |code| code.as_str()));
        }
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
            source = prediction.map(Label::as_str),
            "graphql operation"
        );
        if elapsed > SLOW && *kind != OperationType::Subscription {
            tracing::warn!(operation_name = name, duration_ms = milliseconds(elapsed), "slow operation");
        }
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

/// The document with literals replaced by `?`, so that traces contain no user data; cut at [`DOCUMENT_LIMIT`].
fn redact_literals(query: &str) -> String {
    let mut text = String::with_capacity(query.len().min(DOCUMENT_LIMIT));
    let mut characters = query.char_indices().peekable();
    let mut in_word = false;
    while let Some((at, character)) = characters.next() {
        if text.len() >= DOCUMENT_LIMIT {
            break;
        }
        let literal = match character {
            '"' => query.len() - at - skip_string(&query.as_bytes()[at..]).len(),
            '0'..='9' | '-' if !in_word => {
                let end = query[at..].find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                end.unwrap_or(query.len() - at)
            }
            _ => 0,
        };
        if literal > 0 {
            text.push('?');
            while characters.peek().is_some_and(|(next, _)| *next < at + literal) {
                characters.next();
            }
        } else {
            text.push(character);
        }
        in_word = character.is_ascii_alphanumeric() || character == '_' || character == '$';
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds, rounded to three decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The operation that async-graphql will execute, with its name in the document. `None` if it will reject the request.
pub(super) fn selected_operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<(Option<&'a str>, &'a OperationDefinition)> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some((None, &operation.node)),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get_key_value(name).map(|(name, operation)| (Some(name.as_str()), &operation.node))
        }
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.iter();
            let only = all.next().filter(|_| all.next().is_none());
            only.map(|(name, operation)| (Some(name.as_str()), &operation.node))
        }
    }
}

/// Collects the distinct root fields of an operation, through fragments. Unknown fields become one `other`.
struct RootFields<'a> {
    document: &'a ExecutableDocument,
    metrics: &'a GraphqlMetrics,
    /// Fragments visited: the document is not validated yet, so spreads may be circular.
    spread: HashSet<&'a str>,
    names: Vec<&'static str>,
}

impl<'a> RootFields<'a> {
    fn collect(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let name = self.metrics.field_name(&field.node.name.node);
                    if !self.names.contains(&name) {
                        self.names.push(name);
                    }
                }
                Selection::InlineFragment(fragment) => self.collect(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.spread.insert(name)
                    {
                        self.collect(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
}

/// The parser's error without the excerpt of the document; the position is in `locations`.
pub(super) fn syntax_error(error: &ServerError) -> ServerError {
    let reason = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
    let message = format!("syntax error: {}", reason.chars().take(SYNTAX_ERROR_LIMIT).collect::<String>());
    ServerError { locations: error.locations.clone(), ..error_with_code(ErrorCode::ParseFailed, message) }
}

pub(super) fn error_with_code(code: ErrorCode, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    error
}

/// Returns the code of an error and adds it if missing. Errors of async-graphql itself have none. Neither does an error
/// that a resolver let through by mistake: it becomes `INTERNAL`, and its text is logged instead of sent.
pub(super) fn assign_code(error: &mut ServerError) -> ErrorCode {
    if let Some(Value::String(name)) = error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        return ErrorCode::named(name).unwrap_or(ErrorCode::Internal);
    }
    let code = if error.path.is_empty() {
        ErrorCode::ValidationFailed
    } else if is_bad_argument(error) {
        ErrorCode::BadUserInput
    } else {
        ErrorCode::Internal
    };
    if code == ErrorCode::Internal {
        tracing::error!(error = error.message, path = ?error.path, "resolver returned an unclassified error");
        "internal server error".clone_into(&mut error.message);
    }
    set_code(error, code);
    code
}

/// Whether async-graphql rejected an argument that validation does not check, such as a date.
fn is_bad_argument(error: &ServerError) -> bool {
    error.source.is_none()
        && (error.message.starts_with("Failed to parse \"") || error.message.starts_with("Expected input type \""))
}

fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_default().set("code", code.as_str());
}

/// The outcome of a response with these error codes and this data.
pub(super) fn outcome(codes: &[ErrorCode], data: &Value) -> Outcome {
    match codes {
        [] => Outcome::Ok,
        codes if !codes.iter().any(|code| code.is_server_fault()) => Outcome::Rejected,
        _ if *data == Value::Null => Outcome::Error,
        _ => Outcome::Partial,
    }
}
