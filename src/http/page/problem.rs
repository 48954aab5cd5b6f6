//! Errors that the predictions page shows.

use axum::http::StatusCode;
use serde::Deserialize;

/// Why a page cannot be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PageError {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) text: String,
    /// Seconds for the header `Retry-After`, if it is to be sent.
    pub(super) retry_after: Option<u32>,
}

/// An error in a GraphQL response.
#[derive(Debug, Deserialize)]
pub(super) struct GraphqlError {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: String,
}

impl PageError {
    /// A parameter of the URL has an invalid value.
    pub(super) fn invalid_link(parameter: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid link", format!("The link has an invalid {parameter}."))
    }

    pub(super) fn movie_not_found() -> Self {
        let text = "No film has this address. It may have been removed, or the link may be incomplete.".to_owned();
        Self::new(StatusCode::NOT_FOUND, "We don’t know this film", text)
    }

    pub(super) fn person_not_found() -> Self {
        let text = "No person has this address. They may have been removed, or the link may be incomplete.".to_owned();
        Self::new(StatusCode::NOT_FOUND, "We don’t know this person", text)
    }

    /// No route has the path of the URL.
    pub(super) fn page_not_found() -> Self {
        let text = "No page has this address. The link may be incomplete.".to_owned();
        Self::new(StatusCode::NOT_FOUND, "Page not found", text)
    }

    /// An error whose details are only logged.
    pub(super) fn internal() -> Self {
        let text = "The page could not be shown. The error has been logged.".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", text)
    }

    /// What the page shows for an error in a GraphQL response. The error's code decides the status and the title.
    pub(super) fn from_graphql(error: &GraphqlError, retry_after: Option<u32>) -> Self {
        let (status, title) = match error.extensions.code.as_str() {
            "BAD_USER_INPUT" => (StatusCode::BAD_REQUEST, "Invalid request"),
            "NOT_FOUND" => (StatusCode::NOT_FOUND, "Not found"),
            "TIMEOUT" => (StatusCode::GATEWAY_TIMEOUT, "Request timed out"),
            "SERVICE_UNAVAILABLE" => (StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable"),
            // This includes errors in the page's own queries, whose message would not help the readers of the page.
            _ => return Self::internal(),
        };
        Self { retry_after, ..Self::new(status, title, error.message.clone()) }
    }

    fn new(status: StatusCode, title: &'static str, text: String) -> Self {
        Self { status, title, text, retry_after: None }
    }
}
