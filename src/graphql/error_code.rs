//! The codes of client errors.

use crate::telemetry::{Label as _, label};

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
