//! Connections: their options, deadlines, and return to the pool.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;
use std::{fs, io};

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;

use super::error::StoreError;

/// How much longer than the server's statement timeout to wait: the server's error is more specific, if it still
/// responds.
const GRACE: Duration = Duration::from_millis(500);

/// URL parameters that name files.
const TLS_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// Settings of every session. Plans of statements depend on them.
pub const SESSION_SETTINGS: [(&str, &str); 4] = [
    ("search_path", "cinegraph,public"),
    ("timezone", "UTC"),
    // JIT compilation of a plan costs more than any statement takes.
    ("jit", "off"),
    // Allows sorting a decade's movies in memory.
    ("work_mem", "64MB"),
];

/// Parses the connection options of a URL and adds the session settings of every connection. Checks files named in the
/// URL now, because the error when connecting would not name a missing file.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Unavailable(error.into()))?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(parameters).unwrap_or_default();
    for (parameter, path) in parameters {
        if TLS_FILES.contains(&parameter.as_str())
            && let Err(error) = fs::File::open(&path)
        {
            return Err(StoreError::TlsFile { parameter, path, source: error.into() });
        }
    }
    Ok(options.application_name("cinegraph").options(SESSION_SETTINGS))
}

/// Lets the server interrupt statements of these connections after `limit`.
pub(super) fn with_statement_timeout(options: PgConnectOptions, limit: Duration) -> PgConnectOptions {
    options.options([("statement_timeout", limit.as_millis().to_string())])
}

/// A pooled connection. If its statement did not complete, it is closed instead of returned: the pool would wait for
/// the response without a limit.
pub(super) struct PooledConnection {
    connection: PoolConnection<Postgres>,
    is_reusable: bool,
}

impl PooledConnection {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, is_reusable: false }
    }

    /// Marks the connection as reusable unless its statement failed with an I/O error.
    pub(super) fn return_to_pool<T>(&mut self, result: &Result<T, sqlx::Error>) {
        self.is_reusable = !matches!(result, Err(sqlx::Error::Io(_)));
    }
}

impl Deref for PooledConnection {
    type Target = PoolConnection<Postgres>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.is_reusable {
            self.connection.close_on_drop();
        }
    }
}

/// Deadline for statements, which also applies when the server stops responding.
pub(super) trait WithDeadline: Future {
    /// Times out [`GRACE`] after the server's own limit.
    fn with_deadline<T>(self, limit: Duration) -> impl Future<Output = Result<T, sqlx::Error>>
    where
        Self: Future<Output = Result<T, sqlx::Error>> + Sized,
    {
        let timed_out = |_| Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no server response")));
        // Boxed because futures of statements are large and nested in many others.
        let limited = Box::pin(self);
        async move { tokio::time::timeout(limit + GRACE, limited).await.unwrap_or_else(timed_out) }
    }
}

impl<F: Future> WithDeadline for F {}
