//! Authenticates administrators by the tokens in the operator's file.

use std::net::IpAddr;
use std::path::PathBuf;

use super::ServiceError;
use super::invalid_tokens::InvalidTokens;
use crate::clock::Clock;
use crate::config::{AdminTokens, Secret};

/// Checks admin tokens.
#[derive(Debug)]
pub struct Authenticator {
    tokens_file: Option<PathBuf>,
    invalid_tokens: InvalidTokens,
}

/// A token from a request, not yet verified, and the address of the client that sent it.
#[derive(Debug, Clone)]
pub struct Bearer {
    token: Secret,
    client: Option<IpAddr>,
}

impl Bearer {
    /// Parses the value of an `Authorization` header; `None` for other schemes than `Bearer`. The client is unknown.
    #[must_use]
    pub fn of(authorization: &str) -> Option<Self> {
        let (scheme, token) = authorization.split_once(' ')?;
        let token = || Secret::from(token.trim().to_owned());
        scheme.eq_ignore_ascii_case("bearer").then(|| Self { token: token(), client: None })
    }

    /// Sets the address of the client that sent the token. Invalid tokens are limited per client; a token without an
    /// address is never rejected for this reason.
    #[must_use]
    pub fn from_client(self, client: Option<IpAddr>) -> Self {
        Self { client, ..self }
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
    pub(super) fn new(tokens_file: Option<PathBuf>, clock: Clock) -> Self {
        Self { tokens_file, invalid_tokens: InvalidTokens::new(clock) }
    }

    /// Authenticates a request. Reads the file each time, so that added and removed tokens take effect at once.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] if no token is configured, [`ServiceError::Unauthenticated`] for a missing token,
    /// [`ServiceError::InvalidToken`] for an unknown one, [`ServiceError::TooManyInvalidTokens`] for any token, even a
    /// valid one, of a client that has just sent many unknown ones, [`ServiceError::NotReady`] if the file cannot be
    /// read or is invalid.
    pub async fn authenticate(&self, bearer: Option<&Bearer>) -> Result<Administrator, ServiceError> {
        let no_tokens = || ServiceError::Forbidden {
            field: None,
            problem: "mutations are off: no admin token is configured (admin_tokens_file)".to_owned(),
        };
        let path = self.tokens_file.clone().ok_or_else(no_tokens)?;
        // Checked before the file is read, so that a client that guesses tokens causes next to no work.
        if bearer.and_then(|bearer| bearer.client).is_some_and(|client| self.invalid_tokens.is_limited(client)) {
            return Err(ServiceError::TooManyInvalidTokens);
        }
        let admin = tokio::task::spawn_blocking(move || AdminTokens::read(&path)).await;
        let admin = admin.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
        if admin.tokens.is_empty() {
            return Err(no_tokens());
        }
        let bearer = bearer.ok_or(ServiceError::Unauthenticated(
            "a mutation needs an admin token: send it by POST with the header Authorization: Bearer …",
        ))?;
        match admin.holder_of(bearer.token.expose()) {
            Some(holder) => Ok(Administrator { label: holder.label.clone() }),
            None => Err(self.reject(bearer.client)),
        }
    }

    /// Logs and counts an invalid token; returns the error for the client.
    fn reject(&self, client: Option<IpAddr>) -> ServiceError {
        let client_address = client.map_or_else(|| "unknown".to_owned(), |client| client.to_canonical().to_string());
        tracing::warn!(client_address, "invalid admin token");
        if client.is_some_and(|client| self.invalid_tokens.record(client)) {
            tracing::warn!(
                client_address,
                "too many invalid admin tokens; tokens of this client are rejected for a minute"
            );
        }
        ServiceError::InvalidToken
    }
}

/// Logs why the tokens cannot be read. The returned error does not say why, because only the operator can mend it.
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
            assert_eq!(Bearer::of(header).as_ref().map(|bearer| bearer.token.expose()), token, "{header}");
        }
    }
}
