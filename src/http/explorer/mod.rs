//! `/graphiql`: GraphiQL, the API explorer, served from this origin only.
//!
//! GraphiQL's own files are not part of the repository or the program: `scripts/graphiql.sh` fetches them into a
//! directory. Administrators type tokens into this page, so a file is served only if its checksum is the one that this
//! program was built with. Without the files the page explains how to install them and shows the schema.

mod files;

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::files::{Files, VERSION};
use super::error::error_response;
use super::html_response;
use super::page::assets;
use super::trailing_slash::with_trailing_slashes;
use crate::graphql::ErrorCode;

/// Path of the explorer.
pub(super) const PATH: &str = "/graphiql";

/// The operations that the tabs show on the first visit.
const EXAMPLES: [&str; 4] = [
    include_str!("../../../assets/graphiql/predictions.graphql"),
    include_str!("../../../assets/graphiql/validation.graphql"),
    include_str!("../../../assets/graphiql/custom-weights.graphql"),
    include_str!("../../../assets/graphiql/stream.graphql"),
];

/// Content-Security-Policy of the explorer. Styles need `unsafe-inline`, because GraphiQL adds `<style>` elements for
/// its editor. Fonts and images need `data:`, because they are data URLs in its stylesheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The API explorer of one instance.
#[derive(Debug, Clone)]
pub struct Explorer(Arc<Files>);

impl Explorer {
    /// An explorer that serves the files in `directory`; by default where a package or a build from source installs
    /// them. `schema` is shown while they are missing.
    #[must_use]
    pub fn new(directory: Option<PathBuf>, schema: Option<String>) -> Self {
        Self(Arc::new(Files::new(directory, schema)))
    }

    /// Whether GraphiQL's files are in the directory. Their checksums are not compared before a request needs the
    /// files.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.0.exist()
    }

    pub(super) fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let routes = Router::new().route(PATH, get(page)).route("/graphiql/{version}/{name}", get(file));
        with_trailing_slashes(routes, &[PATH]).with_state(self)
    }
}

#[derive(Template)]
#[template(path = "explorer.html")]
struct ExplorerPage {
    icon: String,
    examples: [&'static str; 4],
}

impl ExplorerPage {
    #[expect(clippy::unused_self, reason = "the template calls it so")]
    fn asset(&self, name: &str) -> String {
        format!("{PATH}/{}/{name}", *VERSION)
    }
}

#[derive(Template)]
#[template(path = "explorer_missing.html")]
struct MissingPage<'a> {
    icon: String,
    stylesheet: String,
    schema: Option<&'a str>,
}

/// `GET /graphiql`.
async fn page(State(Explorer(files)): State<Explorer>) -> Response {
    let icon = assets::path("icon.svg");
    match files.verified().await {
        Ok(_) => html_response::respond(StatusCode::OK, &ExplorerPage { icon, examples: EXAMPLES }, POLICY),
        Err(error) => {
            error.log();
            let view = MissingPage { icon, stylesheet: assets::path("app.css"), schema: files.schema.as_deref() };
            html_response::respond(StatusCode::OK, &view, POLICY)
        }
    }
}

/// `GET /graphiql/{version}/{name}`.
async fn file(
    State(Explorer(files)): State<Explorer>,
    Path((version, name)): Path<(String, String)>,
    request: HeaderMap,
) -> Response {
    let found = match files.verified().await {
        Ok(files) if version == *VERSION => files.get(name.as_str()),
        Ok(_) => None,
        Err(error) => {
            error.log();
            None
        }
    };
    let Some(file) = found else {
        return error_response(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            "this version of the program has no such file: reload the page",
        );
    };
    let is_style = FsPath::new(&name).extension().is_some_and(|extension| extension == "css");
    let media_type = if is_style { assets::CSS } else { assets::SCRIPT };
    let (headers, vary) = (assets::immutable(media_type), [(VARY, "accept-encoding")]);
    if accepts_gzip(&request) {
        (headers, vary, [(CONTENT_ENCODING, "gzip")], file.gzip.clone()).into_response()
    } else {
        (headers, vary, file.plain.clone()).into_response()
    }
}

/// Whether `Accept-Encoding` allows gzip. Quality values other than 0 do not matter, since no other coding is offered.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut codings = lines.flat_map(|line| line.split(',')).map(str::trim);
    codings.any(|coding| coding.starts_with("gzip") && !coding.ends_with("q=0"))
}
