//! The report of the rows that match no movie: a CSV file with one line per row.
//!
//! Its last column, `movie`, is empty: a person writes the id or the address of the right movie into it, or `-` to leave
//! the row out, and gives the file back.

use std::io::Write;

use cinegraph_list_formats::Row;
use csv::Writer;

use super::matching::{MatchKind, RowMatch};
use super::resolutions::COLUMNS;
use crate::store::ListCandidate;

/// Writes the report: all rows that match no movie, those whose match is doubtful, and, with its result, what an earlier
/// report has decided, so that the new report can take its place.
///
/// # Errors
/// [`std::io::Error`] if the output cannot be written.
pub fn write_report<'a>(
    mut output: impl Write,
    rows: impl IntoIterator<Item = (&'a Row, &'a RowMatch, bool)>,
) -> std::io::Result<()> {
    // The byte order mark tells spreadsheets that the text is UTF-8.
    output.write_all("\u{FEFF}".as_bytes())?;
    let mut writer = Writer::from_writer(output);
    writer.write_record(COLUMNS)?;
    for (row, found, is_doubtful) in rows {
        let (problem, candidates, decided) = match found {
            RowMatch::Unmatched { reason, candidates } => (reason.as_str(), candidates.as_slice(), String::new()),
            RowMatch::LeftOut => ("left out", &[][..], "-".to_owned()),
            RowMatch::Matched { movie, kind: MatchKind::Resolved } => ("resolved", &[][..], id(movie)),
            RowMatch::Matched { movie, .. } if is_doubtful => (
                "on the list by its id, though its title or year is another",
                std::slice::from_ref(movie),
                String::new(),
            ),
            RowMatch::Matched { .. } | RowMatch::Repeated(_) => continue,
        };
        let number = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
        let candidates: Vec<String> =
            candidates.iter().map(|movie| format!("{} {}", id(movie), titled(&movie.title, movie.year))).collect();
        writer.write_record([
            row.line.to_string(),
            number(row.position),
            no_formula(row.label()),
            number(row.year),
            problem.to_owned(),
            no_formula(candidates.join(" | ")),
            decided,
        ])?;
    }
    writer.flush()
}

/// The id of a movie, as it can be copied into the column `movie`.
fn id(movie: &ListCandidate) -> String {
    let address = || movie.tmdb_id.map(|id| format!("themoviedb.org/movie/{id}"));
    movie.imdb_id.clone().or_else(address).unwrap_or_default()
}

/// Marks a text that spreadsheets would execute as a formula.
fn no_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

/// `The Matrix (1999)`.
pub(super) fn titled(title: &str, year: Option<i32>) -> String {
    year.map_or_else(|| title.to_owned(), |year| format!("{title} ({year})"))
}
