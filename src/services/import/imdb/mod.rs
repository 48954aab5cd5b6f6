//! Imports IMDb's public dumps (<https://developer.imdb.com/non-commercial-datasets/>).
//!
//! The dumps have tens of millions of lines, few of which are relevant. Memory holds only the numbers in the IMDb ids
//! of the imported movies and their people, four bytes each, and the ids that the database has from other sources.
//!
//! The dumps are not created at the same time, so lines about a movie or person that is missing from another dump are
//! skipped and counted. Invalid lines are errors.

mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use super::changes::{Change, Changes};
use super::error::{ImportError, Problem};
use super::files::{check_directory, has_file, other_files};
use super::session::{CHUNK_BYTES, ImportOptions, NAMES, Progress, begin, finish};
use super::summary::{FileSummary, ImportSummary, SkipReason};
use super::tsv_reader::Reader;
use crate::clock::Clock;
use crate::store::{CopyText, Import, MergeCounts, Staging, Store};

use rows::{Credits, Known, Movies, Names, Ratings};

/// Maximum number of lines read per chunk, so that progress is reported even where all lines are skipped. A choice.
const CHUNK_LINES: u32 = 16 * 1024;

/// One of the dumps.
struct Dump {
    name: &'static str,
    /// Name of the decompressed file.
    plain_name: &'static str,
    staging: Staging,
    columns: &'static [&'static str],
    /// The reason that is reported for lines that were staged but not merged. `None` if all staged lines are merged.
    unmerged: Option<SkipReason>,
}

const RATINGS: Dump = Dump {
    name: "title.ratings.tsv.gz",
    plain_name: "title.ratings.tsv",
    staging: Staging::ImdbRatings,
    columns: &rows::RATING_COLUMNS,
    unmerged: Some(SkipReason::MovieNotImported),
};
const TITLES: Dump = Dump {
    name: "title.basics.tsv.gz",
    plain_name: "title.basics.tsv",
    staging: Staging::ImdbMovies,
    columns: &rows::TITLE_COLUMNS,
    unmerged: None,
};
const PRINCIPALS: Dump = Dump {
    name: "title.principals.tsv.gz",
    plain_name: "title.principals.tsv",
    staging: Staging::Credits,
    columns: &rows::PRINCIPAL_COLUMNS,
    unmerged: Some(SkipReason::UnknownPerson),
};
const PEOPLE: Dump = Dump {
    name: "name.basics.tsv.gz",
    plain_name: "name.basics.tsv",
    staging: Staging::ImdbPeople,
    columns: &rows::NAME_COLUMNS,
    unmerged: None,
};

/// Names of the files that the import reads.
pub const IMDB_FILES: [&str; 4] = [RATINGS.name, TITLES.name, PRINCIPALS.name, PEOPLE.name];

/// Imports the dumps in a directory: non-adult movies with a year and at least `min_votes` votes, with ratings, genres,
/// credits and the credited people. The release date is 1 January of the year.
///
/// For a title of any type that the database has from another source (with the same `imdb_id`), only the ratings are
/// imported, and also the credits if no other source has any. Like the CSV import, it updates differing rows, adds
/// missing ones, deletes nothing, and is idempotent.
///
/// # Errors
/// [`ImportError`] if a file is damaged, if the database holds other movies than imported ones, or if the database
/// fails. The database is then unchanged.
pub async fn import_imdb(
    store: &Store,
    dir: &Path,
    min_votes: u32,
    options: impl Into<ImportOptions>,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ImportSummary, ImportError> {
    check_directory(dir)?;
    if TITLES.find(dir)?.is_none() {
        return Err(ImportError::NoTitles(dir.to_owned()));
    }
    if min_votes > 0 && RATINGS.find(dir)?.is_none() {
        return Err(ImportError::NoRatings(dir.to_owned()));
    }
    let options = options.into();
    let mut import = begin(store, options.generated, clock).await?;
    let mut summary = ImportSummary::default();
    let staged = stage_all(&mut import, dir, min_votes, &mut summary.missing_files, progress).await?;
    for (dump, staged) in staged {
        progress(Progress::Merging { file: staged.file });
        let merged = import.merge(dump.staging, &NAMES).await?;
        summary.files.push(staged.summary(dump, merged));
        if dump.staging == Staging::ImdbMovies {
            let genres = import.merge(Staging::Genres, &NAMES).await?;
            summary.files.push(genres_summary(genres));
        }
    }
    let read: Vec<_> = summary.files.iter().map(|file| file.name).collect();
    summary.other_files = other_files(dir, &read);
    summary.nominees = finish(import, options, &summary, store, progress).await?;
    Ok(summary)
}

/// Stages the dumps, each filtered by those before it. Returns the staged ones in the order in which they must be
/// merged.
async fn stage_all(
    import: &mut Import,
    dir: &Path,
    min_votes: u32,
    missing: &mut Vec<&'static str>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<(&'static Dump, Staged)>, ImportError> {
    let known = Known::new(import.known_movies().await?, import.known_people().await?);
    let mut staged = Vec::new();
    let mut ratings = Ratings::new(&known, min_votes);
    // Ratings are read first, because they select titles, but merged after the titles that they refer to.
    let read = stage(import, &RATINGS, dir, |reader, rows, _| ratings.append(reader, rows), progress).await?;
    let ratings_read = (&RATINGS, read);
    let mut movies = Movies::new(&known, ratings.done());
    let read =
        stage(import, &TITLES, dir, |reader, rows, changes| movies.append(reader, rows, changes), progress).await?;
    staged.push((&TITLES, read));
    staged.push(ratings_read);
    let mut credits = Credits::new(&known, movies.done());
    // In the same way, credits select people, and are merged after the people.
    let read = stage(import, &PRINCIPALS, dir, |reader, rows, changes| credits.append(reader, rows, changes), progress)
        .await?;
    let credits_read = (&PRINCIPALS, read);
    let names = Names::new(&known, credits.done());
    let read =
        stage(import, &PEOPLE, dir, |reader, rows, changes| names.append(reader, rows, changes), progress).await?;
    staged.push((&PEOPLE, read));
    staged.push(credits_read);
    let mut present = Vec::new();
    for (dump, staged) in staged {
        match staged {
            Some(staged) => present.push((dump, staged)),
            None => missing.push(dump.name),
        }
    }
    Ok(present)
}

/// Counts of a staged dump.
struct Staged {
    file: &'static str,
    rows: u64,
    skipped: BTreeMap<SkipReason, u64>,
    changes: Changes,
}

/// Copies the lines accepted by `append` into the staging table of a dump. `None` if the file does not exist.
async fn stage(
    import: &mut Import,
    dump: &Dump,
    dir: &Path,
    mut append: impl FnMut(&Reader, &mut CopyText, &mut Changes) -> Result<Option<SkipReason>, ImportError>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Option<Staged>, ImportError> {
    let Some(file) = dump.find(dir)? else { return Ok(None) };
    let path = dir.join(file);
    let unreadable = |source| ImportError::Unreadable { file, source };
    let total_bytes = path.metadata().map_err(unreadable)?.len();
    let mut reader = Reader::open(&path, file, dump.columns)?;
    let mut staged = Staged { file, rows: 0, skipped: BTreeMap::new(), changes: Changes::default() };
    let copied = import.copy(dump.staging, |rows| {
        for _ in 0..CHUNK_LINES {
            if rows.bytes().len() >= CHUNK_BYTES {
                break;
            }
            if !reader.next_row()? {
                return Ok(false);
            }
            staged.rows += 1;
            if reader.is_unended() {
                staged.changes.count(Change::NoLineBreak, reader.line(), "");
            }
            if let Some(reason) = append(&reader, rows, &mut staged.changes)? {
                *staged.skipped.entry(reason).or_default() += 1;
            }
        }
        progress(Progress::Reading { file, bytes: reader.bytes_read().map_err(unreadable)?, total_bytes });
        Ok::<_, ImportError>(true)
    });
    copied.await?;
    progress(Progress::Reading { file, bytes: total_bytes, total_bytes });
    match import.first_repeat(dump.staging).await? {
        Some(repeat) => {
            let problem = Problem::Repeated { value: repeat.value, earlier: repeat.earlier };
            Err(ImportError::Damaged { file, line: repeat.line, column: None, problem })
        }
        None => Ok(Some(staged)),
    }
}

impl Dump {
    /// Name of the file in `dir`, compressed or not.
    fn find(&self, dir: &Path) -> Result<Option<&'static str>, ImportError> {
        for name in [self.name, self.plain_name] {
            if has_file(dir, name)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

impl Staged {
    fn summary(mut self, dump: &Dump, merged: MergeCounts) -> FileSummary {
        let unmerged = self.rows - self.skipped.values().sum::<u64>() - merged.rows;
        if let Some(reason) = dump.unmerged.filter(|_| unmerged > 0) {
            *self.skipped.entry(reason).or_default() += unmerged;
        }
        let name = self.file;
        let skipped = self.skipped.into_iter().collect();
        FileSummary { rows: self.rows, skipped, changes: self.changes, ..merge_summary(name, merged) }
    }
}

/// One line names up to three genres, so genres are counted separately.
fn genres_summary(merged: MergeCounts) -> FileSummary {
    FileSummary { rows: merged.rows, ..merge_summary("- its genres", merged) }
}

/// The summary of rows that were merged, without those that were skipped.
fn merge_summary(name: &'static str, merged: MergeCounts) -> FileSummary {
    FileSummary {
        name,
        inserted: merged.inserted,
        updated: merged.updated,
        unchanged: merged.rows - merged.inserted - merged.updated,
        ..FileSummary::default()
    }
}
