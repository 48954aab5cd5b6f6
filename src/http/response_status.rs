//! The HTTP status of a GraphQL response, which depends on its media type.

use axum::http::StatusCode;

use crate::graphql::ExecutionStatus;

/// Media type of an HTTP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/graphql-response+json`: the HTTP status shows whether the operation was executed.
    GraphqlResponse,
    /// `application/json`, for older clients: every well-formed request gets status 200.
    Json,
}

impl MediaType {
    /// HTTP status of a response that ends with `status`.
    pub(super) fn status(self, status: ExecutionStatus) -> StatusCode {
        match status {
            ExecutionStatus::Rejected if self == Self::Json => StatusCode::OK,
            ExecutionStatus::Rejected => StatusCode::BAD_REQUEST,
            ExecutionStatus::QueriesOnly => StatusCode::METHOD_NOT_ALLOWED,
            ExecutionStatus::Shed => StatusCode::SERVICE_UNAVAILABLE,
            ExecutionStatus::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ExecutionStatus::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            ExecutionStatus::Executed => StatusCode::OK,
        }
    }

    /// [`status`](Self::status) as a function that returns a number: the pipeline, which must not import HTTP types,
    /// takes this form.
    pub(super) fn status_code(self) -> fn(ExecutionStatus) -> u16 {
        match self {
            Self::GraphqlResponse => |status| Self::GraphqlResponse.status(status).as_u16(),
            Self::Json => |status| Self::Json.status(status).as_u16(),
        }
    }
}
