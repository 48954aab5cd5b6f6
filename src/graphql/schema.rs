//! The schema, and the door through which every operation passes.

use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::futures_util::stream::{BoxStream, StreamExt, unfold};
use async_graphql::{
    Data, EmptySubscription, Executor, Request, Response, Schema, ServerError, ValidationResult, Value, value,
};

use super::batches::Waiting;
use sha2::{Digest, Sha256};

use super::mutation::Mutation;
use super::query::Query;
use super::scope::RequestScope;
use crate::services::Services;
use crate::telemetry::{ErrorCode, Label, Metrics};

pub use super::loaders::LOADERS;

/// All types and resolvers.
pub type ApiSchema = Schema<Query, Mutation, EmptySubscription>;

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
    gauge: ApiSchema,
    services: Arc<Services>,
    metrics: Metrics,
}

/// The API over a set of services.
#[must_use]
pub fn api(services: Arc<Services>, metrics: Metrics, limits: ApiLimits) -> Api {
    let mut schema = builder().limit_depth(limits.depth).limit_complexity(limits.complexity).data(metrics.clone());
    if !limits.introspection {
        schema = schema.disable_introspection();
    }
    let gauge = builder().extension(Gauge(limits)).finish();
    Api { schema: schema.finish(), gauge, services, metrics }
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

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query, Mutation, EmptySubscription)
}

impl Api {
    fn scoped(&self, request: Request, waiting: Waiting) -> Request {
        request.data(RequestScope::new(Arc::clone(&self.services), self.metrics.clone(), waiting))
    }
}

impl Executor for Api {
    async fn execute(&self, request: Request) -> Response {
        let (query, variables) = (request.query.clone(), request.variables.clone());
        let name = request.operation_name.clone();
        let waiting = Waiting::default();
        let response = waiting.run(self.schema.execute(self.scoped(request, waiting.clone()))).await;
        if !response.errors.iter().any(|error| OVER_LIMIT.contains(&error.message.as_str())) {
            return response;
        }
        let again = Request::new(query).variables(variables);
        self.gauge.execute(name.into_iter().fold(again, Request::operation_name)).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let waiting = Waiting::default();
        let responses = Executor::execute_stream(&self.schema, self.scoped(request, waiting.clone()), session_data);
        let next = |(mut responses, waiting): (BoxStream<'static, Response>, Waiting)| async {
            let response = waiting.run(responses.next()).await?;
            Some((response, (responses, waiting)))
        };
        unfold((responses, waiting), next).boxed()
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
