//! How clients send an operation: as a JSON object, or as the query string of a GET.

use async_graphql::{Extensions, Request, Variables};
use serde::Deserialize;

use crate::graphql::DocumentId;

/// The JSON object that requests an operation: the body of a POST, the payload of `subscribe`. Unknown members are
/// ignored, as the specification requires.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GraphqlRequest {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<Extensions>,
}

impl GraphqlRequest {
    /// The operation to execute; `None` if the request has neither a document nor the id or hash of one. An empty
    /// operation name counts as none.
    pub(super) fn into_request(self) -> Option<Request> {
        let extensions = self.extensions.unwrap_or_default();
        // A persisted document is identified by its id or hash, and needs no text.
        let is_persisted = self.document_id.is_some() || extensions.contains_key("persistedQuery");
        let query = self.query.or_else(|| is_persisted.then(String::new))?;
        let mut request = Request::new(query).variables(self.variables.unwrap_or_default());
        request.extensions = extensions;
        if let Some(id) = self.document_id {
            request = request.data(DocumentId(id));
        }
        Some(match self.operation_name {
            Some(name) if !name.is_empty() => request.operation_name(name),
            _ => request,
        })
    }
}

/// Query string of a GET request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryParameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl QueryParameters {
    /// The operation to execute; `None` without a document, or if `variables` or `extensions` are not JSON objects.
    /// Empty parameters count as missing.
    pub(super) fn into_request(self) -> Option<Request> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let variables = given(self.variables).map(|json| serde_json::from_str(&json)).transpose().ok()?;
        let extensions = given(self.extensions).map(|json| serde_json::from_str(&json)).transpose().ok()?;
        let Self { query, document_id, operation_name, .. } = self;
        GraphqlRequest { query, document_id, operation_name, variables, extensions }.into_request()
    }
}
