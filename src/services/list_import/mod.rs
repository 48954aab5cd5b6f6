//! Imports a list from a file: reads it, finds the movie of each row, and makes these movies the list.
//!
//! The whole import is one transaction. Rows that match no movie do not stop it, because most exports hold movies that
//! the database lacks; they are counted and reported.

mod error;
mod matching;
mod report;
mod resolutions;
mod summary;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
pub use cinegraph_list_formats::{Family, Row, decode};
use cinegraph_list_formats::{ListFile, parse};
use serde_json::{Map, Value};

pub use error::ListImportError;
pub use matching::{MatchKind, RowMatch, Unmatched};
pub use report::write_report;
pub use resolutions::Resolutions;

use crate::clock::Clock;
use crate::scoring::fold_title;
use crate::store::{ListDescription, ListEntry, ListImport, ListMove, ListMoveKind, Store};
use crate::versions::Versions;
use matching::{Candidates, is_doubtful, match_rows};
use resolutions::Resolution;

/// Maximum length of a list key, in characters. A choice below the size of the database column: keys are in addresses.
const KEY_MAX: usize = 100;

/// Maximum length of a list name, in characters: the size of the database column.
pub(super) const NAME_MAX: usize = 500;

/// What is imported, and how.
#[derive(Debug, Default)]
pub struct ListRequest<'a> {
    /// Key of the list.
    pub key: &'a str,
    /// Name; `None` keeps the present one, or takes that of the file.
    pub name: Option<&'a str>,
    /// Edition in which the movies joined the list, for rows that do not say it.
    pub edition: Option<&'a str>,
    /// Year of the list, which is stored with it.
    pub year: Option<i32>,
    /// Format of the file; `None` recognises it.
    pub family: Option<Family>,
    /// Corrections of an earlier report.
    pub resolutions: Resolutions,
    /// When the caller knows the list to have been changed last; `None` replaces any state.
    pub expected_updated_at: Option<DateTime<Utc>>,
    /// Fail if most movies of the list would leave it: perhaps it is another list.
    pub keep_most: bool,
    /// Find out what would happen, and change nothing.
    pub dry_run: bool,
}

/// A list that was imported, or would be.
#[derive(Debug)]
pub struct ImportedList {
    /// The file.
    pub file: ListFile,
    /// Outcome of each row of the file, in its order.
    pub matches: Vec<RowMatch>,
    /// Whether the match of each row is doubtful, in the same order.
    pub doubtful: Vec<bool>,
    /// Number of movies on the list now; 0 if no row matches one, and the list is unchanged.
    pub movies: usize,
    /// Movies that joined, left or changed their place.
    pub moves: Vec<ListMove>,
    /// Whether the import changed anything.
    pub has_changed: bool,
    /// Whether nothing was written on purpose.
    pub dry_run: bool,
}

impl ImportedList {
    /// The rows with the outcome of each, and whether a match is doubtful.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, &RowMatch, bool)> {
        let rows = self.file.rows.iter().zip(&self.matches).zip(&self.doubtful);
        rows.map(|((row, found), doubtful)| (row, found, *doubtful))
    }
}

/// Imports a list. `versions` are those of this process, in which the change is visible at once; a command that serves
/// nothing has none.
///
/// # Errors
/// [`ListImportError`] if the file is damaged, the movies belong to another application, or
/// the database fails. The list is then unchanged.
pub async fn import_list(
    store: &Store,
    clock: &Clock,
    versions: Option<&Versions>,
    bytes: &[u8],
    request: ListRequest<'_>,
) -> Result<ImportedList, ListImportError> {
    check_key(request.key)?;
    let file = parse(bytes, request.family, request.key)?;
    request.resolutions.check(&file.rows)?;
    let (mut import, catalogue) = store.import_list(clock.now()).await?;
    if !catalogue.owns_catalogue {
        return Err(ListImportError::ForeignCatalogue);
    }
    if !catalogue.has_movies {
        return Err(ListImportError::NoMovies);
    }
    let updated_at = import.updated_at(request.key).await?;
    match (request.expected_updated_at, updated_at) {
        (Some(_), None) => return Err(ListImportError::Gone),
        (Some(expected), Some(updated_at)) if expected != updated_at => {
            return Err(ListImportError::Changed { updated_at });
        }
        _ => {}
    }
    let candidates = candidates(&mut import, &file.rows, &request.resolutions).await?;
    let matches = match_rows(&file.rows, &candidates, &request.resolutions);
    let doubtful = file.rows.iter().zip(&matches).map(|(row, found)| {
        matches!(found, RowMatch::Matched { movie, kind } if is_doubtful(row, movie, *kind, &candidates))
    });
    let (doubtful, dry_run) = (doubtful.collect(), request.dry_run);
    let entries = entries(&file.rows, &matches, request.edition);
    let mut list =
        ImportedList { movies: entries.len(), file, matches, doubtful, moves: Vec::new(), has_changed: false, dry_run };
    if entries.is_empty() {
        return Ok(list);
    }
    list.moves = import.replace(request.key, &entries).await?;
    if request.keep_most && !dry_run {
        check_most_stay(&list)?;
    }
    let described = describe(&mut import, &list.file, &request, entries.len(), !list.moves.is_empty()).await?;
    list.has_changed = described || !list.moves.is_empty();
    if list.has_changed && !dry_run {
        import.commit(store, versions).await?;
    }
    Ok(list)
}

/// Fewest movies of a list that is protected from being replaced by another. A choice: a short list is soon imported again.
const PROTECTED_MIN: usize = 20;

fn check_most_stay(list: &ImportedList) -> Result<(), ListImportError> {
    let [joined, left] = [ListMoveKind::Joined, ListMoveKind::Left].map(|kind| list.moved(kind).count());
    let movies = list.movies - joined + left;
    if movies >= PROTECTED_MIN && left * 2 > movies { Err(ListImportError::MostLeave { left, movies }) } else { Ok(()) }
}

fn check_key(key: &str) -> Result<(), ListImportError> {
    let length = key.chars().count();
    let is_valid = (1..=KEY_MAX).contains(&length) && key.trim() == key && !key.contains(is_invisible);
    if is_valid { Ok(()) } else { Err(ListImportError::Key { key: key.to_owned(), max: KEY_MAX }) }
}

/// Whether a character cannot be seen, so that two keys that differ by it look alike: control characters, and those that
/// join words or turn their direction.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Reads the movies that the rows may mean.
async fn candidates(
    import: &mut ListImport,
    rows: &[Row],
    resolutions: &Resolutions,
) -> Result<Candidates, ListImportError> {
    let resolved = rows.iter().filter_map(|row| match resolutions.of(row) {
        Some(Resolution::Movie(ids)) => Some(ids),
        _ => None,
    });
    let (mut tmdb_ids, mut imdb_ids) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.iter().chain(resolved) {
        tmdb_ids.extend(row.tmdb_id);
        imdb_ids.extend(row.imdb_id.clone());
    }
    let by_ids = import.movies_by_ids(&Vec::from_iter(tmdb_ids), &Vec::from_iter(imdb_ids)).await?;
    let titles: BTreeSet<String> = rows.iter().flat_map(|row| &row.titles).map(|title| fold_title(title)).collect();
    let by_title =
        if titles.is_empty() { Vec::new() } else { import.movies_by_titles(&Vec::from_iter(titles)).await? };
    Ok(Candidates::new(by_ids, by_title))
}

fn entries(rows: &[Row], matches: &[RowMatch], edition: Option<&str>) -> Vec<ListEntry> {
    let matched = rows.iter().zip(matches).filter_map(|(row, found)| match found {
        RowMatch::Matched { movie, .. } => Some(ListEntry {
            movie: movie.id,
            position: row.position,
            edition: row.edition.as_deref().or(edition).map(str::to_owned),
        }),
        _ => None,
    });
    matched.collect()
}

async fn describe(
    import: &mut ListImport,
    file: &ListFile,
    request: &ListRequest<'_>,
    movies: usize,
    has_moved: bool,
) -> Result<bool, ListImportError> {
    let shortened = |name: &str| -> String { name.chars().take(NAME_MAX).collect() };
    let name = request.name.map(shortened);
    let first_name = file.about.name.as_deref().map_or_else(|| readable(request.key), shortened);
    let mut metadata = Map::new();
    metadata.extend(request.edition.map(|edition| ("edition".to_owned(), Value::from(edition))));
    metadata.extend(request.year.map(|year| ("year".to_owned(), Value::from(year))));
    let description = ListDescription {
        name: name.as_deref(),
        first_name: &first_name,
        source_type: match file.format.family() {
            Family::Imdb => "imdb",
            Family::Letterboxd => "letterboxd",
            Family::Trakt | Family::Plain | Family::Csv => "custom",
        },
        source_url: file.about.url.as_deref().unwrap_or_default(),
        metadata: Value::Object(metadata),
        movies,
    };
    Ok(import.describe(request.key, &description, has_moved).await?)
}

/// The name of a list that has none: its key with spaces and capitals.
fn readable(key: &str) -> String {
    let words = key.split(['_', '-']).filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}
