//! The schema, and the door through which every operation passes.

use std::sync::Arc;

use async_graphql::futures_util::stream::BoxStream;
use async_graphql::{Data, EmptyMutation, EmptySubscription, Executor, Request, Response, Schema};

use super::query::Query;
use super::scope::RequestScope;
use crate::services::Services;
use crate::telemetry::Metrics;

pub use super::loaders::LOADERS;

/// All types and resolvers.
pub type ApiSchema = Schema<Query, EmptyMutation, EmptySubscription>;

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
    Api { schema: schema.finish(), services, metrics }
}

/// The schema in the schema definition language.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

fn builder() -> async_graphql::SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query, EmptyMutation, EmptySubscription)
}

impl Api {
    fn scoped(&self, request: Request) -> Request {
        request.data(RequestScope::new(Arc::clone(&self.services), self.metrics.clone()))
    }
}

impl Executor for Api {
    async fn execute(&self, request: Request) -> Response {
        self.schema.execute(self.scoped(request)).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        Executor::execute_stream(&self.schema, self.scoped(request), session_data)
    }
}
