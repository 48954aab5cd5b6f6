//! Reads lists of movies as IMDb, Letterboxd, Trakt and people write them.
//!
//! Such a file says which movies are on a list, in one of many forms: with ids of IMDb or TMDb, or only with titles and
//! years; below a preamble or not; in any of several encodings. [`parse`] finds out which, and returns the rows. It
//! either reads a whole file or returns an error that names the line: a list that is read by half would lose movies
//! without anybody noticing. Which movie a row means is not decided here, because that needs the movies.

mod columns;
mod error;
mod file_kind;
mod format;
mod ids;
mod list_file;
mod plain;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod titles;
mod trakt_json;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{ListFileError, RowProblem};
pub use file_kind::{FileKind, UTF8_MARK};
pub use format::{Family, Format};
pub use ids::{IMDB_NUMBER_MAX, any_id, imdb_id, tmdb_id};
pub use list_file::{About, ListFile, ROWS_MAX, Row};
pub use table::{Values, read_columns};
pub use text::{Encoding, decode};

/// Reads a list. `family` is what the caller knows the file to be; `None` recognises the format by the content.
/// `list_key` selects a list of a file that holds several.
///
/// # Errors
/// [`ListFileError`] if the file is damaged, of another kind than `family`, or not a list of movies.
pub fn parse(bytes: &[u8], family: Option<Family>, list_key: &str) -> Result<ListFile, ListFileError> {
    let (text, encoding) = text::decode(bytes)?;
    let content = text.trim_start();
    let list = if family == Some(Family::Plain) {
        plain::read(&text)
    } else if is_json(content) {
        trakt_json::read(&text)
    } else {
        match table::read(&text, list_key)? {
            Some(list) => Ok(list),
            None if plain::recognises(&text) => plain::read(&text),
            None => Err(ListFileError::unknown_kind(&text)),
        }
    }?;
    if let Some(expected) = family.filter(|family| *family != list.format.family()) {
        return Err(ListFileError::OtherFormat { expected, found: list.format });
    }
    if list.rows.is_empty() {
        return Err(without_rows(&list));
    }
    let unended_line = unended_line(&text).filter(|_| list.format != Format::TraktJson);
    Ok(ListFile { encoding, missing_positions: missing_positions(&list), unended_line, ..list })
}

/// The number of the last line, if it has content and no line break.
fn unended_line(text: &str) -> Option<u64> {
    let last = text.rsplit('\n').next()?;
    (!last.trim().is_empty()).then(|| text.lines().count() as u64)
}

/// Whether a text is JSON. A title may begin with a bracket, such as `[REC] (2007)`.
fn is_json(text: &str) -> bool {
    let after = |start: char| text.strip_prefix(start).map(str::trim_start);
    after('[').is_some_and(|rest| rest.starts_with(['{', ']']))
        || after('{').is_some_and(|rest| rest.starts_with(['"', '}']))
}

fn without_rows(list: &ListFile) -> ListFileError {
    let counts = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, rows)| format!("{name:?}: {rows}")).take(10).collect::<Vec<_>>().join(", ")
    };
    match (list.other_lists.is_empty(), list.other_types.is_empty()) {
        (true, true) => ListFileError::NoRows(list.format),
        (false, _) => ListFileError::OnlyOthers {
            found: format!("they are of the lists {}; give one of these as the key", counts(&list.other_lists)),
        },
        (true, false) => ListFileError::OnlyOthers { found: format!("their types are {}", counts(&list.other_types)) },
    }
}

fn missing_positions(list: &ListFile) -> u64 {
    let positions: BTreeSet<i64> = list.rows.iter().filter_map(|row| row.position).map(i64::from).collect();
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return 0 };
    // Skipped rows have positions, too.
    let skipped: u64 = list.other_types.values().sum();
    let missing = (last - first + 1).unsigned_abs().saturating_sub(positions.len() as u64 + skipped);
    // More are no gaps: then the column holds other numbers than positions.
    if missing > ROWS_MAX as u64 { 0 } else { missing }
}
