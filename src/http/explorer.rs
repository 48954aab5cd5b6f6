//! `/graphiql`: GraphiQL, the API explorer, from this origin alone.
//!
//! GraphiQL's own files are not part of the repository or the program: `scripts/graphiql.sh` fetches them into a
//! directory. Administrators type tokens into this page, so a file is served only if its checksum is the one that this
//! program was built with. Without the files the page says how to get them and shows the schema.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::{env, io};

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::error::error_response;
use super::html;
use super::page::asset_path;
use crate::telemetry::ErrorCode;

/// Where the explorer is.
pub(super) const PATH: &str = "/graphiql";

/// Where installed files lie, seen from the program's directory: `bin/` and `share/` are siblings, as the Filesystem
/// Hierarchy Standard has it, and `target/share` is where a build from source puts them.
const INSTALLED: &str = "../share/cinegraph/graphiql";

/// Checksum and name of each of GraphiQL's files, in the format of `sha256sum`.
const CHECKSUMS: &str = include_str!("../../assets/graphiql/SHA256SUMS");

/// What starts GraphiQL on this service; part of the program.
const OWN_FILES: [(&str, &str); 2] = [
    ("explorer.js", include_str!("../../assets/graphiql/explorer.js")),
    ("explorer.css", include_str!("../../assets/graphiql/explorer.css")),
];

/// The operations in the tabs of a first visit.
const EXAMPLES: [&str; 4] = [
    include_str!("../../assets/graphiql/predictions.graphql"),
    include_str!("../../assets/graphiql/validation.graphql"),
    include_str!("../../assets/graphiql/custom-weights.graphql"),
    include_str!("../../assets/graphiql/stream.graphql"),
];

/// GraphiQL adds `<style>` elements for its editor, hence `unsafe-inline` for styles; its fonts and images are data URLs
/// in its stylesheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Part of each file's URL, so that browsers may cache files for good: changes with the content of any of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(CHECKSUMS);
    for (_, content) in OWN_FILES {
        hash.update(content);
    }
    hex(&hash.finalize())[..16].to_owned()
});

/// The API explorer of one instance.
#[derive(Debug, Clone)]
pub struct Explorer(Arc<Files>);

#[derive(Debug)]
struct Files {
    directory: PathBuf,
    /// The schema to show where the files are missing; none where it is not public.
    schema: Option<String>,
    /// Read and checked once all of them are there.
    verified: OnceCell<HashMap<&'static str, Bytes>>,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{name} cannot be read")]
    Read { name: &'static str, source: io::Error },
    #[error("{name} has another checksum than expected")]
    Checksum { name: &'static str },
}

impl Explorer {
    /// An explorer whose files lie in `directory`; by default where a package or a build from source installs them.
    /// `schema` is shown where they are missing.
    #[must_use]
    pub fn new(directory: Option<PathBuf>, schema: Option<String>) -> Self {
        let directory = directory.unwrap_or_else(installed);
        Self(Arc::new(Files { directory, schema, verified: OnceCell::new() }))
    }

    pub(super) fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new().route(PATH, get(page)).route("/graphiql/{version}/{name}", get(file)).with_state(self)
    }
}

fn installed() -> PathBuf {
    let program = env::current_exe().ok();
    program.and_then(|program| Some(program.parent()?.join(INSTALLED))).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

impl Files {
    /// The files by name. Where they are missing they are looked for at each call, so that they can be fetched while the
    /// service runs.
    async fn verified(&self) -> Result<&HashMap<&'static str, Bytes>, FileError> {
        let read = || async {
            let mut files = HashMap::new();
            for (checksum, name) in CHECKSUMS.lines().filter_map(|line| line.split_once("  ")) {
                let content = tokio::fs::read(self.directory.join(name)).await;
                let content = content.map_err(|source| FileError::Read { name, source })?;
                if hex(&Sha256::digest(&content)) != checksum {
                    return Err(FileError::Checksum { name });
                }
                files.insert(name, Bytes::from(content));
            }
            files.extend(OWN_FILES.map(|(name, content)| (name, Bytes::from_static(content.as_bytes()))));
            Ok(files)
        };
        self.verified.get_or_try_init(read).await
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
    directory: String,
    schema: Option<&'a str>,
}

/// `GET /graphiql`.
async fn page(State(Explorer(files)): State<Explorer>) -> Response {
    let icon = asset_path("icon.svg");
    match files.verified().await {
        Ok(_) => html::respond(StatusCode::OK, &ExplorerPage { icon, examples: EXAMPLES }, POLICY),
        Err(error) => {
            log_unusable(&error);
            let view = MissingPage {
                icon,
                stylesheet: asset_path("app.css"),
                directory: files.directory.display().to_string(),
                schema: files.schema.as_deref(),
            };
            html::respond(StatusCode::OK, &view, POLICY)
        }
    }
}

/// `GET /graphiql/{version}/{name}`.
async fn file(State(Explorer(files)): State<Explorer>, Path((version, name)): Path<(String, String)>) -> Response {
    let found = match files.verified().await {
        Ok(files) if version == *VERSION => files.get(name.as_str()),
        Ok(_) => None,
        Err(error) => {
            log_unusable(&error);
            None
        }
    };
    let Some(content) = found else {
        return error_response(StatusCode::NOT_FOUND, ErrorCode::NotFound, "this version has no such file");
    };
    let is_style = std::path::Path::new(&name).extension().is_some_and(|extension| extension == "css");
    let headers = [
        (CONTENT_TYPE, if is_style { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" }),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content.clone()).into_response()
}

/// Files that were never fetched are what most installations have; any other problem is for an operator.
fn log_unusable(error: &FileError) {
    match error {
        FileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {}
        FileError::Read { source, .. } => tracing::warn!(%error, cause = %source, "GraphiQL is not served"),
        FileError::Checksum { .. } => tracing::warn!(%error, "GraphiQL is not served"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
