//! Why the embedded PostgreSQL is unavailable.

use std::io;
use std::path::{Path, PathBuf};

use super::binaries::OLDEST_MAJOR;

/// Why the embedded PostgreSQL is unavailable. Where the user can fix it, the message says how.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No server programs are installed.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer is installed; install it (Debian, Ubuntu: `apt-get install postgresql`, \
         Fedora: `dnf install postgresql-server`, macOS: `brew install postgresql@17`) or configure a database URL"
    )]
    NotInstalled,
    /// The release that created the cluster is not installed any more.
    #[error(
        "{data:?} was created by PostgreSQL {major}, which is not installed; install PostgreSQL {major}, or move the \
         directory away to start with an empty database"
    )]
    VersionNotInstalled {
        /// The cluster's directory.
        data: PathBuf,
        /// The required release.
        major: u32,
    },
    /// The server's user cannot enter the data directory.
    #[error(
        "PostgreSQL cannot run as root and runs as {user}, who cannot enter {parent:?}; choose another data directory, \
         or allow access: `chmod o+x {}`", parent.display()
    )]
    NoAccess {
        /// The topmost directory that the user cannot enter.
        parent: PathBuf,
        /// The user that runs the server.
        user: String,
    },
    /// The process runs as root, and there is no unprivileged user to switch to.
    #[error("PostgreSQL cannot run as root, and neither user `postgres` nor `nobody` exists; create user `postgres`")]
    NoUnprivilegedUser,
    /// The process runs as root, but may not act as the server's user.
    #[error("cannot act as the user that runs PostgreSQL; run the program as a user other than root")]
    NoCredentials(#[source] io::Error),
    /// Another process has held the startup lock for as long as this process waits for it.
    #[error("another process has been starting or stopping this PostgreSQL for {seconds} s (it locks {lock:?})")]
    Busy {
        /// The lock.
        lock: PathBuf,
        /// How long this process waited.
        seconds: u64,
    },
    /// The server exits during start.
    #[error("the embedded PostgreSQL does not start; the end of {log:?}:\n{last_lines}")]
    NotStarted {
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        last_lines: String,
    },
    /// The server runs but does not accept connections.
    #[error("the embedded PostgreSQL does not accept connections after {seconds} s; the end of {log:?}:\n{last_lines}")]
    NotReady {
        /// How long this process waited.
        seconds: u64,
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        last_lines: String,
    },
    /// The server rejects the stored password.
    #[error("the embedded PostgreSQL rejects the password in the file `password` beside its data")]
    AuthenticationFailed(#[source] sqlx::Error),
    /// The database `cinegraph` could not be created.
    #[error("cannot create the database cinegraph in the embedded PostgreSQL")]
    Database(#[from] sqlx::Error),
    /// One of PostgreSQL's programs failed.
    #[error("{program:?} failed: {message}")]
    Program {
        /// The program.
        program: PathBuf,
        /// What it printed, and its exit status.
        message: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {path:?}")]
    Io {
        /// The operation: a verb, such as `read`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No free port on the loopback interface.
    #[error("127.0.0.1 has no free port")]
    NoPort(#[source] io::Error),
    /// The operating system's random number generator failed.
    #[error("cannot generate a password: the system's random number generator failed")]
    NoRandomness(#[source] rand::rngs::SysError),
    /// The runtime shut down during the operation.
    #[error("interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl EmbeddedPostgresError {
    /// A function for `map_err` that adds the operation and the path to an I/O error.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
