//! What can go wrong between us and the database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a statement gave no answer. Cheap to clone, so that all who waited for one load can be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The server cannot be reached, or every connection was busy for too long.
    #[error("the database cannot be reached")]
    Unavailable(#[source] SharedError),
    /// A certificate or key that a database URL names is not there.
    #[error("{path}, the {parameter} of a database URL, cannot be read")]
    TlsFile {
        /// What it is to be.
        parameter: String,
        /// Where it should be.
        path: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The statement ran into its time limit.
    #[error("{statement} ran into its time limit")]
    TimedOut {
        /// Its name in the code.
        statement: &'static str,
        /// What the server said.
        #[source]
        source: SharedError,
    },
    /// The server refused the statement.
    #[error("{statement} failed")]
    Statement {
        /// Its name in the code.
        statement: &'static str,
        /// What the server said.
        #[source]
        source: SharedError,
    },
    /// A row breaks a rule of ours.
    #[error("{table}.{column} of row {id} is {problem}")]
    Row {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// The row's id.
        id: i64,
        /// What it should not be.
        problem: String,
    },
    /// The films that a statement returned are not in the form that we write them in.
    #[error("{0} returned a film that cannot be read")]
    Unreadable(&'static str),
    /// The score table cannot serve a decade: it holds scores of another formula, or none.
    #[error("the score table cannot serve this decade: {0}")]
    ScoreTable(#[from] ScoreTableFault),
    /// The server said nothing for too long.
    #[error("{0}: the database says nothing")]
    Unresponsive(&'static str),
    /// As many direct queries run as may.
    #[error("{0}: too many direct queries run already")]
    TooManyDirectQueries(&'static str),
    /// What should be the replica is none.
    #[error("the server at replica_url is no replica")]
    NoReplica,
    /// The schema is not that of this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Why the database's schema cannot be used as it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SchemaError {
    /// `cinegraph migrate` has not run.
    #[error("the database is not migrated: run `cinegraph migrate`")]
    NotMigrated,
    /// Another application's film tables lack what our statements read.
    #[error("these film tables are not those of a Cinegraph database; missing: {}", .0.join(", "))]
    Incomplete(Vec<String>),
    /// Tables that are none of Cinegraph's have the names of ours.
    #[error("the database has no movies, but other tables with names of ours: {}; use another database", .0.join(", "))]
    NamesTaken(Vec<String>),
    /// The role may not do what migrating takes.
    #[error("this role lacks {}; grant it, or connect as the owner of the film tables", .0.join(", "))]
    Privileges(Vec<String>),
    /// Others kept a lock for too long.
    #[error("{0} stayed locked by others; try again when they are done")]
    Locked(&'static str),
    /// Views of others would be dropped with ours.
    #[error("views of others read from ours: {}; drop them first", .0.join(", "))]
    ReadByOthers(Vec<String>),
    /// The tables of jobs cannot be made or brought up to date.
    #[error("the tables of jobs cannot be migrated: {0}")]
    Jobs(String),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[source] std::sync::Arc<sqlx::migrate::MigrateError>),
}

/// Why the score table cannot serve a decade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScoreTableFault {
    /// It must be refreshed first.
    #[error("it holds scores of another formula")]
    OtherFormula,
    /// It must be refreshed first.
    #[error("it holds a record that cannot be read")]
    Unreadable,
    /// There may be none: this is no fault of the table.
    #[error("it holds no film of it")]
    NoFilm,
}

/// A cause that several waiters are told.
pub type SharedError = std::sync::Arc<sqlx::Error>;

impl StoreError {
    /// Whether the values in the tables are at fault, so that the same statement fails again as long as they are there.
    #[must_use]
    pub fn is_data_fault(&self) -> bool {
        let Self::Statement { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // Class 22 of SQLSTATE: data exceptions, such as a number out of range.
        code.is_some_and(|code| code.starts_with("22"))
    }

    /// The unique index that already has such a row, if that is why a statement failed.
    #[must_use]
    pub fn duplicate_in(&self) -> Option<&str> {
        let Self::Statement { source, .. } = self else { return None };
        source.as_database_error().filter(|refusal| refusal.is_unique_violation())?.constraint()
    }

    pub(super) fn of(statement: &'static str, error: sqlx::Error) -> Self {
        let kind = FailureKind::of(&error);
        let source = SharedError::new(error);
        match kind {
            FailureKind::Connection => Self::Unavailable(source),
            FailureKind::Timeout => Self::TimedOut { statement, source },
            FailureKind::Serialization | FailureKind::Constraint | FailureKind::Other => {
                Self::Statement { statement, source }
            }
        }
    }
}

/// Failures as operators tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    Connection,
    Timeout,
    Serialization,
    Constraint,
    Other,
}

impl FailureKind {
    /// Sorts by error class (PostgreSQL documentation, appendix A).
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Connection,
            sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
                Some("57014" | "55P03") => Self::Timeout,
                Some("40001" | "40P01") => Self::Serialization,
                Some(code) if code.starts_with("23") => Self::Constraint,
                // Connection exceptions, too many connections, and the server going down or coming up.
                Some(code) if code.starts_with("08") || code.starts_with("57P") || code == "53300" => Self::Connection,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// How long statements of one pool may take.
#[derive(Debug, Clone, Copy)]
pub struct StatementLimits {
    /// What requests run.
    pub request: Duration,
    /// What computes scores from the base tables when the score table cannot serve.
    pub direct_query: Duration,
}
