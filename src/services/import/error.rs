//! Why an import was refused: in which file, where, and what to do.

use std::io;
use std::path::PathBuf;

/// Why nothing was imported. The database is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The path is no directory.
    #[error("{} is no directory: give the one that holds the files", .0.display())]
    NotADirectory(PathBuf),
    /// The one file that must be there is not.
    #[error("{} holds no movies.csv, the one file that an import needs", .0.display())]
    NoMovies(PathBuf),
    /// Likewise of IMDb's dumps.
    #[error("{} holds no title.basics.tsv.gz, the one file that an import needs", .0.display())]
    NoTitles(PathBuf),
    /// Votes are asked for, and there are none.
    #[error("{} holds no title.ratings.tsv.gz, which has the votes: add it, or give --min-votes 0", .0.display())]
    NoRatings(PathBuf),
    /// The operating system refused.
    #[error("{file} cannot be read")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// A file is not as it should be.
    #[error("{file}, line {line}{}: {problem}", column.as_ref().map(|name| format!(", column {name}")).unwrap_or_default())]
    Damaged {
        /// Which file.
        file: &'static str,
        /// Where the record starts, counted from 1; the header is on line 1.
        line: u64,
        /// Which column, where it is one column's fault.
        column: Option<String>,
        /// What is wrong, and what to do.
        problem: Problem,
    },
    /// The film tables were there before our migrations.
    #[error(
        "the film tables of this database belong to another application, so nothing may be imported into them: \
         give an empty database, or let that application import"
    )]
    ForeignCatalogue,
    /// Generated films must not mix with real ones.
    #[error(
        "this database holds generated movies, which must not mix with real ones: add --replace-generated to replace \
         them, or import into an empty database or data directory"
    )]
    GeneratedCatalogue,
    /// The database did not answer, or refused a statement.
    #[error("the database did not take the import")]
    Database(#[from] sqlx::Error),
}

/// What is wrong in a file, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Problem {
    #[error("the file is empty: a header line is the least")]
    EmptyFile,
    #[error("the file is UTF-16: save it as UTF-8")]
    Utf16,
    #[error("this is not UTF-8: save the file as UTF-8")]
    NotUtf8,
    #[error("a NUL character, which PostgreSQL cannot store: remove it, or save the file as UTF-8 if it is UTF-16")]
    Nul,
    #[error("the file is cut off: it ends without a line break, or inside quotes; copy it again")]
    CutOff,
    #[error("this is no gzip, or damaged: download the file again")]
    BadGzip,
    #[error("the line is longer than a MiB, so this is another kind of file")]
    LineTooLong,
    #[error(
        "a quote in the wrong place: a value with a quote, comma or line break stands in quotes, and its own quotes \
         are doubled"
    )]
    StrayQuote,
    #[error("the header lacks this column: add it")]
    MissingColumn,
    #[error("the header has this column twice: remove one")]
    RepeatedColumn,
    #[error("values in this row: {found}, columns in the header: {expected}")]
    Width { found: usize, expected: usize },
    #[error("the value is missing: give one")]
    NoValue,
    #[error("{value:?} is no whole number")]
    NotAnInteger { value: String },
    #[error("{value} is out of range: {min} to {max} fits")]
    IntegerOutOfRange { value: String, min: i32, max: i32 },
    #[error("{value:?} is no number: write it like 7.5")]
    NotANumber { value: String },
    #[error("{value} is out of range: the largest number is about 1.8e308")]
    NumberOutOfRange { value: String },
    #[error("{value:?} is no id like {example}")]
    NotAnId { value: String, example: &'static str },
    #[error("{value:?} is no date: write it like 1994-10-14")]
    NotADate { value: String },
    #[error("{value:?} is not one of {}", allowed.join(", "))]
    NotOneOf { value: String, allowed: &'static [&'static str] },
    #[error("the text has {length} characters, but {max} are the most: shorten it")]
    TooLong { length: usize, max: usize },
    #[error("film {id} is not in movies.csv: add it there, or remove this row")]
    UnknownFilm { id: i32 },
    #[error("person {id} is not in people.csv: add them there, or remove this row")]
    UnknownPerson { id: i32 },
    #[error("{value} is on line {earlier} already: remove one of the two")]
    Repeated { value: String, earlier: u64 },
    #[error("{value} is on line {earlier} already, with other values: remove one of the two")]
    Contradicts { value: String, earlier: u64 },
}
