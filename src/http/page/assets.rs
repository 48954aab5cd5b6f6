//! Styles and scripts: part of the program, and kept by browsers for ever.
//!
//! All of them share one version in their path, made of all of their contents: scripts import each other by plain
//! relative names, and nothing has to be built for that.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::http::error::error_response;
use crate::telemetry::ErrorCode;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../../../assets/", $name)))),+]
    };
}

/// Name, type and content.
const ASSETS: &[(&str, &str, &str)] = assets! {
    "app.css": CSS,
    "app.js": SCRIPT,
    "address.js": SCRIPT,
    "api.js": SCRIPT,
    "format.js": SCRIPT,
    "list.js": SCRIPT,
    "live.js": SCRIPT,
    "row.js": SCRIPT,
    "socket.js": SCRIPT,
    "timings.js": SCRIPT,
    "tools.js": SCRIPT,
    "why.js": SCRIPT,
    "icon.svg": SVG,
};

/// Tells this set of assets from every other.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, _, content) in ASSETS {
        hash.update(name);
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    let hash = hash.finalize();
    format!("{:016x}", hash.first_chunk().copied().map_or(0, u64::from_be_bytes))
});

/// Where an asset is.
pub(in crate::http) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// The scripts, which a page asks for before it has read the first of them.
pub(super) fn scripts() -> impl Iterator<Item = String> {
    ASSETS.iter().filter(|(_, kind, _)| *kind == SCRIPT).map(|(name, ..)| path(name))
}

/// `GET /assets/{version}/{name}`.
pub(super) async fn get(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|(known, ..)| *known == name).filter(|_| version == *VERSION);
    // An old page asks for what this program no longer has: it must not be given another version for ever.
    let Some((_, kind, content)) = found else {
        return error_response(StatusCode::NOT_FOUND, ErrorCode::NotFound, "there is no such file in this version");
    };
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, *content).into_response()
}
