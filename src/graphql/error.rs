//! Client errors: codes, messages and extensions of failed operations and fields.

use std::sync::Arc;

use async_graphql::{Error, ErrorExtensions, ServerError, Value, value};

use super::error_code::ErrorCode;
use super::metrics::Outcome;
use crate::cache::{DependencyScope, ReadMode};
use crate::services::ServiceError;
use crate::store::StoreError;
use crate::telemetry::{Label as _, with_causes};

/// Seconds after which a client may retry when the service is unavailable (`extensions.retryAfter`, `Retry-After`). A
/// choice: the smallest whole number, because overload and failovers usually last only moments.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Maximum length of the parser's text in a syntax error, in characters. A choice: long enough for a list of expected
/// tokens, while a text that repeats the client's input is cut.
const SYNTAX_ERROR_LIMIT: usize = 200;

/// How the problem of an argument begins if the argument is its subject.
const PREDICATES: [&str; 4] = ["is ", "has ", "cannot ", "contains "];

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

    /// A `BAD_USER_INPUT` error. `field` is the path of the invalid argument, such as `filter.minScore`; `problem` says
    /// what is wrong with it, as a sentence or as a predicate of the argument (see [`PREDICATES`]).
    pub(super) fn bad_input(field: &str, problem: impl AsRef<str>) -> Self {
        Self { code: ErrorCode::BadUserInput, message: problem.as_ref().into(), field: Some(field.into()) }
    }

    /// Puts the name of the enclosing argument before the path of the invalid argument, if the error has one.
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
                let cause = with_causes(&error);
                // The failure of a background load reaches no client and is counted in the cache metrics, so it is not
                // logged as an error. Outside of a dependency scope, a request is served. It need not fail: its other
                // fields may be served, or an outdated response instead.
                if DependencyScope::current().is_none_or(|reading| reading.mode() == ReadMode::Request) {
                    tracing::error!(error = cause, "a field could not be resolved");
                } else {
                    tracing::debug!(error = cause, "background refresh failed");
                }
                match error {
                    StoreError::Unavailable(_) | StoreError::Unresponsive(_) | StoreError::TooManyDirectQueries(_) => {
                        Self::new(ErrorCode::ServiceUnavailable, "the service is temporarily unavailable; retry later")
                    }
                    // The store has repeated the transaction several times, and all of the attempts conflicted.
                    error if error.is_conflict() => {
                        Self::new(ErrorCode::ServiceUnavailable, "the service is temporarily unavailable; retry later")
                    }
                    StoreError::TimedOut { .. } => Self::new(ErrorCode::Timeout, "the request timed out; retry later"),
                    _ => Self::new(ErrorCode::Internal, "internal server error"),
                }
            }
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        // Some clients show only the message, so it has to be clear without the field.
        let message = match &error.field {
            Some(field) if PREDICATES.iter().any(|predicate| error.message.starts_with(predicate)) => {
                format!("`{field}` {}", error.message)
            }
            _ => error.message.to_string(),
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

/// Converts an error of the parser to `GRAPHQL_PARSE_FAILED`. The text keeps the reason only and not the excerpt of the
/// document, because clients have the document, and `locations` has the position.
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

/// The text of a message as a sentence, which clients can show to people: with a capital letter and a full stop. A
/// single word, such as `PersistedQueryNotFound`, is for programs and stays as it is.
#[must_use]
pub fn sentence(text: &str) -> String {
    let Some((word, _)) = text.split_once(' ') else { return text.to_owned() };
    // Names of fields and settings keep their case.
    let is_word = word.chars().all(|letter| letter.is_ascii_lowercase());
    let (first, rest) = text.split_at(usize::from(is_word));
    let stop = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    [&first.to_ascii_uppercase(), rest, stop].concat()
}

/// Completes an error for clients: makes its message a sentence, and returns its code. An error without a code is given
/// one:
///
/// - `GRAPHQL_VALIDATION_FAILED` if it has no path, because then async-graphql's validation found it;
/// - `BAD_USER_INPUT` if async-graphql rejected an argument during execution;
/// - `INTERNAL` otherwise: by mistake, a resolver returned an error that is no [`ApiError`]. Its text is only logged.
pub(super) fn complete_error(error: &mut ServerError) -> ErrorCode {
    let code = assign_code(error);
    error.message = sentence(&error.message);
    code
}

fn assign_code(error: &mut ServerError) -> ErrorCode {
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

/// Whether async-graphql itself rejected the value of an argument during execution, such as a date, which validation
/// does not check.
fn is_bad_argument(error: &ServerError) -> bool {
    // Errors of the library have no code: only their texts distinguish them. An error that a resolver returned by
    // mistake may have the same text, but it has a source: the value that `?` converted.
    error.source.is_none()
        && (error.message.starts_with("Failed to parse \"") || error.message.starts_with("Expected input type \""))
}

fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_default().set("code", code.as_str());
}

/// The outcome of a response with these error codes and this data, for the metrics. Client errors alone make it
/// `rejected`, even if there is data.
pub(super) fn outcome(codes: &[ErrorCode], data: &Value) -> Outcome {
    match codes {
        [] => Outcome::Ok,
        codes if !codes.iter().any(|code| code.is_server_fault()) => Outcome::Rejected,
        _ if *data == Value::Null => Outcome::Error,
        _ => Outcome::Partial,
    }
}

/// A `QUERY_TOO_COMPLEX` error. Its extension `figure`, such as `cost` or `depth`, holds the requested and the allowed
/// number.
pub(super) fn too_complex(problem: String, figure: &str, requested: usize, allowed: usize) -> ServerError {
    let mut error = error_with_code(ErrorCode::QueryTooComplex, problem);
    error.extensions.get_or_insert_default().set(figure, value!({ "requested": requested, "allowed": allowed }));
    error
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn messages_are_sentences_except_for_programs() {
        for (text, shown) in [
            ("internal server error", "Internal server error."),
            ("unknown profile \"Missing\"", "Unknown profile \"Missing\"."),
            ("`first` is 0, expected 1 to 100", "`first` is 0, expected 1 to 100."),
            ("extensions.persistedQuery is not an object", "extensions.persistedQuery is not an object."),
            ("Already one.", "Already one."),
            ("PersistedQueryNotFound", "PersistedQueryNotFound"),
        ] {
            assert_eq!((sentence(text).as_str(), sentence(shown).as_str()), (shown, shown));
        }
    }
}
