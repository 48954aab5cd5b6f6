//! Queries of the GraphQL API in this process: a command prints what a client of the service gets.

use std::sync::Arc;

use anyhow::{Context, bail};
use async_graphql::{Executor, Name, Request, Value, Variables, from_value, to_value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;

use crate::app::App;
use crate::graphql;
use crate::services::Services;

/// The API, and the services below it.
pub(super) struct LocalApi {
    pub(super) services: Arc<Services>,
    api: graphql::Api,
}

impl LocalApi {
    /// The API on the database of `app`.
    ///
    /// # Errors
    /// If the database is unavailable or not migrated.
    pub(super) async fn open(app: &App) -> anyhow::Result<Self> {
        let services = Arc::new(app.services().await?);
        Ok(Self { api: app.api(&services), services })
    }

    /// Executes a query. Returns the value of its only root field.
    ///
    /// # Errors
    /// The first error of the response.
    pub(super) async fn query(&self, document: &str, variables: QueryVariables) -> anyhow::Result<Value> {
        let variables = Variables::from_json(serde_json::Value::Object(variables));
        // Boxed because the futures of operations are large.
        let response = Box::pin(self.api.execute(Request::new(document).variables(variables))).await;
        if let Some(error) = response.errors.into_iter().next() {
            bail!(error.message);
        }
        let Value::Object(fields) = response.data else { bail!("the response has no data") };
        fields.into_values().next().context("the response has no data")
    }
}

/// The variables of a query.
pub(super) type QueryVariables = Map<String, serde_json::Value>;

/// Decodes a part of a response.
///
/// # Errors
/// If the query does not select what `T` needs.
pub(super) fn decoded<T: DeserializeOwned>(value: &Value) -> anyhow::Result<T> {
    from_value(value.clone()).context("decoding a response")
}

/// An object for `--json`, whose fields stay in this order.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Object(async_graphql::indexmap::IndexMap<Name, Value>);

impl Object {
    /// Adds a field.
    ///
    /// # Errors
    /// If the value has no JSON.
    pub(super) fn with(mut self, field: &str, value: impl Serialize) -> anyhow::Result<Self> {
        self.0.insert(Name::new(field), to_value(value)?);
        Ok(self)
    }

    /// Adds the fields of an object of the API; those that are here already keep their values.
    pub(super) fn and(mut self, value: Value) -> Self {
        if let Value::Object(fields) = value {
            for (name, value) in fields {
                self.0.entry(name).or_insert(value);
            }
        }
        self
    }
}
