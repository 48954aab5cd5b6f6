//! One operation: parsed, executed within its time, its errors named, measured and logged, however it ends.

use std::collections::HashSet;
use std::time::Duration;

use async_graphql::parser::types::{DocumentOperations, OperationType as ParsedType};
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Executor, Request, Response, ServerError, Value};
use axum::http::StatusCode;

use crate::telemetry::{ErrorCode, Label, Metrics, OperationGuard, OperationType, Outcome};

/// The longest operation name that is logged, in characters.
const NAME_LIMIT: usize = 64;

/// The longest syntax error that is sent, in characters: the parser's text repeats what the client wrote.
const SYNTAX_ERROR_LIMIT: usize = 200;

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// By POST: it may change things.
    Post,
    /// By GET: it may only read, for anything may repeat it.
    Get,
}

/// What became of an operation.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) response: Response,
    pub(super) outcome: Outcome,
}

impl Answer {
    fn executed(response: Response, outcome: Outcome) -> Self {
        Self { status: StatusCode::OK, response, outcome }
    }

    fn refused(status: StatusCode, error: ServerError, outcome: Outcome) -> Self {
        Self { status, response: Response::from_errors(vec![error]), outcome }
    }
}

/// Executes one request.
pub(super) async fn execute<E: Executor>(
    executor: &E,
    metrics: &Metrics,
    limit: Duration,
    mut request: Request,
    transport: Transport,
) -> Answer {
    let mut operation = Operation::start(metrics);
    let name = request.operation_name.clone();
    match request.parsed_query() {
        Ok(document) => operation.describe(document, name.as_deref()),
        Err(error) => {
            let outcome = operation.end(Outcome::Rejected, vec![ErrorCode::ParseFailed]);
            return Answer::executed(Response::from_errors(vec![syntax_error(&error)]), outcome);
        }
    }
    if transport == Transport::Get && matches!(operation.kind, OperationType::Mutation | OperationType::Subscription) {
        let outcome = operation.end(Outcome::Rejected, vec![ErrorCode::BadUserInput]);
        let error = coded(ErrorCode::BadUserInput, "only queries may be sent by GET");
        return Answer::refused(StatusCode::METHOD_NOT_ALLOWED, error, outcome);
    }
    let Ok(mut response) = tokio::time::timeout(limit, executor.execute(request)).await else {
        let outcome = operation.end(Outcome::Error, vec![ErrorCode::Timeout]);
        let error = coded(ErrorCode::Timeout, format!("the operation took longer than {} s", limit.as_secs_f64()));
        return Answer::refused(StatusCode::GATEWAY_TIMEOUT, error, outcome);
    };
    let codes: Vec<_> = response.errors.iter_mut().map(settle).collect();
    let outcome = operation.end(outcome(&codes, &response.data), codes);
    Answer::executed(response, outcome)
}

/// An operation in flight. Its one log line is written when it is dropped, so also when the client leaves.
struct Operation<'a> {
    metrics: &'a Metrics,
    guard: OperationGuard,
    kind: OperationType,
    name: Option<String>,
    root_fields: Vec<&'static str>,
    end: Option<(Outcome, Vec<ErrorCode>)>,
}

impl<'a> Operation<'a> {
    fn start(metrics: &'a Metrics) -> Self {
        let guard = metrics.operation();
        Self { metrics, guard, kind: OperationType::Unknown, name: None, root_fields: Vec::new(), end: None }
    }

    /// Notes what the document says about it; `name` is the one that the client chose.
    fn describe(&mut self, document: &ExecutableDocument, name: Option<&str>) {
        let Some((own_name, definition)) = chosen(document, name) else { return };
        self.kind = match definition.ty {
            ParsedType::Query => OperationType::Query,
            ParsedType::Mutation => OperationType::Mutation,
            ParsedType::Subscription => OperationType::Subscription,
        };
        self.guard.kind(self.kind);
        self.name = own_name.map(|name| name.chars().take(NAME_LIMIT).collect());
        let mut fields = RootFields { document, metrics: self.metrics, spread: HashSet::new(), names: Vec::new() };
        fields.collect(&definition.selection_set.node);
        self.root_fields = fields.names;
    }

    fn end(&mut self, outcome: Outcome, codes: Vec<ErrorCode>) -> Outcome {
        for &code in &codes {
            self.metrics.graphql_error(code);
        }
        self.end = Some((outcome, codes));
        outcome
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let (outcome, codes) = self.end.take().unwrap_or_else(|| (Outcome::abandoned(), Vec::new()));
        let elapsed = self.guard.finish(outcome);
        tracing::info!(
            operation_type = self.kind.as_str(),
            operation_name = self.name,
            root_fields = self.root_fields.join(","),
            outcome = outcome.as_str(),
            error_codes = codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(","),
            duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
            "graphql operation"
        );
    }
}

/// The operation that the library will execute, with the name that the document gives it. `None` if it will refuse.
fn chosen<'a>(
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

/// The distinct root fields of an operation, through fragments; those that the schema lacks become one `other`.
struct RootFields<'a> {
    document: &'a ExecutableDocument,
    metrics: &'a Metrics,
    /// Fragments seen: the document is not validated yet, so they may be circular.
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

/// What the parser found, without the text it found it in: the position is in `locations`.
fn syntax_error(error: &ServerError) -> ServerError {
    let reason = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
    let message = format!("syntax error: {}", reason.chars().take(SYNTAX_ERROR_LIMIT).collect::<String>());
    ServerError { locations: error.locations.clone(), ..coded(ErrorCode::ParseFailed, message) }
}

fn coded(code: ErrorCode, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    error
}

/// Gives an error its code. The library's own errors come without one, and so does whatever a resolver let through by
/// mistake: that is ours, and its text stays here.
fn settle(error: &mut ServerError) -> ErrorCode {
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
        tracing::error!(error = error.message, path = ?error.path, "a resolver failed without saying why");
        "internal error".clone_into(&mut error.message);
    }
    set_code(error, code);
    code
}

/// Whether the library refused an argument that validation cannot judge, such as a date.
fn is_bad_argument(error: &ServerError) -> bool {
    error.source.is_none()
        && (error.message.starts_with("Failed to parse \"") || error.message.starts_with("Expected input type \""))
}

fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_default().set("code", code.as_str());
}

fn outcome(codes: &[ErrorCode], data: &Value) -> Outcome {
    match codes {
        [] => Outcome::Ok,
        codes if !codes.iter().any(|code| code.is_server_fault()) => Outcome::Rejected,
        _ if *data == Value::Null => Outcome::Error,
        _ => Outcome::Partial,
    }
}
