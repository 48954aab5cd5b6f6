//! Why a list was not imported.

use chrono::{DateTime, Utc};
use cinegraph_list_formats::ListFileError;

use crate::services::ServiceError;
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
    /// The name or the edition cannot be stored.
    #[error("the {field} has {length} characters, expected 1 to {max}, without control characters")]
    Text {
        /// `name` or `edition`.
        field: &'static str,
        /// Length in characters, without spaces at the ends.
        length: usize,
        /// Maximum length.
        max: usize,
    },
    /// The year is none.
    #[error("the year is {0}, expected 1000 to 9999")]
    Year(i32),
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
    #[error("the corrected report was made from another file: line {line} of the list is not {movie:?}")]
    OtherReport {
        /// Line of the list.
        line: u64,
        /// Title and year in the report.
        movie: String,
    },
    /// The corrected report has no corrections.
    #[error("the report has no corrections: write the ids of movies into its column `movie`, and save it")]
    NoCorrections,
    /// Another key differs from this one in letters only.
    #[error("there is a list with the key {known:?} already: give it in this spelling, or choose another key")]
    SimilarKey {
        /// The known key.
        known: String,
    },
    /// The list cannot be set as a target list, or no longer.
    #[error("nothing was imported: {0}")]
    Target(ServiceError),
    /// The database failed.
    #[error("cannot write the list to the database")]
    Database(#[from] StoreError),
}

impl ListImportError {
    pub(super) fn report(line: u64, problem: &str) -> Self {
        Self::Report { line, problem: problem.to_owned() }
    }
}
