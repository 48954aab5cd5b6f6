//! The same door for operations that may have many results.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, StreamExt};
use async_graphql::parser::types::Selection;
use async_graphql::{Executor, PathSegment, Request, Response, Value};
use axum::body::Bytes;
use tracing::Instrument;

use super::operation::{Operation, assign_code, error_with_code, outcome, selected_operation};
use super::pipeline::{ExecutionStatus, OperationPipeline, OperationResponse, Transport};
use crate::cache::{DependencyScope, ReadMode};
use crate::telemetry::{ErrorCode, OperationType, Outcome};

/// An operation that came over a socket.
pub enum Execution {
    /// It has one result.
    Response(OperationResponse),
    /// It has many.
    Stream(SubscriptionStream),
}

/// One result of a subscription.
#[derive(Debug, Clone)]
pub enum Event {
    /// A response, as JSON.
    Next(Bytes),
    /// There will be none, because of these errors: a list, as JSON.
    Error(Bytes),
}

/// A subscription in flight, measured and logged when it is dropped.
pub struct SubscriptionStream {
    responses: BoxStream<'static, Response>,
    operation: Operation,
    worst: Outcome,
    over: bool,
}

impl<E: Executor> OperationPipeline<E> {
    /// Answers a query or a mutation, or opens a subscription.
    pub async fn subscribe(&self, mut request: Request) -> Execution {
        let mut operation = Operation::start(&self.metrics);
        let span = operation.span();
        let resolved = self
            .documents
            .resolve(&mut request)
            .map_err(|error| Box::new(operation.reject(error, ExecutionStatus::Rejected)));
        let prepared = match resolved {
            Ok(()) => self.prepare(&mut request, Transport::Socket, &mut operation).instrument(span.clone()).await,
            refused => refused,
        };
        let response = match prepared {
            Err(refused) => *refused,
            Ok(()) if operation.info.kind == OperationType::Subscription => {
                if !has_one_root_field(&mut request) {
                    let problem = "a subscription selects one field, not in a fragment";
                    let refused = operation
                        .reject(error_with_code(ErrorCode::ValidationFailed, problem), ExecutionStatus::Rejected);
                    operation.end(refused.outcome, None);
                    return Execution::Response(refused);
                }
                let responses = self.executor.execute_stream(request, None);
                return Execution::Stream(SubscriptionStream { responses, operation, worst: Outcome::Ok, over: false });
            }
            Ok(()) => {
                let usage = operation.usage();
                usage.scope(self.run(request, Transport::Socket, &mut operation)).instrument(span).await
            }
        };
        operation.end(response.outcome, response.prediction);
        Execution::Response(response)
    }
}

impl OperationResponse {
    /// What a socket is told: refused before it was executed, or the response.
    #[must_use]
    pub fn event(self) -> Event {
        match self.status {
            ExecutionStatus::Executed => Event::Next(self.body),
            _ => Event::Error(errors_of(&self.body)),
        }
    }
}

impl SubscriptionStream {
    /// The next result; none when there are no more. After [`Event::Error`] there are none.
    pub async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let reading = DependencyScope::new(ReadMode::Request);
        let usage = self.operation.usage();
        let next = usage.scope(Arc::clone(&reading).of(self.responses.next()));
        let Some(mut response) = next.instrument(self.operation.span()).await else {
            self.over = true;
            return None;
        };
        let codes: Vec<_> = response.errors.iter_mut().map(assign_code).collect();
        self.operation.record(&codes, &reading.snapshot());
        self.worst = worst_of(self.worst, outcome(&codes, &response.data));
        self.operation.end(self.worst, None);
        // What concerns no part of a result concerns the subscription itself.
        let is_its_own = |path: &[PathSegment]| path.len() <= 1;
        self.over = response.data == Value::Null
            && !response.errors.is_empty()
            && response.errors.iter().all(|error| is_its_own(&error.path));
        let body = if self.over { serde_json::to_vec(&response.errors) } else { serde_json::to_vec(&response) };
        let body = Bytes::from(body.unwrap_or_default());
        Some(if self.over { Event::Error(body) } else { Event::Next(body) })
    }
}

/// The errors of a response, as JSON.
fn errors_of(body: &[u8]) -> Bytes {
    let response: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    response["errors"].to_string().into()
}

/// Of several fields, and of those in fragments, the library would not say what the specification wants.
fn has_one_root_field(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else { return false };
    let Some((_, operation)) = selected_operation(document, name.as_deref()) else { return false };
    let items = &operation.selection_set.node.items;
    matches!(items.as_slice(), [item] if matches!(item.node, Selection::Field(_)))
}

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
