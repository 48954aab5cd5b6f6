//! Styles and scripts, embedded in the program and cached by browsers indefinitely.
//!
//! The paths of all files contain the same content hash. So scripts can import each other by relative names, and no
//! build step has to insert hashes into them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::digest::sha256_hex;
use crate::graphql::ErrorCode;
use crate::http::error::error_response;

pub(in crate::http) const CSS: &str = "text/css; charset=utf-8";
pub(in crate::http) const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../../../assets/", $name)))),+]
    };
}

/// Name, media type and content of each file.
const ASSETS: &[(&str, &str, &str)] = assets! {
    "app.css": CSS,
    "app.js": SCRIPT,
    "accuracy.js": SCRIPT,
    "address.js": SCRIPT,
    "api.js": SCRIPT,
    "changes.js": SCRIPT,
    "format.js": SCRIPT,
    "keys.js": SCRIPT,
    "list.js": SCRIPT,
    "live.js": SCRIPT,
    "motion.js": SCRIPT,
    "poster.js": SCRIPT,
    "retry.js": SCRIPT,
    "row.js": SCRIPT,
    "search.js": SCRIPT,
    "share.js": SCRIPT,
    "socket.js": SCRIPT,
    "timings.js": SCRIPT,
    "tools.js": SCRIPT,
    "why.js": SCRIPT,
    "icon.svg": SVG,
};

/// Content hash of all assets. 64 bits of it are enough, since they only tell versions apart.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let contents: String = ASSETS.iter().map(|(name, _, content)| format!("{name}\n{content}\n")).collect();
    sha256_hex(contents)[..16].to_owned()
});

/// Path of an asset.
pub(in crate::http) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Paths of all scripts, for preloading: otherwise the browser finds imports only after parsing the importing script.
pub(super) fn scripts() -> impl Iterator<Item = String> {
    ASSETS.iter().filter(|(_, kind, _)| *kind == SCRIPT).map(|(name, ..)| path(name))
}

/// `GET /assets/{version}/{name}`.
pub(super) async fn get(Path((version, name)): Path<(String, String)>) -> Response {
    let asset = ASSETS.iter().find(|(known, ..)| *known == name).filter(|_| version == *VERSION);
    // A path of another version gets no content: the browser of an older page would cache the content of this version
    // under that path indefinitely.
    let Some((_, kind, content)) = asset else {
        return error_response(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            "this version of the program has no such file: reload the page",
        );
    };
    (immutable(kind), *content).into_response()
}

/// Headers of a file whose URL changes with its content.
pub(in crate::http) fn immutable(media_type: &'static str) -> [(HeaderName, &'static str); 3] {
    [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}
