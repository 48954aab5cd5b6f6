//! Why a list was not imported.

use chrono::{DateTime, Utc};
use cinegraph_list_formats::ListFileError;

use crate::store::StoreError;

/// Why a list was not imported. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ListImportError {
    /// The key cannot be one of a list.
    #[error("the key {key:?} is not valid: 1 to {max} characters, without invisible characters and spaces at its ends")]
    Key {
        /// The key.
        key: String,
        /// Maximum length.
        max: usize,
    },
    /// The file cannot be read as a list.
    #[error(transparent)]
    File(#[from] ListFileError),
    /// The movie tables are host tables.
    #[error("the movies and lists of this database belong to another application; change lists with that application")]
    ForeignCatalogue,
    /// There is no movie to match.
    #[error("the database holds no movies: import movies first, for example with `cinegraph import imdb`")]
    NoMovies,
    /// Most movies of the list would leave it.
    #[error(
        "{left} of the {movies} movies of this list would leave it: is it the right list? --dry-run names them, --replace \
         replaces the list"
    )]
    MostLeave {
        /// Number of movies that would leave.
        left: usize,
        /// Number of movies on the list.
        movies: usize,
    },
    /// The list was changed since the caller read it.
    #[error("the list was changed at {}: read it again and repeat the change", .updated_at.to_rfc3339())]
    Changed {
        /// When it was changed.
        updated_at: DateTime<Utc>,
    },
    /// The list does not exist although the caller has read it.
    #[error("there is no such list any more")]
    Gone,
    /// The corrected report cannot be read.
    #[error("the corrected report, line {line}: {problem}")]
    Report {
        /// Line of the report.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The corrected report is of another file.
    #[error("the corrected report was made from another file: line {line} of the list is not {title:?}")]
    OtherReport {
        /// Line of the list.
        line: u64,
        /// Title in the report.
        title: String,
    },
    /// The database failed.
    #[error("cannot write the list to the database")]
    Database(#[from] StoreError),
}

impl ListImportError {
    pub(super) fn report(line: u64, problem: &str) -> Self {
        Self::Report { line, problem: problem.to_owned() }
    }
}
