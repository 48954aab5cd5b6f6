//! Imports CSV files.

use std::path::Path;

use super::changes::{Change, Changes};
use super::checks::Checks;
use super::comparison::{compare_movies, compare_rows};
use super::csv_columns::{FILES, FileSpec};
use super::csv_reader::Reader;
use super::error::ImportError;
use super::files::{check_directory, has_file, other_files};
use super::session::{CHUNK_BYTES, ImportOptions, NAMES, Progress, begin, finish};
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
    options: impl Into<ImportOptions>,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ImportSummary, ImportError> {
    check_directory(dir)?;
    let (mut present, mut missing): (Vec<&FileSpec>, Vec<_>) = Default::default();
    for file in &FILES {
        if has_file(dir, file.name)? { present.push(file) } else { missing.push(file) }
    }
    if missing.iter().any(|file| file.staging == Staging::Movies) {
        return Err(ImportError::NoMovies(dir.to_owned()));
    }
    let options = options.into();
    let mut import = begin(store, options.generated, clock).await?;
    let mut checks = Checks::new(&import.stored_names().await?, clock.now());
    let mut staged = Vec::new();
    for file in present {
        staged.push((file, stage(&mut import, file, dir, &mut checks, progress).await?));
    }
    let missing_files = missing.iter().map(|file| file.name).collect();
    let other_files = other_files(dir, &FILES.map(|file| file.name));
    let mut summary = ImportSummary { missing_files, other_files, ..ImportSummary::default() };
    for (file, mut rows) in staged {
        progress(Progress::Merging { file: file.name });
        let (columns, changes) = (&rows.optional_columns, &mut rows.changes);
        let counts = if file.staging == Staging::Movies {
            compare_movies(&mut import, file.name, columns, options.replace, changes).await?;
            import.merge_movies(columns).await?
        } else {
            compare_rows(&mut import, file.staging, changes).await?;
            import.merge(file.staging, &NAMES).await?
        };
        summary.files.push(rows.summary(file, counts));
    }
    summary.nominees = finish(import, options, &summary, store, progress).await?;
    Ok(summary)
}

/// Counts of a staged file.
#[derive(Default)]
struct Staged {
    rows: u64,
    /// Rows that were skipped because they have no value at all.
    blank: u64,
    /// Rows that were skipped because their metric has no value.
    without_value: u64,
    ignored_columns: Vec<String>,
    /// The optional columns that the file has.
    optional_columns: Vec<&'static str>,
    changes: Changes,
}

/// Validates a file and copies it into its staging table.
async fn stage(
    import: &mut Import,
    file: &FileSpec,
    dir: &Path,
    checks: &mut Checks,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Staged, ImportError> {
    let path = dir.join(file.name);
    let unreadable = |source| ImportError::Unreadable { file: file.name, source };
    let total_bytes = path.metadata().map_err(unreadable)?.len();
    let names = |columns: &'static [(&'static str, _)]| columns.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let (required, optional) = (names(file.columns), names(file.optional));
    let mut reader = Reader::open(&path, file.name, &required, &optional)?;
    let mut staged = Staged { ignored_columns: reader.ignored_columns().to_vec(), ..Staged::default() };
    let present = optional.iter().enumerate().filter(|(place, _)| reader.has_column(required.len() + place));
    staged.optional_columns = present.map(|(_, name)| *name).collect();
    let mut unended = None;
    let copied = import.copy(file.staging, |rows| {
        while rows.bytes().len() < CHUNK_BYTES {
            if !reader.next_row()? {
                return Ok(false);
            }
            staged.rows += 1;
            if reader.is_blank() {
                staged.blank += 1;
            } else if !file.append(&reader, checks, rows)? {
                staged.without_value += 1;
            }
            if reader.is_unended() {
                unended = Some(reader.line());
            }
        }
        // The reader counts one byte more, which it appends to mark the end of the file.
        progress(Progress::Reading { file: file.name, bytes: reader.bytes_read().min(total_bytes), total_bytes });
        Ok::<_, ImportError>(true)
    });
    copied.await?;
    progress(Progress::Reading { file: file.name, bytes: total_bytes, total_bytes });
    staged.changes = checks.take_changes();
    if let Some(line) = unended {
        staged.changes.count(Change::NoLineBreak, line, "");
    }
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
        let repeats = self.rows - self.blank - self.without_value - merged.rows;
        let skipped = [(SkipReason::Blank, self.blank), (SkipReason::NoValue, self.without_value), (repeated, repeats)];
        FileSummary {
            name: file.name,
            rows: self.rows,
            inserted: merged.inserted,
            updated: merged.updated,
            unchanged: merged.rows - merged.inserted - merged.updated,
            skipped: skipped.into_iter().filter(|(_, rows)| *rows > 0).collect(),
            ignored_columns: self.ignored_columns,
            changes: self.changes,
        }
    }
}
