//! Imports movies from files into the database, all or nothing.
//!
//! Each file is validated row by row and streamed into a staging table; set-based statements of `store::import` then
//! merge the tables in one transaction. Only ids stay in memory. A refresh computes the scores.

mod csv;
mod error;
mod files;
mod imdb;
mod names;
mod summary;
mod tsv;
mod values;

use std::path::Path;

use crate::clock::Clock;
use crate::store::{Import, KnownNames, MergeCounts, Staging, Store};

pub use error::{ImportError, Problem};
pub use imdb::import_imdb;
pub use summary::{FileSummary, ImportSummary, Nominees, SkipReason};

use csv::Reader;
use files::{FILES, FileSpec, Ids};

/// Bytes per send and progress report. Files are read synchronously between two sends, so this is small enough not to
/// block other tasks of the thread.
const CHUNK_BYTES: usize = 64 * 1024;

const NAMES: KnownNames =
    KnownNames { lists: &names::LISTS, organizations: &names::ORGANIZATIONS, genres: &names::GENRES };

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

/// Imports the CSV files in a directory. Updates differing rows and adds missing ones, so a second import of the same
/// files changes nothing. Deletes nothing, but CSV files take precedence over IMDb's dumps: a movie from a dump is
/// merged with the movie of the same `imdb_id` in movies.csv, and a movie's credits replace those from the dump.
///
/// # Errors
/// [`ImportError`] if a file is damaged, if the database holds other movies than imported ones, or if the database
/// fails. The database is then unchanged.
pub async fn import_csv(
    store: &Store,
    dir: &Path,
    generated: Generated,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ImportSummary, ImportError> {
    if !dir.is_dir() {
        return Err(ImportError::NotADirectory(dir.to_owned()));
    }
    let (present, missing): (Vec<&FileSpec>, Vec<_>) = FILES.iter().partition(|file| dir.join(file.name).exists());
    if missing.iter().any(|file| file.staging == Staging::Movies) {
        return Err(ImportError::NoMovies(dir.to_owned()));
    }
    let mut import = begin(store, generated, clock).await?;
    let mut ids = Ids::default();
    let mut staged = Vec::new();
    for file in present {
        staged.push((file, stage(&mut import, file, dir, &mut ids, progress).await?));
    }
    let missing_files = missing.iter().map(|file| file.name).collect();
    let mut summary = ImportSummary { missing_files, ..ImportSummary::default() };
    for (file, rows) in staged {
        progress(Progress::Merging { file: file.name });
        let merged = import.merge(file.staging, &NAMES).await?;
        summary.files.push(rows.summary(file, merged));
    }
    summary.nominees = finish(import, generated, store, progress).await?;
    Ok(summary)
}

/// Starts an import, if the catalogue allows it.
async fn begin(store: &Store, generated: Generated, clock: &Clock) -> Result<Import, ImportError> {
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

/// Links nominees to credited people, and commits.
async fn finish(
    mut import: Import,
    generated: Generated,
    store: &Store,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Nominees, ImportError> {
    if generated == Generated::Replace && import.leaves_no_movie().await? {
        return Err(ImportError::Empty);
    }
    let links = import.link_nominees().await?;
    import.commit().await?;
    progress(Progress::Analyzing);
    if let Err(error) = store.analyze_imported().await {
        // The import is committed; autovacuum analyzes the tables later.
        tracing::warn!(%error, "cannot analyze the imported tables");
    }
    Ok(Nominees { linked: links.linked, unlinked: links.unlinked, changed: links.changed })
}

/// Counts of a staged file.
struct Staged {
    rows: u64,
    without_value: u64,
    ignored_columns: Vec<String>,
}

/// Validates a file and copies it into its staging table.
async fn stage(
    import: &mut Import,
    file: &FileSpec,
    dir: &Path,
    ids: &mut Ids,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Staged, ImportError> {
    let path = dir.join(file.name);
    let unreadable = |source| ImportError::Unreadable { file: file.name, source };
    let total_bytes = path.metadata().map_err(unreadable)?.len();
    let mut reader = Reader::open(&path, file.name, &file.column_names())?;
    let mut staged = Staged { rows: 0, without_value: 0, ignored_columns: reader.ignored_columns().to_vec() };
    let copied = import.copy(file.staging, |rows| {
        while rows.bytes().len() < CHUNK_BYTES {
            if !reader.next_row()? {
                return Ok(false);
            }
            staged.rows += 1;
            if !file.append(&reader, ids, rows)? {
                staged.without_value += 1;
            }
        }
        // The reader appends one byte to mark the end of the file.
        progress(Progress::Reading { file: file.name, bytes: reader.bytes_read().min(total_bytes), total_bytes });
        Ok::<_, ImportError>(true)
    });
    copied.await?;
    progress(Progress::Reading { file: file.name, bytes: total_bytes, total_bytes });
    match import.first_repeat(file.staging).await? {
        Some(repeat) => Err(file.repeated(repeat)),
        None => Ok(staged),
    }
}

impl Staged {
    fn summary(self, file: &FileSpec, merged: MergeCounts) -> FileSummary {
        let repeated = match file.staging {
            Staging::Nominations => SkipReason::SameNomination,
            _ => SkipReason::Repeated,
        };
        let repeats = self.rows - self.without_value - merged.rows;
        let skipped = [(SkipReason::NoValue, self.without_value), (repeated, repeats)];
        FileSummary {
            name: file.name,
            rows: self.rows,
            inserted: merged.inserted,
            updated: merged.updated,
            unchanged: merged.rows - merged.inserted - merged.updated,
            skipped: skipped.into_iter().filter(|(_, rows)| *rows > 0).collect(),
            ignored_columns: self.ignored_columns,
        }
    }
}
