//! Imports CSV files.

use std::path::Path;

use super::csv_columns::{FILES, FileSpec, Ids};
use super::csv_reader::Reader;
use super::error::ImportError;
use super::session::{CHUNK_BYTES, Generated, NAMES, Progress, begin, finish};
use super::summary::{FileSummary, ImportSummary, SkipReason};
use crate::clock::Clock;
use crate::store::{Import, MergeCounts, Staging, Store};

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

/// Counts of a staged file.
struct Staged {
    rows: u64,
    /// Rows that were skipped because their metric has no value.
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
        // The reader counts one byte more, which it appends to mark the end of the file.
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
