//! The schema and its executor: validates an operation, checks its cost and runs it with its own request context.

use std::any::TypeId;
use std::future::ready;
use std::sync::{Arc, OnceLock};

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::futures_util::FutureExt;
use async_graphql::futures_util::stream::{BoxStream, StreamExt, once, unfold};
use async_graphql::parser::types::{Selection, SelectionSet};
use async_graphql::{Data, Executor, Request, Response, Schema, ServerError, ValidationMode, ValidationResult};
use sha2::{Digest, Sha256};

use super::batch_scheduler::PendingBatches;
use super::context::RequestContext;
use super::error::{error_with_code, too_complex};
use super::error_code::ErrorCode;
use super::input_types::InputTypes;
use super::metrics::{GraphqlMetrics, Phase};
use super::mutation::Mutation;
use super::object_literals;
use super::operation::{Cost, instrument_phase};
use super::query::Query;
use super::string_escapes::parsed_query;
use super::subscription::Subscription;
use super::variables;
use crate::services::Services;

pub use super::loaders::LOADERS;

/// The schema with all types and resolvers.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// Those limits on operations that can be checked only with the schema.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Maximum cost in points: one point per field, multiplied by the sizes of the pages that contain the field, plus
    /// the constants of expensive fields in `graphql::complexity`.
    pub max_complexity: usize,
    /// Whether introspection is allowed.
    pub introspection: bool,
}

/// Executes operations, each with its own request context.
#[derive(Clone)]
pub struct Api {
    /// Validates operations without executing them, by the extension [`ValidateOnly`].
    checks: ApiSchema,
    /// Executes queries and mutations. Has no extension, because any extension slows down every field.
    schema: ApiSchema,
    /// Executes subscriptions. Each event has a request context of its own, by the extension [`ContextPerEvent`].
    streams: ApiSchema,
    limits: QueryLimits,
    services: Arc<Services>,
    metrics: GraphqlMetrics,
    types: Arc<InputTypes>,
}

/// Creates the API over a set of services.
#[must_use]
pub fn api(services: Arc<Services>, metrics: GraphqlMetrics, limits: QueryLimits) -> Api {
    let limited = || {
        let schema = builder().data(metrics.clone());
        // Validation errors suggest names that are similar to an unknown one. By these, a client could find all names
        // of the schema.
        if limits.introspection { schema } else { schema.disable_introspection().disable_suggestions() }
    };
    // `check` has validated the operation already, so execution uses the fast mode.
    let executing = || limited().validation_mode(ValidationMode::Fast);
    let streams = executing().extension(ContextPerEvent(Arc::clone(&services), metrics.clone())).finish();
    let checks = limited().extension(ValidateOnly).finish();
    let types = Arc::new(InputTypes::of_sdl(&checks.sdl()));
    Api { checks, schema: executing().finish(), streams, limits, services, metrics, types }
}

/// Hash of the schema: the first 16 hexadecimal digits of the SHA-256 of its [SDL](sdl).
#[must_use]
pub fn schema_hash() -> String {
    let hash = Sha256::digest(sdl());
    let first = hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("{first:016x}")
}

/// The schema in the schema definition language.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
}

impl Api {
    /// Validates an operation against the schema and checks its cost.
    ///
    /// # Errors
    /// The validation errors, or `QUERY_TOO_COMPLEX` if the operation costs more points than allowed.
    async fn check(&self, request: &mut Request) -> Result<(), Vec<ServerError>> {
        if !self.limits.introspection {
            // async-graphql would return null for the schema instead of an error. The check comes before validation,
            // because validation errors may name types of the schema.
            reject_introspection(request).map_err(|error| vec![error])?;
        }
        let complexity = validate(&self.checks, &self.types, request).await?;
        self.metrics.complexity(complexity);
        // Reports the cost to the pipeline, for the span and the log line of the operation.
        if let Some(cost) = request.data.get(&TypeId::of::<Cost>()).and_then(|cost| cost.downcast_ref::<Cost>()) {
            cost.set(complexity);
        }
        let allowed = self.limits.max_complexity;
        if complexity > allowed {
            let problem =
                format!("the operation costs {complexity} points, {allowed} are allowed: request smaller pages");
            return Err(vec![too_complex(problem, "cost", complexity, allowed)]);
        }
        Ok(())
    }

    /// Runs [`check`](Self::check) as the validation phase.
    ///
    /// # Errors
    /// The response that rejects the request.
    async fn checked(&self, request: &mut Request) -> Result<(), Response> {
        instrument_phase(&self.metrics, Phase::Validate, self.check(request)).await.map_err(Response::from_errors)
    }

    fn with_context(&self, request: Request, batches: PendingBatches) -> Request {
        request.data(RequestContext::new(Arc::clone(&self.services), self.metrics.clone(), batches))
    }
}

impl Executor for Api {
    async fn execute(&self, mut request: Request) -> Response {
        if let Err(rejected) = self.checked(&mut request).await {
            return rejected;
        }
        let batches = PendingBatches::default();
        let executed = batches.run(self.schema.execute(self.with_context(request, batches.clone())));
        instrument_phase(&self.metrics, Phase::Execute, executed).await
    }

    fn execute_stream(&self, mut request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let api = self.clone();
        let responses = async move {
            if let Err(rejected) = api.checked(&mut request).await {
                return once(ready(rejected)).boxed();
            }
            let batches = PendingBatches::default();
            // This context serves only the resolver that opens the stream. For each event, `ContextPerEvent` replaces
            // it by a new one, whose batches it takes from the data of the request.
            let request = api.with_context(request, batches.clone()).data(batches.clone());
            let events = Executor::execute_stream(&api.streams, request, session_data);
            // The resolvers of an event run while the stream is polled for it, so their batches are dispatched here.
            let next_response = |(mut events, batches): (BoxStream<'static, Response>, PendingBatches)| async {
                let response = batches.run(events.next()).await?;
                Some((response, (events, batches)))
            };
            unfold((events, batches), next_response).boxed()
        };
        responses.flatten_stream().boxed()
    }
}

/// Checks that no operation and no fragment of the document selects the schema (`__schema`, `__type`).
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for one of the fields that do.
fn reject_introspection(request: &mut Request) -> Result<(), ServerError> {
    let document = parsed_query(request)?;
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut unread: Vec<&SelectionSet> = operations.chain(fragments).collect();
    while let Some(selections) = unread.pop() {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) if matches!(field.node.name.node.as_str(), "__schema" | "__type") => {
                    let problem = "introspection is disabled: use the published schema";
                    let mut error = error_with_code(ErrorCode::ValidationFailed, problem);
                    error.locations.push(field.pos);
                    return Err(error);
                }
                Selection::Field(field) => unread.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => unread.push(&fragment.node.selection_set.node),
                // The fragment itself is among `unread` from the start.
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    Ok(())
}

/// Validates an operation and returns its cost in points. Replaces the document and the variables of `request` by
/// equivalent ones that async-graphql handles as the specification requires, see [`variables::rewrite`].
///
/// # Errors
/// The errors of the document; if there are none, those of the variables.
async fn validate(checks: &ApiSchema, types: &InputTypes, request: &mut Request) -> Result<usize, Vec<ServerError>> {
    let mut document = parsed_query(request).map_err(|error| vec![error])?.clone();
    object_literals::check_unique_fields(&request.query).map_err(|error| vec![error])?;
    let name = request.operation_name.as_deref();
    let wrong = variables::wrong_variables(&document, name, &request.variables);
    if variables::rewrite(&mut document, name, &mut request.variables, types)? {
        request.set_parsed_query(document.clone());
    }
    let checked = Checked::default();
    // A copy, because executing a request consumes it, and the original is still to be executed. Its text is empty,
    // because only the parsed document is validated.
    let copy = Request::new("").variables(request.variables.clone()).data(Arc::clone(&checked));
    let mut copy = request.operation_name.iter().fold(copy, Request::operation_name);
    for variable in &wrong {
        variable.remove_null(&mut copy.variables);
    }
    copy.set_parsed_query(document);
    // The errors of an invalid document are returned before those of the variables, because no value of a variable
    // makes the document valid. `ValidateOnly` sets `checked` only if the document is valid.
    let response = checks.execute(copy).await;
    let Some(&ValidationResult { complexity, .. }) = checked.get() else { return Err(response.errors) };
    if wrong.is_empty() { Ok(complexity) } else { Err(wrong.into_iter().map(ServerError::from).collect()) }
}

/// Cell for the result of the validation. [`ValidateOnly`] sets it if the operation is valid.
type Checked = Arc<OnceLock<ValidationResult>>;

/// Extension that creates a [`RequestContext`] for each event of a subscription, because data that was loaded for one
/// event may be outdated at the next. Has a schema of its own, because any extension slows down every field.
struct ContextPerEvent(Arc<Services>, GraphqlMetrics);

impl ExtensionFactory for ContextPerEvent {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(Arc::clone(&self.0), self.1.clone()))
    }
}

#[async_trait]
impl Extension for ContextPerEvent {
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let batches = ctx.data_unchecked::<PendingBatches>().clone();
        let mut data = Data::default();
        data.insert(RequestContext::new(Arc::clone(&self.0), self.1.clone(), batches));
        next.run_with_data(ctx, operation_name, data).await
    }
}

/// Extension that stops a valid operation after validation, before anything is executed. Has a schema of its own,
/// because any extension slows down every field.
struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for ValidateOnly {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(ctx).await?;
        // Cannot fail: the cell was created for this request.
        let _ = ctx.data_unchecked::<Checked>().set(valid);
        // Ends the operation here. The list is empty because nothing is wrong.
        Err(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Value, Variables, value};

    use super::*;

    /// The messages of the errors of validation; the cost if there is none.
    async fn validated(query: &str, variables: Value) -> Result<usize, Vec<String>> {
        let checks = builder().extension(ValidateOnly).finish();
        let types = InputTypes::of_sdl(&sdl());
        let mut request = Request::new(query).variables(Variables::from_value(variables));
        let validated = validate(&checks, &types, &mut request).await;
        validated.map_err(|errors| errors.into_iter().map(|error| error.message).collect())
    }

    #[tokio::test]
    async fn nullable_variables_are_valid_for_arguments_with_a_default() {
        let plain = validated("{ predictions(decade: 1990) { nodes { rank } } }", value!({})).await;
        let query = "query($n: Int, $d: Int) { predictions(decade: $d, first: $n) { nodes { rank } } }";
        assert_eq!(validated(query, value!({})).await, plain);
        assert_eq!(validated(query, value!({ "n": 25 })).await, plain);
        let smaller = validated(query, value!({ "n": 1, "d": 1990 })).await.unwrap();
        assert!(smaller < plain.unwrap());
        assert!(validated(query, value!({ "n": null })).await.is_err());
    }

    #[tokio::test]
    async fn a_missing_variable_is_named_unless_the_document_is_invalid() {
        let query = "query($d: Int!) { predictions(decade: $d) { totalCount } }";
        for variables in [value!({}), value!({ "d": null })] {
            let errors = validated(query, variables).await.unwrap_err();
            assert_eq!(errors, ["the variable \"$d\" of type \"Int!\" must have a value"]);
        }
        let invalid = "query($d: Int!) { predictions(decade: $d) { unknown } }";
        assert!(validated(invalid, value!({})).await.unwrap_err()[0].contains("unknown"));
    }

    #[tokio::test]
    async fn ambiguous_and_ill_typed_values_are_invalid() {
        for query in [
            "{ predictions(filter: {minScore: 99, minScore: 0}) { totalCount } }",
            "{ validation(basis: \"BLIND\") { basis } }",
            "{ lists { key @include(if: \"true\") } }",
            "query($b: Boolean = \"true\") { lists { key @skip(if: $b) } }",
        ] {
            assert!(validated(query, value!({})).await.is_err(), "{query}");
        }
        let query = "query($b: Boolean!) { lists { key @skip(if: $b) } }";
        assert!(validated(query, value!({ "b": "true" })).await.is_err());
        assert!(validated(query, value!({ "b": true })).await.is_ok());
    }
}
