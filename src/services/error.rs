//! What can go wrong in a use case, sorted by who can do something about it.

use std::borrow::Cow;

use crate::cache::LoadError;
use crate::scoring::DecadeError;
use crate::store::StoreError;

/// Why a use case gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// The caller asked for something that cannot be.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which argument.
        field: Cow<'static, str>,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// The caller named something that is not there.
    #[error("{field}: {problem}")]
    NotFound {
        /// Which argument.
        field: Cow<'static, str>,
        /// What is not there.
        problem: String,
    },
    /// Nobody may do this.
    #[error("{problem}")]
    Forbidden {
        /// Which argument stands in the way, if one does.
        field: Option<&'static str>,
        /// Why not.
        problem: String,
    },
    /// The caller has not proven who they are.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// What the caller wants does not fit what others have made of it.
    #[error("{field}: {problem}")]
    Conflict {
        /// Which argument.
        field: &'static str,
        /// What it does not fit.
        problem: String,
    },
    /// Something has to be set up first; the text says what.
    #[error("{0}")]
    NotReady(&'static str),
    /// The database gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ServiceError {
    /// An argument that cannot be.
    pub fn invalid(field: impl Into<Cow<'static, str>>, problem: impl ToString) -> Self {
        Self::Invalid { field: field.into(), problem: problem.to_string() }
    }

    /// An argument that names nothing.
    pub fn not_found(field: impl Into<Cow<'static, str>>, problem: impl ToString) -> Self {
        Self::NotFound { field: field.into(), problem: problem.to_string() }
    }

    /// An argument that nobody may give.
    pub fn forbidden(field: &'static str, problem: impl ToString) -> Self {
        Self::Forbidden { field: Some(field), problem: problem.to_string() }
    }

    /// An argument that does not fit what others have done.
    pub fn conflict(field: &'static str, problem: impl ToString) -> Self {
        Self::Conflict { field, problem: problem.to_string() }
    }
}

impl LoadError for ServiceError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl From<DecadeError> for ServiceError {
    fn from(error: DecadeError) -> Self {
        Self::invalid("decade", error)
    }
}
