//! Corrections of a list by a person, who fills in the column `movie` of a report.

use std::collections::HashMap;

use cinegraph_list_formats::{Row, any_id};
use csv::{ReaderBuilder, StringRecord};

use super::error::ListImportError;
use crate::scoring::fold_title;

/// Columns of a report.
pub(super) const COLUMNS: [&str; 7] = ["line", "position", "title", "year", "problem", "candidates", "movie"];

/// What a person decided about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The row means the movie with these ids.
    Movie(Row),
    /// The row is left out.
    LeaveOut,
}

/// A corrected report.
#[derive(Debug, Default)]
pub struct Resolutions(HashMap<u64, (String, Resolution)>);

impl Resolutions {
    /// Reads a corrected report. Rows whose column `movie` is empty are as before.
    ///
    /// # Errors
    /// [`ListImportError::Report`] if it is no report, names a line twice, or a value is no id.
    pub fn read(text: &str) -> Result<Self, ListImportError> {
        let text = text.trim_start_matches('\u{FEFF}');
        // A spreadsheet may save the report with the separator of its country.
        let found = [b',', b';', b'\t'].into_iter().find_map(|separator| Some((separator, header(text, separator)?)));
        let Some((separator, places)) = found else {
            return Err(ListImportError::report(1, &format!("expected the columns {}", COLUMNS.join(", "))));
        };
        let mut resolutions = HashMap::new();
        let mut reader = ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(text.as_bytes());
        for record in reader.records() {
            // The text is UTF-8, and rows may have any number of values: there is no other error.
            let Ok(record) = record else { continue };
            let here = record.position().map_or(1, csv::Position::line);
            let [line, title, movie] = places.map(|place| record.get(place).unwrap_or_default().trim());
            let Some(resolution) = Resolution::read(movie, here)? else { continue };
            let line =
                line.parse().map_err(|_| ListImportError::report(here, "column line: not the number of a line"))?;
            if resolutions.insert(line, (title.to_owned(), resolution)).is_some() {
                return Err(ListImportError::report(here, &format!("column line: {line} is there twice")));
            }
        }
        Ok(Self(resolutions))
    }

    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was decided about a row.
    pub(super) fn of(&self, row: &Row) -> Option<&Resolution> {
        self.0.get(&row.line).map(|(_, resolution)| resolution)
    }

    /// Checks that the report was made from these rows.
    ///
    /// # Errors
    /// [`ListImportError::OtherReport`] if a line is about another movie.
    pub(super) fn check(&self, rows: &[Row]) -> Result<(), ListImportError> {
        let titles: HashMap<u64, String> = rows.iter().map(|row| (row.line, comparable(&row.label()))).collect();
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|(line, _)| **line);
        match lines.into_iter().find(|(line, (title, _))| titles.get(line) != Some(&comparable(title))) {
            Some((line, (title, _))) => Err(ListImportError::OtherReport { line: *line, title: title.clone() }),
            None => Ok(()),
        }
    }
}

impl Resolution {
    /// Reads a value of the column `movie`: an id or an address, which a remark may follow, as in a candidate that was
    /// copied whole; or `-`. `None` if it is empty.
    fn read(text: &str, line: u64) -> Result<Option<Self>, ListImportError> {
        let Some(word) = text.split_whitespace().next() else { return Ok(None) };
        // Spreadsheets turn hyphens into dashes.
        if ["-", "–", "—"].contains(&word) {
            return Ok(Some(Self::LeaveOut));
        }
        match any_id(word) {
            (None, None) => Err(ListImportError::report(
                line,
                "column movie: expected an IMDb id, a TMDb id, an address of one, or -",
            )),
            (imdb_id, tmdb_id) => Ok(Some(Self::Movie(Row { imdb_id, tmdb_id, ..Row::default() }))),
        }
    }
}

/// A title without what spreadsheets change: the mark before a formula, spaces and the like.
fn comparable(title: &str) -> String {
    let words = title.trim_start_matches('\'').split_whitespace();
    fold_title(&words.collect::<Vec<_>>().join(" "))
}

/// Indexes of the columns `line`, `title` and `movie`.
fn header(text: &str, separator: u8) -> Option<[usize; 3]> {
    let mut header = StringRecord::new();
    ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator)
        .from_reader(text.as_bytes())
        .read_record(&mut header)
        .ok()?;
    let place = |name: &str| header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
    Some([place("line")?, place("title")?, place("movie")?])
}
