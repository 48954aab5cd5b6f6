//! Why a page cannot be shown, as it is told to whoever asked for it.

use axum::http::StatusCode;
use serde::Deserialize;

/// What stands in the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PageError {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) text: String,
    /// Seconds after which to ask again.
    pub(super) retry_after: Option<u32>,
}

/// An error of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Wrong {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: String,
    field: Option<String>,
}

impl PageError {
    /// A part of the address makes no sense.
    pub(super) fn bad_address(part: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "That address makes no sense", format!("{part} cannot be read"))
    }

    pub(super) fn no_film() -> Self {
        let text = "No film has this address. It may have been taken out of the catalogue.".to_owned();
        Self::new(StatusCode::NOT_FOUND, "There is no such film", text)
    }

    /// What nobody who reads a page can do anything about.
    pub(super) fn internal() -> Self {
        let text = "Something went wrong on our side. It has been noted.".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "This page failed", text)
    }

    /// What the API says.
    pub(super) fn from_graphql(wrong: &Wrong, retry_after: Option<u32>) -> Self {
        let text = match &wrong.extensions.field {
            Some(field) => format!("{field} {}", wrong.message),
            None => wrong.message.clone(),
        };
        let (status, title) = match wrong.extensions.code.as_str() {
            "BAD_USER_INPUT" => (StatusCode::BAD_REQUEST, "That cannot be asked"),
            "NOT_FOUND" => (StatusCode::NOT_FOUND, "That is not there"),
            "TIMEOUT" => (StatusCode::GATEWAY_TIMEOUT, "That took too long"),
            "SERVICE_UNAVAILABLE" => (StatusCode::SERVICE_UNAVAILABLE, "The films cannot be reached right now"),
            _ => return Self::internal(),
        };
        Self { retry_after, ..Self::new(status, title, text) }
    }

    fn new(status: StatusCode, title: &'static str, text: String) -> Self {
        Self { status, title, text, retry_after: None }
    }
}
