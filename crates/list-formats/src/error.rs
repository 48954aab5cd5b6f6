//! Why a file cannot be read as a list.

use super::file_kind::FileKind;
use super::format::{Family, Format};

/// Why a file cannot be read as a list. The texts name the line and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFileError {
    /// The file has no content.
    #[error("the file is empty")]
    Empty,
    /// The file is of a kind that cannot be a list.
    #[error("this is {}, not a list: {}", .0.name, .0.remedy)]
    NotAList(FileKind),
    /// No header and no id was found.
    #[error(
        "this is no known kind of list: a header needs a column named imdb_id, tmdb_id or Const, or two named title and \
         year (found: {found:?}); a file without a header needs an id, an address or `Title (Year)` on each line"
    )]
    UnknownKind {
        /// The first line with content.
        found: String,
    },
    /// The file is of another format than the caller said.
    #[error("this is {found}, not a file of the format {expected}: leave the format out, or name the right one")]
    OtherFormat {
        /// What the caller said.
        expected: Family,
        /// What the file is.
        found: Format,
    },
    /// The file has a header only.
    #[error("{0} without rows")]
    NoRows(Format),
    /// No row is about a movie of the list.
    #[error("none of the rows is about a movie of this list: {found}")]
    OnlyOthers {
        /// What the rows are about, and the remedy.
        found: String,
    },
    /// The file is a report of rows that match no movie.
    #[error("this is a report of rows that match no movie: give the list itself, and this file with --resolve")]
    Report,
    /// A line names a movie, but stands above the header.
    #[error(
        "line {line} names a movie, but stands above the header on line {header}: are these two lists in one file, or was \
         the header sorted with the rows?"
    )]
    MovieAboveHeader {
        /// The line of the movie.
        line: u64,
        /// The line of the header.
        header: u64,
    },
    /// The file is longer than any list.
    #[error("the file has more than {max} rows")]
    TooManyRows {
        /// Maximum number of rows.
        max: usize,
    },
    /// A line has invalid content.
    #[error("line {line}: {problem}")]
    Damaged {
        /// Line on which the row starts, from 1.
        line: u64,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// The JSON is invalid.
    #[error("the file is not JSON as Trakt's API returns it: {0}")]
    Json(String),
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum RowProblem {
    #[error(
        "values in this row: {found}, columns in the header: {expected}; delete the row if it is no movie; if it is the \
         last one, the file may be cut off"
    )]
    Width { found: usize, expected: usize },
    #[error("a quote is never closed, or stands within a value: quotes within a quoted value must be doubled")]
    Quotes,
    #[error("the header has the column {name:?} twice: remove one")]
    RepeatedColumn { name: String },
    #[error("column {column}: {value:?} is not {expected}")]
    Value { column: String, value: String, expected: &'static str },
    #[error("the text is not UTF-8, although other lines are: copy the file again")]
    Encoding,
    #[error("a value has more than {max} characters: this is not a list of movies")]
    TooLong { max: usize },
}

impl ListFileError {
    pub(crate) fn damaged(line: u64, problem: RowProblem) -> Self {
        Self::Damaged { line, problem }
    }

    /// Error for a text that is not recognised, which shows its first line.
    pub(crate) fn unknown_kind(text: &str) -> Self {
        match text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')) {
            Some(line) => Self::UnknownKind { found: shortened(line) },
            None => Self::Empty,
        }
    }
}

/// Maximum length of a value in an error, in characters. A choice.
const SHOWN: usize = 60;

/// Shortens a value for an error or a report, in which control characters are spaces.
pub(crate) fn shortened(value: &str) -> String {
    let shown = match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    };
    shown.replace(char::is_control, " ")
}
