//! Corrections of a list by a person, who fills in the column `movie` of a report.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use cinegraph_list_formats::{ListFileError, Row, any_id, read_columns};

use super::error::ListImportError;
use crate::scoring::fold_title;

/// Columns of a report.
pub(super) const COLUMNS: [&str; 7] = ["line", "position", "title", "year", "problem", "candidates", "movie"];

/// Numbers that are years of movies rather than ids.
const YEARS: RangeInclusive<i32> = 1870..=2100;

/// What a person decided about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The row means the movie with these ids.
    Movie(Row),
    /// The row is left out.
    LeaveOut,
}

/// A corrected report: the corrections by the lines of the list.
#[derive(Debug, Default)]
pub struct Resolutions(BTreeMap<u64, Correction>);

/// A row of a corrected report.
#[derive(Debug)]
struct Correction {
    /// Line of the report.
    here: u64,
    title: String,
    year: String,
    resolution: Resolution,
}

impl Resolutions {
    /// Reads a corrected report. Rows whose column `movie` is empty are as before.
    ///
    /// # Errors
    /// [`ListImportError::Report`] if it is no report, is damaged, names a line twice, or a value is no id.
    pub fn read(text: &str) -> Result<Self, ListImportError> {
        let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
        let rows = read_columns(&text, COLUMNS).map_err(|error| match error {
            ListFileError::Damaged { line, problem } => ListImportError::report(line, &problem.to_string()),
            error => error.into(),
        })?;
        let Some(rows) = rows else {
            return Err(ListImportError::report(1, &format!("expected the columns {}", COLUMNS.join(", "))));
        };
        let mut corrections = BTreeMap::new();
        for (here, [line, _, title, year, _, _, movie]) in rows {
            let line =
                line.parse().map_err(|_| ListImportError::report(here, "column line: not the number of a line"))?;
            let Some(resolution) = Resolution::read(&movie, here)? else { continue };
            if corrections.insert(line, Correction { here, title, year, resolution }).is_some() {
                return Err(ListImportError::report(here, &format!("column line: {line} is there twice")));
            }
        }
        Ok(Self(corrections))
    }

    /// As [`Resolutions::read`], for a report that was corrected.
    ///
    /// # Errors
    /// Those of [`Resolutions::read`], and [`ListImportError::NoCorrections`] if nothing was decided.
    pub fn read_corrected(text: &str) -> Result<Self, ListImportError> {
        Self::read(text).and_then(|read| if read.is_empty() { Err(ListImportError::NoCorrections) } else { Ok(read) })
    }

    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was decided about a row.
    pub(super) fn of(&self, row: &Row) -> Option<&Resolution> {
        self.0.get(&row.line).map(|correction| &correction.resolution)
    }

    /// The line of the report with the correction of a row.
    pub(super) fn line_of(&self, row: &Row) -> Option<u64> {
        self.0.get(&row.line).map(|correction| correction.here)
    }

    /// Checks that the report was made from these rows.
    ///
    /// # Errors
    /// [`ListImportError::OtherReport`] if a line is about another movie.
    pub(super) fn check(&self, rows: &[Row]) -> Result<(), ListImportError> {
        let rows: HashMap<u64, &Row> = rows.iter().map(|row| (row.line, row)).collect();
        let is_same = |row: &Row, correction: &Correction| {
            comparable(&row.label()) == comparable(&correction.title)
                && row.year.map(|year| year.to_string()).unwrap_or_default() == without_fraction(&correction.year)
        };
        let other =
            self.0.iter().find(|(line, correction)| !rows.get(line).is_some_and(|row| is_same(row, correction)));
        let Some((line, Correction { title, year, .. })) = other else { return Ok(()) };
        let movie = if year.is_empty() { title.clone() } else { format!("{title} ({year})") };
        Err(ListImportError::OtherReport { line: *line, movie })
    }
}

impl Resolution {
    /// Reads a value of the column `movie`: an id or an address, which a remark may follow, as in a candidate that was
    /// copied whole; or `-`. `None` if it is empty. A number that may be a year is refused: in the wrong column, it would be
    /// the id of any movie.
    fn read(text: &str, line: u64) -> Result<Option<Self>, ListImportError> {
        let Some(word) = text.split_whitespace().next() else { return Ok(None) };
        // Spreadsheets turn hyphens into dashes.
        if ["-", "–", "—"].contains(&word) {
            return Ok(Some(Self::LeaveOut));
        }
        if word.parse().is_ok_and(|number: i32| YEARS.contains(&number)) {
            let problem =
                format!("column movie: {word} may be a year; as a TMDb id, write themoviedb.org/movie/{word}");
            return Err(ListImportError::report(line, &problem));
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

/// A year as a spreadsheet may write it.
fn without_fraction(year: &str) -> &str {
    year.strip_suffix(".0").or_else(|| year.strip_suffix(",0")).unwrap_or(year)
}
