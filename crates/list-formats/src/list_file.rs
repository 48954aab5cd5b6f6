//! The rows of a list, whatever the format of its file.

use std::collections::BTreeMap;

use super::error::{ListFileError, RowProblem};
use super::format::Format;
use super::text::Encoding;

/// Maximum number of rows of a list. Far above real lists; it bounds the memory of one import to some ten megabytes.
pub const ROWS_MAX: usize = 100_000;

/// A list as its file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFile {
    /// Kind of the file.
    pub format: Format,
    /// Encoding of the text.
    pub encoding: Encoding,
    /// What the file says about the list.
    pub about: About,
    /// The movies, in the order of the file.
    pub rows: Vec<Row>,
    /// Number of rows that are not about a movie, by what they are about, such as `tvSeries`.
    pub other_types: BTreeMap<String, u64>,
    /// Number of rows of other lists, by their keys. Only our own format has several lists in one file.
    pub other_lists: BTreeMap<String, u64>,
    /// Number of positions that are missing between the first and the last one. Not an error, because people delete
    /// rows, but it can mean that rows were lost.
    pub missing_positions: u64,
    /// Number of lines that are comments.
    pub comments: usize,
    /// Number of lines above the header that are not read.
    pub above_header: u64,
    /// The last line, if no line break ends it: it may be cut off.
    pub unended_line: Option<u64>,
}

/// What a file says about its list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Name of the list.
    pub name: Option<String>,
    /// Address of the list.
    pub url: Option<String>,
}

/// One movie of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Line of the file on which the row starts, from 1; in JSON, the number of the item.
    pub line: u64,
    /// Position on the list, if the file has positions.
    pub position: Option<i32>,
    /// TMDb id.
    pub tmdb_id: Option<i32>,
    /// IMDb id, such as `tt0133093`.
    pub imdb_id: Option<String>,
    /// The title, and the original title if the file has one that differs.
    pub titles: Vec<String>,
    /// Year of release.
    pub year: Option<i32>,
    /// Edition of the list that the movie joined.
    pub edition: Option<String>,
    /// Text of a row that does not say which movie it means: without id and title, such as an address of Letterboxd; with
    /// several ids; or a number that may be an id or a title. It is matched to no movie.
    pub unread: Option<String>,
}

impl Row {
    /// What the row is called in reports: its title, or else its id or text.
    #[must_use]
    pub fn label(&self) -> String {
        let id = || self.imdb_id.clone().or_else(|| self.tmdb_id.map(|id| id.to_string()));
        self.titles.first().cloned().or_else(id).or_else(|| self.unread.clone()).unwrap_or_default()
    }
}

impl ListFile {
    /// A list without rows. Its encoding is filled in when it is read.
    pub(crate) fn empty(format: Format) -> Self {
        Self {
            format,
            encoding: Encoding::Utf8,
            about: About::default(),
            rows: Vec::new(),
            other_types: BTreeMap::new(),
            other_lists: BTreeMap::new(),
            missing_positions: 0,
            comments: 0,
            above_header: 0,
            unended_line: None,
        }
    }

    /// Appends a row, up to the maximum.
    pub(crate) fn push(&mut self, row: Row) -> Result<(), ListFileError> {
        if self.rows.len() >= ROWS_MAX {
            return Err(ListFileError::TooManyRows { max: ROWS_MAX });
        }
        self.rows.push(row);
        Ok(())
    }
}

/// Maximum length of a value, in characters. Titles have at most 255; only what is no list has longer ones, and a
/// description of Letterboxd, which is not read.
pub(crate) const VALUE_MAX: usize = 1_000;

/// A value without the control characters that it may contain.
///
/// # Errors
/// If it is longer than any title.
pub(crate) fn text_value(value: &str, line: u64) -> Result<String, ListFileError> {
    if value.len() > VALUE_MAX && value.chars().count() > VALUE_MAX {
        return Err(ListFileError::damaged(line, RowProblem::TooLong { max: VALUE_MAX }));
    }
    Ok(value.replace(char::is_control, " ").trim().to_owned())
}
