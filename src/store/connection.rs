//! Connections: their options, deadlines, and return to the pool.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;
use std::{fs, io};

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use url::{Host, Url};

use super::error::StoreError;

/// How much longer than the server's statement timeout to wait: the server's error is more specific, if it still
/// responds.
const GRACE: Duration = Duration::from_millis(500);

/// URL parameters that name files.
const TLS_FILES: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// How a certificate or key begins that is written into the URL instead of the name of its file.
const PEM: &str = "-----BEGIN";

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
    let invalid = |error| StoreError::Unavailable(sqlx::Error::Configuration(error).into());
    let url = with_address_as_parameter(Url::parse(url).map_err(|error| invalid(error.into()))?);
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| StoreError::Unavailable(error.into()))?;
    for (parameter, path) in url.query_pairs().into_owned() {
        // An error about a file whose name is a key would show the key.
        if TLS_FILES.contains(&parameter.as_str())
            && !path.trim_start().starts_with(PEM)
            && let Err(error) = fs::File::open(&path)
        {
            return Err(StoreError::TlsFile { parameter, path, source: error.into() });
        }
    }
    Ok(options.application_name("cinegraph").options(SESSION_SETTINGS))
}

/// The URL with its IPv6 address as the parameter `host`: sqlx would look up `[::1]` as a name, brackets included, in DNS
/// and in the password file. Placed first, so that a `host` of the URL's own wins, as it does over a name.
fn with_address_as_parameter(mut url: Url) -> Url {
    if let Some(Host::Ipv6(address)) = url.host() {
        let query = format!("host={address}&{}", url.query().unwrap_or_default());
        url.set_query(Some(&query));
    }
    url
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_lose_their_brackets() {
        for (url, host, port) in [
            ("postgres://ann:s3cr3t@[::1]:6000/films", "::1", 6000),
            ("postgresql://ann@[2001:DB8::7]:5432/films?sslmode=disable", "2001:db8::7", 5432),
            ("postgres://ann@[::ffff:10.0.0.1]:5433", "::ffff:10.0.0.1", 5433),
            ("postgres://ann@127.0.0.1:5433/films", "127.0.0.1", 5433),
            ("postgres://ann@db.example:5433/films", "db.example", 5433),
            ("postgres://ann@[::1]:5433/films?host=db.example", "db.example", 5433),
            ("postgres://ann@[::1]:5433/films?hostaddr=::2", "::2", 5433),
            ("postgres:///films?host=::1&port=5433", "::1", 5433),
        ] {
            let options = options(url).unwrap();
            assert_eq!((options.get_host(), options.get_port()), (host, port), "{url}");
            assert!(options.get_socket().is_none(), "{url}");
        }
    }

    #[test]
    fn missing_files_are_named_and_keys_are_not_shown() {
        let error = options("postgres://ann@db/films?ssl-key=/nowhere/key").unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/key, the ssl-key of a database URL");
        let pem = "-----BEGIN%20PRIVATE%20KEY-----%0As3cr3t%0A-----END%20PRIVATE%20KEY-----";
        assert!(options(&format!("postgres://ann@db/films?sslkey={pem}")).is_ok());
    }

    #[test]
    fn sockets_are_named_by_the_host_or_its_parameter() {
        for url in [
            "postgres://ann@%2Frun%2Fpostgresql/films",
            "postgres://ann@%2Frun%2Fpostgresql:5432/films?sslmode=disable",
            "postgres:///films?host=/run/postgresql",
            "postgres:///films?host=%2Frun%2Fpostgresql",
            "postgres://ann@[::1]/films?host=/run/postgresql",
        ] {
            let options = options(url).unwrap();
            assert_eq!(
                options.get_socket().map(std::path::PathBuf::as_path),
                Some("/run/postgresql".as_ref()),
                "{url}"
            );
            assert_eq!(options.get_database(), Some("films"), "{url}");
        }
    }
}
