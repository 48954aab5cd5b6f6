use std::io;
use std::path::{Path, PathBuf};

use super::binaries::OLDEST_MAJOR;

/// Why there is no private PostgreSQL. Each text ends with what a person can do, where there is something.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No server programs on this machine.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer is installed; install it (Debian, Ubuntu: `apt-get install postgresql`, \
         Fedora: `dnf install postgresql-server`, macOS: `brew install postgresql@17`) or configure a database URL"
    )]
    NotInstalled,
    /// The cluster was made by a release that is not installed any more.
    #[error(
        "{data:?} was made by PostgreSQL {major}, which is not installed; install PostgreSQL {major}, or move the \
         directory away to start with an empty database"
    )]
    OtherVersion {
        /// The cluster.
        data: PathBuf,
        /// The release that it needs.
        major: u32,
    },
    /// A data directory that the server's user cannot get into.
    #[error(
        "PostgreSQL does not run as root but as {user}, who may not enter {parent:?}; choose a data directory \
         elsewhere, or allow it: `chmod o+x {}`", parent.display()
    )]
    Unreachable {
        /// The topmost directory that is closed.
        parent: PathBuf,
        /// Whom the server runs as.
        user: String,
    },
    /// Root without an unprivileged user to become.
    #[error("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`; create `postgres`")]
    NoUnprivilegedUser,
    /// Another process holds the turn for longer than any start takes.
    #[error("another process has been starting or stopping this PostgreSQL for {seconds} s (it locks {lock:?})")]
    Busy {
        /// The lock.
        lock: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// The server ends as soon as it is started.
    #[error("the private PostgreSQL does not start; the end of {log:?}:\n{last_lines}")]
    NotStarted {
        /// The server's log.
        log: PathBuf,
        /// Its end.
        last_lines: String,
    },
    /// The server runs and does not answer.
    #[error("the private PostgreSQL does not answer after {seconds} s; the end of {log:?}:\n{last_lines}")]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// The server's log.
        log: PathBuf,
        /// Its end.
        last_lines: String,
    },
    /// The server does not accept the password kept beside it.
    #[error("the private PostgreSQL refuses the password in the file beside its data")]
    Refused(#[source] sqlx::Error),
    /// The database `cinegraph` could not be made.
    #[error("the private PostgreSQL cannot make the database cinegraph")]
    Database(#[from] sqlx::Error),
    /// One of PostgreSQL's programs failed.
    #[error("{program:?} failed: {message}")]
    Program {
        /// Which one.
        program: PathBuf,
        /// What it printed.
        message: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What we were doing.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Loopback has no port left.
    #[error("127.0.0.1 has no free port")]
    NoPort(#[source] io::Error),
    /// The system's random numbers do not work.
    #[error("the system gives no random numbers for a password")]
    NoRandomness(#[source] rand::rngs::SysError),
    /// The program ended while we worked.
    #[error("interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl EmbeddedPostgresError {
    /// For `map_err`: `cannot {action} {path}`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
