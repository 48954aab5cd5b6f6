//! Authenticates administrators by the tokens in the operator's file.

use std::path::PathBuf;

use super::ServiceError;
use crate::config::{AdminTokens, Secret};

/// Checks admin tokens.
#[derive(Debug)]
pub struct Authenticator {
    tokens_file: Option<PathBuf>,
}

/// A token from a request, not yet verified.
#[derive(Debug, Clone)]
pub struct Bearer(Secret);

impl Bearer {
    /// Parses the value of an `Authorization` header; `None` for other schemes.
    #[must_use]
    pub fn of(authorization: &str) -> Option<Self> {
        let (scheme, token) = authorization.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Self(Secret::from(token.trim().to_owned())))
    }
}

/// Proof of authentication: only [`Authenticator::authenticate`] creates it, so functions that take it are protected.
#[derive(Debug)]
pub struct Administrator {
    label: Option<String>,
}

impl Administrator {
    /// Label of the token, for the log.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or("unlabelled")
    }
}

impl Authenticator {
    pub(super) fn of(tokens_file: Option<PathBuf>) -> Self {
        Self { tokens_file }
    }

    /// Authenticates a request. Reads the file each time, so that added and removed tokens take effect at once.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] if no token is configured, [`ServiceError::Unauthenticated`] for a missing or
    /// unknown token, [`ServiceError::NotReady`] if the file cannot be read or is invalid.
    pub async fn authenticate(&self, bearer: Option<&Bearer>) -> Result<Administrator, ServiceError> {
        let no_tokens = || ServiceError::Forbidden {
            field: None,
            problem: "mutations are off: no admin token is configured (admin_tokens_file)".to_owned(),
        };
        let path = self.tokens_file.clone().ok_or_else(no_tokens)?;
        let admin = tokio::task::spawn_blocking(move || AdminTokens::read(&path)).await;
        let admin = admin.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
        if admin.tokens.is_empty() {
            return Err(no_tokens());
        }
        let Bearer(token) = bearer.ok_or(ServiceError::Unauthenticated(
            "a mutation needs an admin token: send it by POST with the header Authorization: Bearer …",
        ))?;
        let holder = admin.holder_of(token.expose());
        let holder = holder.ok_or(ServiceError::Unauthenticated("invalid admin token"))?;
        Ok(Administrator { label: holder.label.clone() })
    }
}

fn unreadable(error: &dyn std::error::Error) -> ServiceError {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "admin tokens file unreadable");
    ServiceError::NotReady("cannot read the admin tokens; see the service log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_scheme_is_accepted_in_any_case() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearerabc", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(Bearer::of(header).as_ref().map(|Bearer(token)| token.expose()), token, "{header}");
        }
    }
}
