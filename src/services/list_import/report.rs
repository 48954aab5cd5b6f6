//! The report of the rows that match no movie: a CSV file with one line per row.
//!
//! Its last column, `movie`, is empty: a person writes the id or the address of the right movie into it, or `-` to leave
//! the row out, and gives the file back.

use cinegraph_list_formats::Row;
use csv::Writer;

use super::matching::RowMatch;
use super::resolutions::COLUMNS;
use crate::store::ListCandidate;

/// Writes the report of all rows that matched no movie, and of those whose match is doubtful.
///
/// # Errors
/// [`std::io::Error`] if the output cannot be written.
pub fn write_report<'a>(
    output: impl std::io::Write,
    rows: impl IntoIterator<Item = (&'a Row, &'a RowMatch, bool)>,
) -> std::io::Result<()> {
    let mut writer = Writer::from_writer(output);
    writer.write_record(COLUMNS)?;
    for (row, found, is_doubtful) in rows {
        let (problem, candidates) = match found {
            RowMatch::Unmatched { reason, candidates } => (reason.as_str(), candidates.as_slice()),
            RowMatch::Matched { movie, .. } if is_doubtful => {
                ("on the list by its id, though title and year are others", std::slice::from_ref(movie))
            }
            _ => continue,
        };
        let number = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
        let candidates: Vec<String> = candidates.iter().map(candidate).collect();
        writer.write_record([
            row.line.to_string(),
            number(row.position),
            row.label(),
            number(row.year),
            problem.to_owned(),
            candidates.join(" | "),
            String::new(),
        ])?;
    }
    writer.flush()
}

/// A candidate with the id that can be copied into the column `movie`.
fn candidate(movie: &ListCandidate) -> String {
    let id = movie.imdb_id.clone().or_else(|| movie.tmdb_id.map(|id| id.to_string())).unwrap_or_default();
    format!("{id} {}", titled(&movie.title, movie.year))
}

/// `The Matrix (1999)`.
pub(super) fn titled(title: &str, year: Option<i32>) -> String {
    year.map_or_else(|| title.to_owned(), |year| format!("{title} ({year})"))
}
