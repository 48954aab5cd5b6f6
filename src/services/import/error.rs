//! Errors of an import: file, position, cause and remedy.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;

/// Why an import failed. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The path is not a directory.
    #[error("{} is not a directory; name the directory with the files", .0.display())]
    NotADirectory(PathBuf),
    /// The only required CSV file is missing.
    #[error("{} has no movies.csv, which an import requires", .0.display())]
    NoMovies(PathBuf),
    /// The only required dump is missing.
    #[error("{} has no title.basics.tsv.gz, which an import requires", .0.display())]
    NoTitles(PathBuf),
    /// A minimum of votes is set, but there are no ratings.
    #[error("{} has no title.ratings.tsv.gz, which --min-votes needs; add it, or use --min-votes 0", .0.display())]
    NoRatings(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A file has invalid content.
    #[error("{file}, line {line}{}: {problem}", column.as_ref().map(|name| format!(", column {name}")).unwrap_or_default())]
    Damaged {
        /// The file.
        file: &'static str,
        /// Line on which the record starts, from 1; the header is on line 1.
        line: u64,
        /// The column, if one column is at fault.
        column: Option<String>,
        /// The problem and its remedy.
        problem: Problem,
    },
    /// The movie tables are host tables.
    #[error(
        "the movie tables of this database belong to another application; import with that application, or into an \
         empty database"
    )]
    ForeignCatalogue,
    /// Generated movies must not mix with real ones.
    #[error(
        "this database holds generated movies, which must not mix with real ones: add --replace-generated to replace \
         them, or import into an empty database or data directory"
    )]
    GeneratedCatalogue,
    /// Generated movies cannot be completed.
    #[error(
        "this database holds generated movies, which TMDb does not know; import real ones first, with \
         --replace-generated"
    )]
    OnlyGenerated,
    /// There are no movies to complete.
    #[error("the database has no movies to complete; import some first: `cinegraph import imdb` or `import csv`")]
    NothingToComplete,
    /// The titles in movies.csv are probably those of other rows.
    #[error(
        "movies.csv, line {line}: {renamed} of its {existing} movies that the database has would get another title, \
         such as {example}: do ids and titles belong together? --replace replaces them"
    )]
    MostRenamed {
        /// Line of the first.
        line: u64,
        /// Movies with another title.
        renamed: u64,
        /// Movies in the file that the database has.
        existing: u64,
        /// Titles of the first.
        example: String,
    },
    /// `--strict`: the files have values that the import would change or ignore.
    #[error("nothing was imported, because --strict allows no changes:\n{}", .0.join("\n"))]
    Changes(Vec<String>),
    /// The files hold no movie to replace the generated ones with.
    #[error("the files contain no movie that can be imported; the generated movies were not replaced")]
    Empty,
    /// The database failed or rejected a row.
    #[error("cannot write the import to the database")]
    Database(#[from] StoreError),
}

/// A problem in a file, and its remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Problem {
    #[error("the file is empty: it needs at least a header line")]
    EmptyFile,
    #[error("the file is UTF-16: save it as UTF-8")]
    Utf16,
    #[error("the text is not UTF-8: save the file as UTF-8")]
    NotUtf8,
    #[error("a NUL character, which PostgreSQL cannot store: remove it, or save the file as UTF-8 if it is UTF-16")]
    Nul,
    #[error("the file is cut off: it ends without a line break, or inside quotes; copy it again")]
    CutOff,
    #[error("the file is {name}: {remedy}")]
    OtherKind { name: &'static str, remedy: &'static str },
    #[error("the file is not gzip, or damaged: download it again")]
    BadGzip,
    #[error(
        "this is no movie of TMDb's daily export, like {{\"adult\":false,\"id\":3924,\"original_title\":\"Blondie\",\"popularity\":1.8,\"video\":false}}: {reason}"
    )]
    NotAnEntry { reason: String },
    #[error("the line is longer than 1 MiB: this is not an IMDb dump")]
    LineTooLong,
    #[error(
        "the row is longer than 1 MiB, which value {value} exceeds: check whether a quote before it is never closed"
    )]
    RowTooLong { value: usize },
    #[error("the header has {found} columns, expected {max} at most: this is a file of another kind")]
    TooManyColumns { found: usize, max: usize },
    #[error(
        "a quote in the wrong place: a value with a quote, comma or line break must be quoted, and quotes inside it \
         doubled"
    )]
    StrayQuote,
    #[error("the header lacks this column: add it. It has {found}")]
    MissingColumn { found: String },
    #[error("the header has this column twice: remove one")]
    RepeatedColumn,
    #[error("values in this row: {found}, columns in the header: {expected}")]
    Width { found: usize, expected: usize },
    #[error("the value is missing: add one")]
    NoValue,
    #[error("{value:?} is not a whole number")]
    NotAnInteger { value: String },
    #[error("{value} is out of range: expected {min} to {max}")]
    IntegerOutOfRange { value: String, min: i32, max: i32 },
    #[error("{value:?} is not a number: write it like 7.5")]
    NotANumber { value: String },
    #[error("{value} is out of range: the largest number is about 1.8e308")]
    NumberOutOfRange { value: String },
    #[error("{value} is off the scale of {metric}: expected {scale}")]
    OffScale { value: String, metric: String, scale: String },
    #[error("{value:?} is not an id like {example}")]
    NotAnId { value: String, example: &'static str },
    #[error("{value:?} is not a date: write it like 1994-10-14")]
    NotADate { value: String },
    #[error("{value:?} is not the path of a poster at TMDb, like /9NXAlFEE7WDssbXSMgdacsUD58Y.jpg")]
    NotAPoster { value: String },
    #[error("{value:?} is not a time: write it like 1994-10-14 or 1994-10-14T12:00:00Z")]
    NotATime { value: String },
    #[error("{value:?} is not a language: write its code of two letters (ISO 639-1), like en")]
    NotALanguage { value: String },
    #[error("{value:?} is not one of {}", allowed.join(", "))]
    NotOneOf { value: String, allowed: &'static [&'static str] },
    #[error("the text has {length} characters, expected {max} at most: shorten it")]
    TooLong { length: usize, max: usize },
    #[error("movie {id} is not in movies.csv: add it there, or remove this row")]
    UnknownMovie { id: i32 },
    #[error("person {id} is not in people.csv: add the person there, or remove this row")]
    UnknownPerson { id: i32 },
    #[error("{stored} has this IMDb id, which is another movie than {given}: correct the id, or add --replace")]
    OtherMovie { stored: String, given: String },
    #[error("{value} is on line {earlier} already: remove one of the two")]
    Repeated { value: String, earlier: u64 },
    #[error("{value} is on line {earlier} already, with other values: remove one of the two")]
    Contradicts { value: String, earlier: u64 },
}
