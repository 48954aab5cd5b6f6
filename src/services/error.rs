//! Errors of use cases, classified by who can fix them.

use std::borrow::Cow;

use crate::cache::LoadError;
use crate::scoring::DecadeError;
use crate::store::StoreError;

/// Why a use case failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// An argument is invalid.
    #[error("{field}: {problem}")]
    Invalid {
        /// The argument.
        field: Cow<'static, str>,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// An argument names something that does not exist.
    #[error("{field}: {problem}")]
    NotFound {
        /// The argument.
        field: Cow<'static, str>,
        /// What does not exist.
        problem: String,
    },
    /// The operation is not allowed for any caller.
    #[error("{problem}")]
    Forbidden {
        /// The argument that is not allowed, if any.
        field: Option<&'static str>,
        /// Why it is not allowed.
        problem: String,
    },
    /// The caller is not authenticated.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller's token is not one of the administrators'.
    #[error("invalid admin token")]
    InvalidToken,
    /// The caller's address has sent too many invalid tokens.
    #[error("too many invalid admin tokens from this address: retry in a minute")]
    TooManyInvalidTokens,
    /// The request conflicts with the state of the data, for example because another client has changed it.
    #[error("{field}: {problem}")]
    Conflict {
        /// The argument.
        field: &'static str,
        /// The conflict.
        problem: String,
    },
    /// The service is not set up completely; the message says what is missing.
    #[error("{0}")]
    NotReady(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ServiceError {
    /// Error for an invalid argument.
    pub fn invalid(field: impl Into<Cow<'static, str>>, problem: impl ToString) -> Self {
        Self::Invalid { field: field.into(), problem: problem.to_string() }
    }

    /// Error for an argument that names something that does not exist.
    pub fn not_found(field: impl Into<Cow<'static, str>>, problem: impl ToString) -> Self {
        Self::NotFound { field: field.into(), problem: problem.to_string() }
    }

    /// Error for an argument that is not allowed for any caller.
    pub fn forbidden(field: &'static str, problem: impl ToString) -> Self {
        Self::Forbidden { field: Some(field), problem: problem.to_string() }
    }

    /// Whether a change failed because of another transaction, so that it can be repeated from its start.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }

    /// Error for an argument that conflicts with the state of the data.
    pub fn conflict(field: &'static str, problem: impl ToString) -> Self {
        Self::Conflict { field, problem: problem.to_string() }
    }
}

impl LoadError for ServiceError {
    fn is_outage(&self) -> bool {
        // Also if a statement failed for another reason, such as invalid data: the request is valid all the same.
        matches!(self, Self::Store(_))
    }
}

impl From<DecadeError> for ServiceError {
    fn from(error: DecadeError) -> Self {
        Self::invalid("decade", error)
    }
}
