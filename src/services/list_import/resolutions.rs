//! Corrections of a list by a person, who fills in the column `movie` of a report.

use std::collections::HashMap;

use cinegraph_list_formats::{Row, imdb_id, tmdb_id};
use csv::{ReaderBuilder, StringRecord};

use super::error::ListImportError;

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
    /// [`ListImportError::Report`] if it is no report, or a value is no id.
    pub fn read(text: &str) -> Result<Self, ListImportError> {
        let text = text.trim_start_matches('\u{FEFF}');
        // A spreadsheet may save the report with the separator of its country.
        let separator = [b',', b';', b'\t'].into_iter().find(|separator| header(text, *separator).is_some());
        let (Some(separator), invalid) = (separator, |line, problem: &str| ListImportError::report(line, problem))
        else {
            return Err(ListImportError::report(1, &format!("expected the columns {}", COLUMNS.join(", "))));
        };
        let places = header(text, separator).unwrap_or_default();
        let mut resolutions = HashMap::new();
        for record in ReaderBuilder::new().delimiter(separator).from_reader(text.as_bytes()).records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(1, csv::Position::line);
                invalid(line, "the row has more or fewer values than the header has columns")
            })?;
            let here = record.position().map_or(1, csv::Position::line);
            let [line, title, movie] = places.map(|place| record.get(place).unwrap_or_default().trim());
            if movie.is_empty() {
                continue;
            }
            let line = line.parse().map_err(|_| invalid(here, "column line: not the number of a line"))?;
            let ids = Row {
                imdb_id: imdb_id(movie).filter(|_| tmdb_id(movie).is_none()),
                tmdb_id: tmdb_id(movie),
                ..Row::default()
            };
            let resolution = match movie {
                "-" => Resolution::LeaveOut,
                _ if ids.imdb_id.is_some() || ids.tmdb_id.is_some() => Resolution::Movie(ids),
                _ => {
                    return Err(invalid(here, "column movie: expected an IMDb id, a TMDb id, an address of one, or -"));
                }
            };
            resolutions.insert(line, (title.to_owned(), resolution));
        }
        Ok(Self(resolutions))
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
        let titles: HashMap<u64, String> = rows.iter().map(|row| (row.line, row.label())).collect();
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|(line, _)| **line);
        match lines.into_iter().find(|(line, (title, _))| titles.get(line) != Some(title)) {
            Some((line, (title, _))) => Err(ListImportError::OtherReport { line: *line, title: title.clone() }),
            None => Ok(()),
        }
    }
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
