//! The operation pipeline over WebSocket, where an operation may be a subscription.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, StreamExt};
use async_graphql::parser::types::Selection;
use async_graphql::{Executor, PathSegment, Request, Response, Value};
use bytes::Bytes;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::SpanContext;
use tracing::Instrument;

use super::document::selected_operation;
use super::error::{complete_error, error_with_code, outcome};
use super::error_code::ErrorCode;
use super::metrics::{OperationType, Outcome};
use super::operation::Operation;
use super::pipeline::{OperationPipeline, Transport};
use super::response::{ExecutionStatus, OperationResponse};
use super::string_escapes::parsed_query;
use crate::cache::{DependencyScope, ReadMode};

/// Result of an operation received over WebSocket.
pub enum Execution {
    /// A query or mutation, or a rejected operation: one response.
    Response(OperationResponse),
    /// A subscription: a stream of events.
    Stream(SubscriptionStream),
}

/// A message to the client about one operation. A subscription sends one per event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A response, as JSON.
    Next(Bytes),
    /// The errors that ended the operation: a list, as JSON.
    Error(Bytes),
}

/// A subscription in flight. Its metrics and log line are written when it is dropped.
pub struct SubscriptionStream {
    responses: BoxStream<'static, Response>,
    operation: Operation,
    /// The worst outcome among the events so far, which becomes the outcome of the operation.
    worst: Outcome,
    /// Whether the last event was returned.
    done: bool,
}

impl<E: Executor> OperationPipeline<E> {
    /// Executes a query or mutation, or starts a subscription.
    /// `connection` is the span of the WebSocket, if the operation came over one.
    pub async fn subscribe(&self, mut request: Request, connection: Option<&SpanContext>) -> Execution {
        let mut operation = Operation::start(&self.metrics, None);
        if let Some(connection) = connection {
            operation.link_to(connection);
        }
        let span = operation.span();
        let resolved = self
            .documents
            .resolve(&mut request)
            .map_err(|error| Box::new(operation.reject(error, ExecutionStatus::Rejected)));
        let prepared = match resolved {
            Ok(()) => self.prepare(&mut request, Transport::Socket, &mut operation).instrument(span.clone()).await,
            rejected => rejected,
        };
        let response = match prepared {
            Err(rejected) => *rejected,
            Ok(()) if operation.info.kind == OperationType::Subscription => {
                if !has_one_root_field(&mut request) {
                    let problem = "a subscription must select exactly one root field, outside of fragments";
                    let rejected = operation
                        .reject(error_with_code(ErrorCode::ValidationFailed, problem), ExecutionStatus::Rejected);
                    operation.set_outcome(rejected.outcome, None);
                    return Execution::Response(rejected);
                }
                let responses = self.executor.execute_stream(request, None);
                return Execution::Stream(SubscriptionStream { responses, operation, worst: Outcome::Ok, done: false });
            }
            Ok(()) => {
                let usage = operation.usage();
                usage.scope(self.run(request, Transport::Socket, None, &mut operation)).instrument(span).await
            }
        };
        operation.set_outcome(response.outcome, response.prediction);
        Execution::Response(response)
    }
}

impl OperationResponse {
    /// The message to send: the response if the operation was executed, otherwise only the errors.
    #[must_use]
    pub fn event(self) -> Event {
        match self.status {
            ExecutionStatus::Executed => Event::Next(self.body),
            _ => Event::Error(errors_of(&self.body)),
        }
    }
}

impl SubscriptionStream {
    /// The next event; `None` after the last one. [`Event::Error`] is always the last.
    pub async fn next(&mut self) -> Option<Event> {
        if self.done {
            return None;
        }
        let dependencies = DependencyScope::new(ReadMode::Request);
        let usage = self.operation.usage();
        let next = usage.scope(Arc::clone(&dependencies).of(self.responses.next()));
        // The span alone is not enough: it is disabled if the trace is not sampled, and the events of a response in parts
        // are computed by a task of their own.
        let next = next.instrument(self.operation.span()).with_context(self.operation.context());
        let Some(mut response) = next.await else {
            self.done = true;
            return None;
        };
        let codes: Vec<_> = response.errors.iter_mut().map(complete_error).collect();
        self.operation.record(&codes, &dependencies.snapshot());
        self.worst = worst_of(self.worst, outcome(&codes, &response.data));
        self.operation.set_outcome(self.worst, None);
        // An error at the root field, or without a path, concerns the subscription and not one event. If there is no
        // data and all errors are of this kind, the subscription has ended.
        let concerns_subscription = |path: &[PathSegment]| path.len() <= 1;
        self.done = response.data == Value::Null
            && !response.errors.is_empty()
            && response.errors.iter().all(|error| concerns_subscription(&error.path));
        let body = if self.done { serde_json::to_vec(&response.errors) } else { serde_json::to_vec(&response) };
        let body = Bytes::from(body.unwrap_or_default());
        Some(if self.done { Event::Error(body) } else { Event::Next(body) })
    }
}

/// The `errors` of an encoded response, as JSON.
fn errors_of(body: &[u8]) -> Bytes {
    let response: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    response["errors"].to_string().into()
}

/// Whether the operation selects exactly one field, outside of fragments. Checked here, because async-graphql does not
/// handle other selections as the specification requires.
fn has_one_root_field(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let Ok(document) = parsed_query(request) else { return false };
    let Some((_, operation)) = selected_operation(document, name.as_deref()) else { return false };
    let items = &operation.selection_set.node.items;
    matches!(items.as_slice(), [item] if matches!(item.node, Selection::Field(_)))
}

/// The worse of two outcomes.
fn worst_of(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Ok => 0,
        Outcome::Cancelled => 1,
        Outcome::Rejected => 2,
        Outcome::Partial => 3,
        Outcome::Error => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}
