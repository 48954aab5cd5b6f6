//! Administrators: who may change things, proven by a token of the operator's file.

use std::path::PathBuf;

use super::ServiceError;
use crate::config::{AdminTokens, Secret};

/// Who may change things.
#[derive(Debug)]
pub struct Authenticator {
    tokens_file: Option<PathBuf>,
}

/// A token as a caller presents it, not yet compared with any.
#[derive(Debug, Clone)]
pub struct Bearer(Secret);

impl Bearer {
    /// Of the value of an `Authorization` header; none where it is of another kind.
    #[must_use]
    pub fn of(authorization: &str) -> Option<Self> {
        let (scheme, token) = authorization.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Self(Secret::from(token.trim().to_owned())))
    }
}

/// Somebody who has proven to be one. Only [`Authenticator::admit`] makes one, so what takes it is guarded.
#[derive(Debug)]
pub struct Administrator {
    label: Option<String>,
}

impl Administrator {
    /// The label of their token, for the log.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or("unlabelled")
    }
}

impl Authenticator {
    pub(super) fn of(tokens_file: Option<PathBuf>) -> Self {
        Self { tokens_file }
    }

    /// Lets an administrator in. The file is read each time: a token that was added, or taken away, counts at once.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] where nobody is one, [`ServiceError::Unauthenticated`] when the caller is none,
    /// [`ServiceError::NotReady`] when the file cannot be read or is damaged.
    pub async fn authenticate(&self, bearer: Option<&Bearer>) -> Result<Administrator, ServiceError> {
        let nobody = || ServiceError::Forbidden {
            field: None,
            problem: "mutations are off: no admin token is configured (admin_tokens_file)".to_owned(),
        };
        let path = self.tokens_file.clone().ok_or_else(nobody)?;
        let admin = tokio::task::spawn_blocking(move || AdminTokens::read(&path)).await;
        let admin = admin.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
        if admin.tokens.is_empty() {
            return Err(nobody());
        }
        let Bearer(token) = bearer.ok_or(ServiceError::Unauthenticated(
            "a mutation needs an admin token: send the header Authorization: Bearer …",
        ))?;
        let holder = admin.holder_of(token.expose());
        let holder = holder.ok_or(ServiceError::Unauthenticated("this is no admin token in force"))?;
        Ok(Administrator { label: holder.label.clone() })
    }
}

fn unreadable(error: &dyn std::error::Error) -> ServiceError {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "nobody can be admitted");
    ServiceError::NotReady("the admin tokens cannot be read: see the log of the service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
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
