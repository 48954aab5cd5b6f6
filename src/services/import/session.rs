//! What every import does: how it starts, ends and reports progress.

use std::path::Path;

use super::error::ImportError;
use super::full_names;
use super::summary::{ImportSummary, Nominees};
use crate::clock::Clock;
use crate::store::{CatalogueState, DataOrigin, Import, Installation, KnownNames, Store};

/// Bytes per send and per progress report. Files are read synchronously between two sends, so this is small enough not
/// to block other tasks of the thread.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

pub(super) const NAMES: KnownNames =
    KnownNames { lists: &full_names::LISTS, organizations: &full_names::ORGANIZATIONS, genres: &full_names::GENRES };

/// Progress of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A file is being read and checked.
    Reading {
        /// The file.
        file: &'static str,
        /// Bytes read so far.
        bytes: u64,
        /// Size of the file.
        total_bytes: u64,
    },
    /// A staged file is being merged.
    Merging {
        /// The file.
        file: &'static str,
    },
    /// The import is committed; the tables are being analyzed for the query planner.
    Analyzing,
}

/// How to handle generated movies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// Keep them and fail.
    Refuse,
    /// Replace them; they stay if the import fails.
    Replace,
}

/// Checks what the import itself will check, before work that would be in vain.
///
/// # Errors
/// [`ImportError`] if the movie tables are host tables, or hold generated movies that must be kept.
pub fn check_installation(installation: &Installation, generated: Generated) -> Result<(), ImportError> {
    match installation.data_origin() {
        DataOrigin::Host => Err(ImportError::ForeignCatalogue),
        DataOrigin::Generated if generated == Generated::Refuse => Err(ImportError::GeneratedCatalogue),
        _ => Ok(()),
    }
}

/// What an import does beside reading the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOptions {
    /// How to handle generated movies.
    pub generated: Generated,
    /// Whether values that would be changed or ignored are an error.
    pub strict: bool,
    /// Whether most movies may get another title, and different ones become one.
    pub replace: bool,
}

impl From<Generated> for ImportOptions {
    fn from(generated: Generated) -> Self {
        Self { generated, strict: false, replace: false }
    }
}

/// Starts an import. Fails if the movie tables are host tables, or hold generated movies that must be kept.
pub(super) async fn begin(store: &Store, generated: Generated, clock: &Clock) -> Result<Import, ImportError> {
    let (mut import, catalogue) = store.import(clock.now()).await?;
    if !catalogue.owns_catalogue {
        return Err(ImportError::ForeignCatalogue);
    }
    let is_generated = catalogue.origin.as_deref() == Some("generated");
    match generated {
        Generated::Refuse if is_generated => return Err(ImportError::GeneratedCatalogue),
        Generated::Replace if is_generated => import.empty_catalogue().await?,
        Generated::Refuse | Generated::Replace => {}
    }
    Ok(import)
}

/// Starts an import that completes movies of earlier imports. Fails if there are none.
pub(super) async fn begin_completing(store: &Store, clock: &Clock) -> Result<Import, ImportError> {
    let (import, catalogue) = store.import(clock.now()).await?;
    match catalogue {
        CatalogueState { owns_catalogue: false, .. } => Err(ImportError::ForeignCatalogue),
        CatalogueState { has_movies: false, .. } => Err(ImportError::NothingToComplete),
        CatalogueState { origin: Some(origin), .. } if origin == "generated" => Err(ImportError::OnlyGenerated),
        _ => Ok(import),
    }
}

/// The name of a file that the user names, for messages. It is leaked: a command reads one such file, and all others
/// have names that the program contains.
pub(super) fn file_name(path: &Path) -> &'static str {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned().leak()
}

/// Links nominees to credited people, commits, and analyzes the tables. Fails without a commit if generated movies
/// would be replaced by none, or if the import is strict and the files have changes.
pub(super) async fn finish(
    mut import: Import,
    options: ImportOptions,
    summary: &ImportSummary,
    store: &Store,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Nominees, ImportError> {
    let faults = summary.faults();
    if options.strict && !faults.is_empty() {
        return Err(ImportError::Changes(faults));
    }
    if options.generated == Generated::Replace && import.leaves_no_movie().await? {
        return Err(ImportError::Empty);
    }
    let links = import.link_nominees().await?;
    import.commit().await?;
    progress(Progress::Analyzing);
    if let Err(error) = store.analyze_imported().await {
        // The import is committed; autovacuum analyzes the tables later.
        tracing::warn!(%error, "cannot analyze the imported tables; queries may be slow until autovacuum has done it");
    }
    Ok(Nominees { linked: links.linked, unlinked: links.unlinked, changed: links.changed })
}
