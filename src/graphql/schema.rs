//! The schema, and the door through which every operation passes.

use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::futures_util::stream::{BoxStream, StreamExt, unfold};
use async_graphql::{
    Data, Executor, Request, Response, Schema, ServerError, ValidationResult, Value, Variables, value,
};

use super::batches::Waiting;
use sha2::{Digest, Sha256};

use super::mutation::Mutation;
use super::query::Query;
use super::scope::RequestScope;
use super::subscription::Subscription;
use crate::services::Services;
use crate::telemetry::{ErrorCode, Label, Metrics};

pub use super::loaders::LOADERS;

/// All types and resolvers.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// What the library says of an operation over a limit: no code, no figure.
const OVER_LIMIT: [&str; 2] = ["Query is too complex.", "Query is nested too deep."];

/// How much one operation may ask for.
#[derive(Debug, Clone, Copy)]
pub struct ApiLimits {
    /// Levels of selections.
    pub depth: usize,
    /// Points: fields, times the sizes of the pages that they are on.
    pub complexity: usize,
    /// Whether the schema may be asked for.
    pub introspection: bool,
}

/// Executes operations, each with a scope of its own.
#[derive(Clone)]
pub struct Api {
    schema: ApiSchema,
    streams: ApiSchema,
    gauge: ApiSchema,
    services: Arc<Services>,
    metrics: Metrics,
}

/// The API over a set of services.
#[must_use]
pub fn api(services: Arc<Services>, metrics: Metrics, limits: ApiLimits) -> Api {
    let limited = || {
        let schema = builder().limit_depth(limits.depth).limit_complexity(limits.complexity).data(metrics.clone());
        if limits.introspection { schema } else { schema.disable_introspection() }
    };
    let streams = limited().extension(ScopePerEvent(Arc::clone(&services), metrics.clone())).finish();
    let gauge = builder().extension(Gauge(limits)).finish();
    Api { schema: limited().finish(), streams, gauge, services, metrics }
}

/// Tells one schema from another: the first 16 hexadecimal digits of the SHA-256 of its text.
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
    Schema::build(Query, Mutation, Subscription)
}

impl Api {
    fn scoped(&self, request: Request, waiting: Waiting) -> Request {
        request.data(RequestScope::new(Arc::clone(&self.services), self.metrics.clone(), waiting))
    }
}

impl Executor for Api {
    async fn execute(&self, request: Request) -> Response {
        let asked = Asked::of(&request);
        let waiting = Waiting::default();
        let response = waiting.run(self.schema.execute(self.scoped(request, waiting.clone()))).await;
        if is_over_limit(&response) { self.gauge.execute(asked.again()).await } else { response }
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let (asked, gauge) = (Asked::of(&request), self.gauge.clone());
        let waiting = Waiting::default();
        let request = self.scoped(request, waiting.clone()).data(waiting.clone());
        let responses = Executor::execute_stream(&self.streams, request, session_data);
        let next = |(mut responses, waiting): (BoxStream<'static, Response>, Waiting)| async {
            let response = waiting.run(responses.next()).await?;
            Some((response, (responses, waiting)))
        };
        let measured = move |response: Response| {
            let again = is_over_limit(&response).then(|| (gauge.clone(), asked.again()));
            async move {
                match again {
                    Some((gauge, again)) => gauge.execute(again).await,
                    None => response,
                }
            }
        };
        unfold((responses, waiting), next).then(measured).boxed()
    }
}

/// What a request asked for, to be asked again.
struct Asked {
    query: String,
    variables: Variables,
    name: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let Request { query, variables, operation_name, .. } = request;
        Self { query: query.clone(), variables: variables.clone(), name: operation_name.clone() }
    }

    fn again(&self) -> Request {
        let again = Request::new(&self.query).variables(self.variables.clone());
        self.name.iter().fold(again, Request::operation_name)
    }
}

fn is_over_limit(response: &Response) -> bool {
    response.errors.iter().any(|error| OVER_LIMIT.contains(&error.message.as_str()))
}

/// Gives each event of a subscription a scope of its own: what one event has looked up may have changed before the next.
/// A schema of its own, as [`Gauge`] has.
struct ScopePerEvent(Arc<Services>, Metrics);

impl ExtensionFactory for ScopePerEvent {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(Arc::clone(&self.0), self.1.clone()))
    }
}

#[async_trait]
impl Extension for ScopePerEvent {
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let waiting = ctx.data_unchecked::<Waiting>().clone();
        let mut data = Data::default();
        data.insert(RequestScope::new(Arc::clone(&self.0), self.1.clone(), waiting));
        next.run_with_data(ctx, operation_name, data).await
    }
}

/// Measures an operation that the library has refused, and refuses it with the figures. A schema of its own, because
/// one extension makes every field of every answer slower.
struct Gauge(ApiLimits);

impl ExtensionFactory for Gauge {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0))
    }
}

#[async_trait]
impl Extension for Gauge {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let ValidationResult { complexity, depth, .. } = next.run(ctx).await?;
        let ApiLimits { complexity: points, depth: levels, .. } = self.0;
        Err(vec![if complexity > points {
            let problem =
                format!("the operation costs {complexity} points, {points} are allowed: ask for smaller pages");
            too_complex(problem, "cost", value!({ "requested": complexity, "allowed": points }))
        } else {
            let problem = format!("the operation nests {depth} fields deep, {levels} are allowed");
            too_complex(problem, "depth", value!({ "requested": depth, "allowed": levels }))
        }])
    }
}

fn too_complex(problem: String, figure: &str, figures: Value) -> ServerError {
    let mut error = ServerError::new(problem, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", ErrorCode::QueryTooComplex.as_str());
    extensions.set(figure, figures);
    error
}
