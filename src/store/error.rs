//! Errors of the database layer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::query_name::QueryName;
use crate::telemetry::label;

/// Why a statement failed. Cheap to clone, so that all followers of a load can receive it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An outage: the server cannot be reached, no connection became available in time, or the server accepts no work
    /// now.
    #[error("{}", outage(.0))]
    Unavailable(#[source] SharedError),
    /// A certificate or key file that a database URL names cannot be read.
    #[error("cannot read {path}, the {parameter} of a database URL")]
    TlsFile {
        /// Parameter of the URL.
        parameter: String,
        /// Path of the file.
        path: String,
        /// Cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The server cancelled the statement because it exceeded its time limit, or waited too long for a lock.
    #[error("{statement} exceeded its time limit")]
    TimedOut {
        /// Name of the statement.
        statement: QueryName,
        /// Error of the server.
        #[source]
        source: SharedError,
    },
    /// The server rejected the statement.
    #[error("{statement} failed")]
    Statement {
        /// Name of the statement.
        statement: QueryName,
        /// Error of the server.
        #[source]
        source: SharedError,
    },
    /// A row has an invalid value.
    #[error("{table}.{column} of row {id} is invalid: {problem}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        id: i64,
        /// What is wrong with the value.
        problem: String,
    },
    /// The records that a statement returned cannot be decoded.
    #[error("{0} returned a movie record that cannot be decoded")]
    Unreadable(QueryName),
    /// The score table cannot serve a decade.
    #[error("the score table cannot serve this decade: {0}")]
    ScoreTable(#[from] ScoreTableFault),
    /// The data versions could not be read in time. Other statements without a response are [`Self::Unavailable`].
    #[error("{0}: not read in time")]
    Unresponsive(QueryName),
    /// The limit of concurrent direct queries is reached.
    #[error("{0}: too many concurrent direct queries")]
    TooManyDirectQueries(QueryName),
    /// The server at `replica_url` is not a replica.
    #[error("the server at replica_url is not a replica")]
    NoReplica,
    /// The schema does not match this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Why the database's schema cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SchemaError {
    /// `cinegraph migrate` has not run.
    #[error("the database is not migrated: run `cinegraph migrate`")]
    NotMigrated,
    /// The host tables lack columns that the statements read.
    #[error("these movie tables are not those of a Cinegraph database; missing: {}", .0.join(", "))]
    Incomplete(Vec<String>),
    /// Other tables have the names of Cinegraph's tables.
    #[error("the database has no movies, but tables with Cinegraph's names: {}; use another database", .0.join(", "))]
    NamesTaken(Vec<String>),
    /// The role lacks privileges for migrating.
    #[error("this role lacks {}; grant it, or connect as the owner of the movie tables", .0.join(", "))]
    Privileges(Vec<String>),
    /// Other sessions held a lock for too long.
    #[error("{0} stayed locked by other sessions; retry later")]
    Locked(&'static str),
    /// Other views depend on Cinegraph's schema and would be dropped.
    #[error("other views depend on Cinegraph's schema: {}; drop them first", .0.join(", "))]
    ReadByOthers(Vec<String>),
    /// The job tables cannot be created or migrated.
    #[error("cannot migrate the job tables: {0}")]
    Jobs(String),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
}

/// Why the score table cannot serve a decade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScoreTableFault {
    /// The scores have another formula version, until the table is refreshed.
    #[error("it holds scores of another formula")]
    OtherFormula,
    /// A stored record cannot be decoded.
    #[error("it holds a record that cannot be decoded")]
    Unreadable,
    /// The table may be empty, or the decade has no movies, which is no fault of the table.
    #[error("it holds no movie of the decade")]
    NoMovie,
}

/// A cause shared by all followers of a load.
pub type SharedError = Arc<sqlx::Error>;

impl StoreError {
    /// Whether values in the database made the statement fail, so that it fails again until they change.
    #[must_use]
    pub fn is_data_fault(&self) -> bool {
        let Self::Statement { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // Class 22 of SQLSTATE: data exceptions, such as a number out of range.
        code.is_some_and(|code| code.starts_with("22"))
    }

    /// Name of the unique index that the statement violated; `None` if it failed for another reason.
    #[must_use]
    pub fn duplicate_in(&self) -> Option<&str> {
        let Self::Statement { source, .. } = self else { return None };
        source.as_database_error().filter(|refusal| refusal.is_unique_violation())?.constraint()
    }

    /// Whether a conflict with other transactions made the statement fail (a serialization failure or a deadlock), so
    /// that repeating its transaction helps.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == FailureKind::Serialization
    }

    /// Classifies the error of a statement.
    pub(super) fn of(statement: QueryName, error: sqlx::Error) -> Self {
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

    /// The error of a statement that sets up a database, such as a migration or a detach.
    pub(super) fn of_setup(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Migrate(failure) => SchemaError::Migration(Arc::from(failure)).into(),
            error => Self::of(QueryName::TaskSetup, error),
        }
    }

    /// The kind under which metrics count the error.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable(source) | Self::TimedOut { source, .. } | Self::Statement { source, .. } => {
                FailureKind::of(source)
            }
            Self::Schema(SchemaError::Locked(_)) => FailureKind::Timeout,
            _ => FailureKind::Other,
        }
    }
}

label! {
    /// Why a statement failed, as far as metrics distinguish it.
    FailureKind {
        Timeout = "timeout",
        Connection = "connection",
        Serialization = "serialization",
        Constraint = "constraint",
        Other = "other",
    }
}

impl FailureKind {
    /// Classifies an error: by its SQLSTATE (PostgreSQL documentation, appendix A) if it comes from the server.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            // A protocol error: a proxy or a server that ends has cut the connection, or something else responds at its
            // address. Values that cannot be decoded are other errors.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Connection,
            sqlx::Error::Database(refusal) => refusal.code().map_or(Self::Other, |code| Self::of_sqlstate(&code)),
            _ => Self::Other,
        }
    }

    fn of_sqlstate(code: &str) -> Self {
        match code {
            // Statement timeout; lock timeout.
            "57014" | "55P03" => Self::Timeout,
            // Serialization failure; deadlock.
            "40001" | "40P01" => Self::Serialization,
            // After a failover, connections may still lead to the former primary, which is read-only.
            "25006" => Self::Connection,
            // The statement exceeded a limit of its own (temp_file_limit), so it fails again on a healthy server. The
            // other errors of class 53, below, are a lack of resources.
            "53400" => Self::Other,
            _ => match code.get(..2) {
                Some("23") => Self::Constraint,
                // Connection exceptions; lack of resources (disk full, out of memory, too many connections); errors of
                // the server's system, such as a disk that cannot be read.
                Some("08" | "53" | "58") => Self::Connection,
                // A server that shuts down, starts or has crashed.
                Some("57") if code.starts_with("57P") => Self::Connection,
                _ => Self::Other,
            },
        }
    }
}

/// Message for an outage. A server that returned an error was reached, so only the message for other failures says that
/// the database cannot be reached.
fn outage(source: &sqlx::Error) -> &'static str {
    match source {
        sqlx::Error::Database(_) => "the database is unavailable",
        _ => "the database cannot be reached",
    }
}

/// Time limits of statements.
#[derive(Debug, Clone, Copy)]
pub struct StatementLimits {
    /// Statements of requests.
    pub request: Duration,
    /// Direct queries, which compute scores from the base tables when the score table cannot serve.
    pub direct_query: Duration,
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// An error that a server sent.
    #[derive(Debug)]
    struct Refusal(&'static str);

    impl fmt::Display for Refusal {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Refusal {}

    impl DatabaseError for Refusal {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn failed_with(code: &'static str) -> StoreError {
        StoreError::of(QueryName::HealthCheck, sqlx::Error::Database(Box::new(Refusal(code))))
    }

    #[test]
    fn sqlstates_of_outages_are_unavailability() {
        for code in [
            "08000", "08006", "08P01", "25006", "53000", "53100", "53200", "53300", "57P01", "57P02", "57P03", "57P04",
            "57P05", "58000", "58030", "58P01", "58P02",
        ] {
            let error = failed_with(code);
            assert!(matches!(error, StoreError::Unavailable(_)), "{code}: {error:?}");
            assert_eq!(error.kind(), FailureKind::Connection, "{code}");
            assert_eq!(error.to_string(), "the database is unavailable");
        }
    }

    #[test]
    fn a_connection_that_is_cut_in_a_message_is_unavailability() {
        let error = StoreError::of(QueryName::HealthCheck, sqlx::Error::Protocol("unexpected response: 0x00".into()));
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(error.to_string(), "the database cannot be reached");
    }

    #[test]
    fn other_sqlstates_are_faults_of_the_statement() {
        for (code, kind) in [
            ("23505", FailureKind::Constraint),
            ("40001", FailureKind::Serialization),
            ("40P01", FailureKind::Serialization),
            ("22003", FailureKind::Other),
            ("25001", FailureKind::Other),
            ("42P01", FailureKind::Other),
            ("53400", FailureKind::Other),
            ("54001", FailureKind::Other),
            ("57000", FailureKind::Other),
            ("XX000", FailureKind::Other),
            ("5", FailureKind::Other),
            ("", FailureKind::Other),
        ] {
            let error = failed_with(code);
            assert!(matches!(error, StoreError::Statement { .. }), "{code}: {error:?}");
            assert_eq!(error.kind(), kind, "{code}");
        }
        for code in ["57014", "55P03"] {
            assert!(matches!(failed_with(code), StoreError::TimedOut { .. }), "{code}");
        }
    }
}
