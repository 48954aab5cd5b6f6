//! `/graphiql`: GraphiQL, the API explorer, served from this origin only.
//!
//! GraphiQL's own files are not part of the repository or the program: `scripts/graphiql.sh` fetches them into a
//! directory. Administrators type tokens into this page, so a file is served only if its checksum is the one that this
//! program was built with. Without the files the page explains how to install them and shows the schema.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock};
use std::{env, fs, io};

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::error::error_response;
use super::html;
use super::page::assets;
use crate::digest::sha256_hex;
use crate::graphql::ErrorCode;

/// Path of the explorer.
pub(super) const PATH: &str = "/graphiql";

/// Directory of installed files, relative to the program's: `bin/` and `share/` are siblings in the Filesystem
/// Hierarchy Standard, and a build from source uses `target/share`.
const INSTALLED: &str = "../share/cinegraph/graphiql";

/// Checksum and name of each of GraphiQL's files, in the format of `sha256sum`.
const CHECKSUMS: &str = include_str!("../../assets/graphiql/SHA256SUMS");

/// Script and stylesheet that start GraphiQL; embedded in the program.
const OWN_FILES: [(&str, &str); 2] = [
    ("explorer.js", include_str!("../../assets/graphiql/explorer.js")),
    ("explorer.css", include_str!("../../assets/graphiql/explorer.css")),
];

/// Operations in the tabs of a first visit.
const EXAMPLES: [&str; 4] = [
    include_str!("../../assets/graphiql/predictions.graphql"),
    include_str!("../../assets/graphiql/validation.graphql"),
    include_str!("../../assets/graphiql/custom-weights.graphql"),
    include_str!("../../assets/graphiql/stream.graphql"),
];

/// `unsafe-inline` for styles because GraphiQL adds `<style>` elements for its editor; fonts and images are data URLs
/// in its stylesheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Content hash of all files, part of each file's URL so that browsers may cache it indefinitely.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let contents = [CHECKSUMS].into_iter().chain(OWN_FILES.map(|(_, content)| content));
    sha256_hex(contents.collect::<String>())[..16].to_owned()
});

/// The API explorer of one instance.
#[derive(Debug, Clone)]
pub struct Explorer(Arc<Files>);

#[derive(Debug)]
struct Files {
    directory: PathBuf,
    /// Schema shown while the files are missing; none if introspection is disabled.
    schema: Option<String>,
    /// Set by the first read that finds every file with its checksum.
    verified: OnceCell<HashMap<&'static str, File>>,
}

/// A file, plain and compressed: compressing a megabyte per request would delay cached responses.
#[derive(Debug)]
struct File {
    plain: Bytes,
    gzip: Bytes,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{name} cannot be read")]
    Read { name: &'static str, source: io::Error },
    #[error("{name} has an unexpected checksum")]
    Checksum { name: &'static str },
    #[error("reading the files was interrupted")]
    Interrupted,
}

impl Explorer {
    /// An explorer that serves the files in `directory`; by default where a package or a build from source installs
    /// them. `schema` is shown while they are missing.
    #[must_use]
    pub fn new(directory: Option<PathBuf>, schema: Option<String>) -> Self {
        let directory = directory.unwrap_or_else(installed);
        Self(Arc::new(Files { directory, schema, verified: OnceCell::new() }))
    }

    /// Whether its files are there. Their checksums are compared when the first of them is served.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        required().all(|(_, name)| self.0.directory.join(name).exists())
    }

    pub(super) fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new().route(PATH, get(page)).route("/graphiql/{version}/{name}", get(file)).with_state(self)
    }
}

/// Checksum and name of each of GraphiQL's files.
fn required() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHECKSUMS.lines().filter_map(|line| line.split_once("  "))
}

fn installed() -> PathBuf {
    let program = env::current_exe().ok();
    program.and_then(|program| Some(program.parent()?.join(INSTALLED))).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

impl Files {
    /// The files by name. While they are missing, each call looks for them, so that they can be installed while the
    /// service runs.
    ///
    /// # Errors
    /// [`FileError`] if a file is missing, unreadable or has an unexpected checksum.
    async fn verified(&self) -> Result<&HashMap<&'static str, File>, FileError> {
        let read = || async {
            let directory = self.directory.clone();
            spawn_blocking(move || read_verified(&directory)).await.map_err(|_| FileError::Interrupted)?
        };
        self.verified.get_or_try_init(read).await
    }
}

/// Reads GraphiQL's files, verifies their checksums and adds the embedded files.
fn read_verified(directory: &FsPath) -> Result<HashMap<&'static str, File>, FileError> {
    let mut files = HashMap::new();
    for (checksum, name) in required() {
        let content = fs::read(directory.join(name)).map_err(|source| FileError::Read { name, source })?;
        if sha256_hex(&content) != checksum {
            return Err(FileError::Checksum { name });
        }
        files.insert(name, File::new(name, content.into())?);
    }
    for (name, content) in OWN_FILES {
        files.insert(name, File::new(name, Bytes::from_static(content.as_bytes()))?);
    }
    Ok(files)
}

impl File {
    fn new(name: &'static str, plain: Bytes) -> Result<Self, FileError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let compressed = encoder.write_all(&plain).and_then(|()| encoder.finish());
        let gzip = compressed.map_err(|source| FileError::Read { name, source })?.into();
        Ok(Self { plain, gzip })
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
        Ok(_) => html::respond(StatusCode::OK, &ExplorerPage { icon, examples: EXAMPLES }, POLICY),
        Err(error) => {
            log_unusable(&error);
            let view = MissingPage { icon, stylesheet: assets::path("app.css"), schema: files.schema.as_deref() };
            html::respond(StatusCode::OK, &view, POLICY)
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
            log_unusable(&error);
            None
        }
    };
    let Some(file) = found else {
        return error_response(StatusCode::NOT_FOUND, ErrorCode::NotFound, "file not found in this version");
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

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut codings = lines.flat_map(|line| line.split(',')).map(str::trim);
    codings.any(|coding| coding.starts_with("gzip") && !coding.ends_with("q=0"))
}

/// Logs why GraphiQL cannot be served, except for missing files: most installations never fetch them.
fn log_unusable(error: &FileError) {
    match error {
        FileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {}
        FileError::Read { source, .. } => tracing::warn!(%error, cause = %source, "GraphiQL is not served"),
        FileError::Checksum { .. } | FileError::Interrupted => tracing::warn!(%error, "GraphiQL is not served"),
    }
}
