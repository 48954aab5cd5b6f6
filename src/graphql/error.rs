//! Client errors: codes, messages and extensions of failed operations and fields.

use std::sync::Arc;

use async_graphql::{Error, ErrorExtensions};

use crate::cache::{DependencyScope, ReadMode};
use crate::services::ServiceError;
use crate::store::StoreError;
use crate::telemetry::{Label as _, label};

/// Seconds after which a client may retry when the service is unavailable (`extensions.retryAfter`).
pub const RETRY_AFTER_SECONDS: u32 = 1;

label! {
    /// The values of `extensions.code`.
    ErrorCode {
        ParseFailed = "GRAPHQL_PARSE_FAILED",
        ValidationFailed = "GRAPHQL_VALIDATION_FAILED",
        BadUserInput = "BAD_USER_INPUT",
        NotFound = "NOT_FOUND",
        Unauthenticated = "UNAUTHENTICATED",
        Forbidden = "FORBIDDEN",
        Conflict = "CONFLICT",
        QueryTooComplex = "QUERY_TOO_COMPLEX",
        PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND",
        RateLimited = "RATE_LIMITED",
        Timeout = "TIMEOUT",
        ServiceUnavailable = "SERVICE_UNAVAILABLE",
        Internal = "INTERNAL",
    }
}

impl ErrorCode {
    /// The code with this name, if any.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Whether the server caused the error, and not the client.
    #[must_use]
    pub fn is_server_fault(self) -> bool {
        matches!(self, Self::Timeout | Self::ServiceUnavailable | Self::Internal)
    }
}

/// An error as a client sees it.
///
/// Deliberately has no `Display`: async-graphql turns every `Display` error into client text, which would leak database
/// messages.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    code: ErrorCode,
    message: Arc<str>,
    field: Option<Arc<str>>,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: &str) -> Self {
        Self { code, message: message.into(), field: None }
    }

    /// An invalid argument: `field` is its path, `problem` what is wrong with it.
    pub(super) fn bad_input(field: &str, problem: impl AsRef<str>) -> Self {
        Self { code: ErrorCode::BadUserInput, message: problem.as_ref().into(), field: Some(field.into()) }
    }

    /// Prefixes the field with the name of the enclosing argument.
    pub(super) fn prefix_field(self, argument: &str) -> Self {
        let field = self.field.map(|field| format!("{argument}.{field}").into());
        Self { field, ..self }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let of = |code, field: &str, problem: String| Self { code, message: problem.into(), field: Some(field.into()) };
        match error {
            ServiceError::Invalid { field, problem } => of(ErrorCode::BadUserInput, &field, problem),
            ServiceError::NotFound { field, problem } => of(ErrorCode::NotFound, &field, problem),
            ServiceError::Conflict { field, problem } => of(ErrorCode::Conflict, field, problem),
            ServiceError::Forbidden { field: Some(field), problem } => of(ErrorCode::Forbidden, field, problem),
            ServiceError::Forbidden { field: None, problem } => Self::new(ErrorCode::Forbidden, &problem),
            ServiceError::Unauthenticated(problem) => Self::new(ErrorCode::Unauthenticated, problem),
            ServiceError::NotReady(what) => Self::new(ErrorCode::ServiceUnavailable, what),
            ServiceError::Store(error) => {
                let cause = chain(&error);
                // A failed background refresh reaches no client, and the cache metrics count it.
                if DependencyScope::current().is_none_or(|reading| reading.mode() == ReadMode::Request) {
                    tracing::error!(error = cause, "request failed");
                } else {
                    tracing::debug!(error = cause, "background refresh failed");
                }
                match error {
                    StoreError::Unavailable(_) | StoreError::Unresponsive(_) | StoreError::TooManyDirectQueries(_) => {
                        Self::new(ErrorCode::ServiceUnavailable, "the service is temporarily unavailable; retry later")
                    }
                    StoreError::TimedOut { .. } => Self::new(ErrorCode::Timeout, "the request timed out"),
                    _ => Self::new(ErrorCode::Internal, "internal server error"),
                }
            }
        }
    }
}

/// The error and all its causes in one line, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::new(error.message.as_ref()).extend_with(|_, extensions| {
            extensions.set("code", error.code.as_str());
            if let Some(field) = &error.field {
                extensions.set("field", field.as_ref());
            }
            if error.code == ErrorCode::ServiceUnavailable {
                extensions.set("retryAfter", RETRY_AFTER_SECONDS);
            }
        })
    }
}
