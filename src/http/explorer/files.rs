//! GraphiQL's files: where they are installed, and whether they are the ones that this program was built with.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs, io};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::digest::sha256_hex;

/// Directory of installed files, relative to the program's: `bin/` and `share/` are siblings in the Filesystem
/// Hierarchy Standard, and a build from source uses `target/share`.
const INSTALLED: &str = "../share/cinegraph/graphiql";

/// Checksum and name of each of GraphiQL's files, in the format of `sha256sum`.
const CHECKSUMS: &str = include_str!("../../../assets/graphiql/SHA256SUMS");

/// Script and stylesheet that start GraphiQL; embedded in the program.
const OWN_FILES: [(&str, &str); 2] = [
    ("explorer.js", include_str!("../../../assets/graphiql/explorer.js")),
    ("explorer.css", include_str!("../../../assets/graphiql/explorer.css")),
];

/// Content hash of all files, part of each file's URL, so that browsers may cache the files indefinitely. The checksums
/// stand for GraphiQL's own files. 64 bits of the hash are enough, since they only tell versions apart.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let contents = [CHECKSUMS].into_iter().chain(OWN_FILES.map(|(_, content)| content));
    sha256_hex(contents.collect::<String>())[..16].to_owned()
});

/// The explorer's files, and the schema that is shown while they are missing.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// Text of the schema; `None` if introspection is disabled.
    pub(super) schema: Option<String>,
    /// The content of the files, set by the first read that finds every file with its checksum. They are not read
    /// again.
    verified: OnceCell<HashMap<&'static str, File>>,
}

/// A file, plain and compressed. It is compressed only once, because to compress a megabyte for each request would
/// delay other responses.
#[derive(Debug)]
pub(super) struct File {
    pub(super) plain: Bytes,
    pub(super) gzip: Bytes,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{name} cannot be read: check its permissions, or fetch the files again with scripts/graphiql.sh")]
    Read { name: &'static str, source: io::Error },
    #[error("{name} has an unexpected checksum: fetch the files again with scripts/graphiql.sh")]
    Checksum { name: &'static str },
    #[error("reading the files was interrupted")]
    Interrupted,
}

impl Files {
    pub(super) fn new(directory: Option<PathBuf>, schema: Option<String>) -> Self {
        Self { directory: directory.unwrap_or_else(installed), schema, verified: OnceCell::new() }
    }

    /// Whether the files are there, with any content.
    pub(super) fn exist(&self) -> bool {
        required().all(|(_, name)| self.directory.join(name).exists())
    }

    /// The files, with their names as keys. While they are missing, each call looks for them again, so that they can be
    /// installed while the service runs.
    ///
    /// # Errors
    /// [`FileError`] if a file is missing, unreadable or has an unexpected checksum.
    pub(super) async fn verified(&self) -> Result<&HashMap<&'static str, File>, FileError> {
        let read = || async {
            let directory = self.directory.clone();
            spawn_blocking(move || read_verified(&directory)).await.map_err(|_| FileError::Interrupted)?
        };
        self.verified.get_or_try_init(read).await
    }
}

/// Reads GraphiQL's files, verifies their checksums and adds the embedded files.
fn read_verified(directory: &Path) -> Result<HashMap<&'static str, File>, FileError> {
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

impl FileError {
    /// Logs why GraphiQL cannot be served, except for missing files: most installations never fetch them.
    pub(super) fn log(&self) {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {}
            Self::Read { source, .. } => tracing::warn!(error = %self, cause = %source, "GraphiQL is not served"),
            Self::Checksum { .. } | Self::Interrupted => tracing::warn!(error = %self, "GraphiQL is not served"),
        }
    }
}

/// Checksum and name of each of GraphiQL's files.
fn required() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHECKSUMS.lines().filter_map(|line| line.split_once("  "))
}

/// The directory of installed files. If the path of the program is unknown, relative to the working directory.
fn installed() -> PathBuf {
    let program = env::current_exe().ok();
    program.and_then(|program| Some(program.parent()?.join(INSTALLED))).unwrap_or_else(|| PathBuf::from(INSTALLED))
}
