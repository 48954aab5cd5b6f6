//! Client errors: codes, messages and extensions of failed operations and fields.

use std::sync::Arc;

use async_graphql::{Error, ErrorExtensions, ServerError, Value, value};

use super::error_code::ErrorCode;
use super::metrics::Outcome;
use crate::cache::{DependencyScope, ReadMode};
use crate::services::ServiceError;
use crate::store::StoreError;
use crate::telemetry::Label as _;

/// Seconds after which a client may retry when the service is unavailable (`extensions.retryAfter`).
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Maximum length of a syntax error, in characters: the parser's text repeats the client's input.
const SYNTAX_ERROR_LIMIT: usize = 200;

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
            ServiceError::InvalidToken => Self::new(ErrorCode::Unauthenticated, &error.to_string()),
            ServiceError::TooManyInvalidTokens => Self::new(ErrorCode::RateLimited, &error.to_string()),
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
                    // Repeated already, in vain.
                    error if error.is_conflict() => {
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
        // Clients that show only the message need the argument, too.
        let message = match &error.field {
            Some(field) => format!("{field}: {}", error.message),
            None => error.message.to_string(),
        };
        Self::new(message).extend_with(|_, extensions| {
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

/// The parser's error without the excerpt of the document; the position is in `locations`.
pub(super) fn syntax_error(error: &ServerError) -> ServerError {
    // The parser writes the reason last, after the excerpt and an equals sign.
    let reason = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
    let message = format!("syntax error: {}", reason.chars().take(SYNTAX_ERROR_LIMIT).collect::<String>());
    ServerError { locations: error.locations.clone(), ..error_with_code(ErrorCode::ParseFailed, message) }
}

pub(super) fn error_with_code(code: ErrorCode, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    error
}

/// Returns the code of an error and adds it if missing. Errors of async-graphql itself have none. Neither does an error
/// that a resolver let through by mistake: it becomes `INTERNAL`, and its text is logged instead of sent.
pub(super) fn assign_code(error: &mut ServerError) -> ErrorCode {
    if let Some(Value::String(name)) = error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        return ErrorCode::named(name).unwrap_or(ErrorCode::Internal);
    }
    let code = if error.path.is_empty() {
        ErrorCode::ValidationFailed
    } else if is_bad_argument(error) {
        ErrorCode::BadUserInput
    } else {
        ErrorCode::Internal
    };
    if code == ErrorCode::Internal {
        tracing::error!(error = error.message, path = ?error.path, "resolver returned an unclassified error");
        "internal server error".clone_into(&mut error.message);
    }
    set_code(error, code);
    code
}

/// Whether async-graphql rejected an argument that validation does not check, such as a date.
fn is_bad_argument(error: &ServerError) -> bool {
    // The library's errors have no code, so that only their texts tell them apart.
    error.source.is_none()
        && (error.message.starts_with("Failed to parse \"") || error.message.starts_with("Expected input type \""))
}

fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_default().set("code", code.as_str());
}

/// The outcome of a response with these error codes and this data.
pub(super) fn outcome(codes: &[ErrorCode], data: &Value) -> Outcome {
    match codes {
        [] => Outcome::Ok,
        codes if !codes.iter().any(|code| code.is_server_fault()) => Outcome::Rejected,
        _ if *data == Value::Null => Outcome::Error,
        _ => Outcome::Partial,
    }
}

/// A `QUERY_TOO_COMPLEX` error with the requested and the allowed number in its extension `figure`.
pub(super) fn too_complex(problem: String, figure: &str, requested: usize, allowed: usize) -> ServerError {
    let mut error = error_with_code(ErrorCode::QueryTooComplex, problem);
    error.extensions.get_or_insert_default().set(figure, value!({ "requested": requested, "allowed": allowed }));
    error
}
