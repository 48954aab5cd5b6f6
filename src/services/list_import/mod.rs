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
use crate::services::lists::choose_target;
use crate::store::{ListChanges, ListDescription, ListEntry, ListImport, ListMove, ListMoveKind, Store, Task};
use crate::versions::Versions;
use matching::{Candidates, check_corrections, folded_titles, is_doubtful, match_rows};
use resolutions::Resolution;

/// Maximum length of a list key, in characters. A choice below the size of the database column: keys are in addresses.
const KEY_MAX: usize = 100;

/// Maximum length of a name or an edition, in characters: the size of the database column of the name.
const TEXT_MAX: usize = 500;

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
    /// Whether the list is to be a target list; `None` leaves it as it is.
    pub target: Option<bool>,
    /// The target lists of the setting.
    pub configured_targets: &'a [String],
    /// Request the qualities of people if the list changes: they count the lists of their movies.
    pub person_quality: bool,
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
    /// Why the import would be refused if it were no dry run.
    pub refusal: Option<ListImportError>,
}

impl ImportedList {
    /// The rows with the outcome of each, and whether a match is doubtful.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, &RowMatch, bool)> {
        let rows = self.file.rows.iter().zip(&self.matches).zip(&self.doubtful);
        rows.map(|((row, found), doubtful)| (row, found, *doubtful))
    }
}

/// Imports a list, and makes it a target list if that is requested, in one transaction. `versions` are those of this
/// process, in which the change is visible at once.
///
/// # Errors
/// [`ListImportError`] if the request is invalid, the file is damaged, the movies belong to another application, or the
/// database fails. Nothing is changed then.
pub async fn import_list(
    store: &Store,
    clock: &Clock,
    versions: &Versions,
    bytes: &[u8],
    request: ListRequest<'_>,
) -> Result<ImportedList, ListImportError> {
    let request = request.checked()?;
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
    if updated_at.is_none() {
        check_new_key(request.key, &import.keys().await?)?;
    }
    let candidates = candidates(&mut import, &file.rows, &request.resolutions).await?;
    let matches = match_rows(&file, &candidates, &request.resolutions);
    check_corrections(&file.rows, &matches, &request.resolutions)?;
    let doubtful = file.rows.iter().zip(&matches).map(|(row, found)| {
        matches!(found, RowMatch::Matched { movie, kind } if is_doubtful(row, movie, *kind, &candidates))
    });
    let (doubtful, dry_run) = (doubtful.collect(), request.dry_run);
    let entries = entries(&file.rows, &matches, request.edition);
    let mut list = ImportedList {
        movies: entries.len(),
        file,
        matches,
        doubtful,
        moves: Vec::new(),
        has_changed: false,
        dry_run,
        refusal: None,
    };
    if entries.is_empty() {
        return Ok(list);
    }
    list.moves = import.replace(request.key, &entries).await?;
    match check_most_stay(&list) {
        Err(refusal) if request.keep_most && dry_run => list.refusal = Some(refusal),
        Err(refusal) if request.keep_most => return Err(refusal),
        _ => {}
    }
    let described = describe(&mut import, &list.file, &request, entries.len(), !list.moves.is_empty()).await?;
    list.has_changed = described || !list.moves.is_empty();
    if !list.has_changed && request.target.is_none() {
        return Ok(list);
    }
    match prepared(import, store, &request, list.has_changed).await {
        Ok(changes) if !dry_run => changes.commit(versions).await?,
        // Dropped, the changes are rolled back.
        Ok(_) => {}
        Err(refusal @ ListImportError::Target(_)) if dry_run => list.refusal = list.refusal.or(Some(refusal)),
        Err(error) => return Err(error),
    }
    Ok(list)
}

/// Adds to an import what follows from it: the choice of the target list, and the work of jobs.
async fn prepared(
    import: ListImport,
    store: &Store,
    request: &ListRequest<'_>,
    has_changed: bool,
) -> Result<ListChanges, ListImportError> {
    let mut changes = import.into_changes(store).await?;
    if let Some(target) = request.target {
        // The snapshot waits for the scores of the movies.
        let at_once = !has_changed && !store.is_anything_queued().await?;
        let chosen = choose_target(&mut changes, request.configured_targets, request.key, target, at_once).await;
        chosen.map_err(ListImportError::Target)?;
    }
    if has_changed && request.person_quality {
        changes.request_task(Task::PersonQuality, true).await?;
    }
    Ok(changes)
}

/// Fewest movies of a list that is protected from being replaced by another. A choice: a short list is soon imported again.
const PROTECTED_MIN: usize = 20;

fn check_most_stay(list: &ImportedList) -> Result<(), ListImportError> {
    let [joined, left] = [ListMoveKind::Joined, ListMoveKind::Left].map(|kind| list.moved(kind).count());
    let movies = list.movies - joined + left;
    if movies >= PROTECTED_MIN && left * 2 > movies { Err(ListImportError::MostLeave { left, movies }) } else { Ok(()) }
}

impl ListRequest<'_> {
    /// The request, without spaces around its texts.
    fn checked(self) -> Result<Self, ListImportError> {
        check_key(self.key)?;
        let (name, edition) = (text("name", self.name)?, text("edition", self.edition)?);
        match self.year {
            Some(year) if !(1000..=9999).contains(&year) => Err(ListImportError::Year(year)),
            _ => Ok(Self { name, edition, ..self }),
        }
    }
}

fn text<'a>(field: &'static str, value: Option<&'a str>) -> Result<Option<&'a str>, ListImportError> {
    let Some(value) = value.map(str::trim) else { return Ok(None) };
    let length = value.chars().count();
    let is_valid = (1..=TEXT_MAX).contains(&length) && !value.contains(char::is_control);
    if is_valid { Ok(Some(value)) } else { Err(ListImportError::Text { field, length, max: TEXT_MAX }) }
}

fn check_key(key: &str) -> Result<(), ListImportError> {
    let length = key.chars().count();
    let is_valid = (1..=KEY_MAX).contains(&length) && key.trim() == key && !key.contains(is_invisible);
    if is_valid { Ok(()) } else { Err(ListImportError::Key { key: key.to_owned(), max: KEY_MAX }) }
}

/// Checks that a new key is not another spelling of a known one, which would make two lists out of one.
fn check_new_key(key: &str, known: &[String]) -> Result<(), ListImportError> {
    let folded = |key: &str| fold_title(&key.split_whitespace().collect::<String>());
    match known.iter().find(|known| folded(known) == folded(key)) {
        Some(known) => Err(ListImportError::SimilarKey { known: known.clone() }),
        None => Ok(()),
    }
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
    let titles: BTreeSet<String> = rows.iter().flat_map(folded_titles).collect();
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
    let shortened = |name: &str| name.chars().take(TEXT_MAX).collect();
    let first_name = file.about.name.as_deref().map_or_else(|| readable(request.key), shortened);
    let mut metadata = Map::new();
    metadata.extend(request.edition.map(|edition| ("edition".to_owned(), Value::from(edition))));
    metadata.extend(request.year.map(|year| ("year".to_owned(), Value::from(year))));
    let description = ListDescription {
        name: request.name,
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
