//! Connections: their options, deadlines, and return to the pool.
//!
//! Every statement goes through a [`Connection`], which waits for a response only until a deadline: `sqlx` cannot set
//! TCP keepalive, so a server that vanished without closing the connection would be waited for without a limit.

use std::borrow::Cow;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{fs, io};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgCopyIn, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{AssertSqlSafe, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};
use url::{Host, Url};

use super::error::StoreError;
use super::metrics::StoreMetrics;

/// How much longer than the server's statement timeout to wait: the server's error is more specific, if it still
/// responds.
const GRACE: Duration = Duration::from_millis(500);

/// How long a connection may take to become idle after its statement. The pool would wait without a limit.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// How long an idle connection may take to respond before it is used. Shorter than a request waits for a connection, so
/// that a new one can be opened instead.
const TEST_LIMIT: Duration = Duration::from_secs(1);

/// SQLSTATE of a write on a read-only server.
const READ_ONLY: &str = "25006";

/// URL parameters that name files.
const TLS_FILES: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// How a certificate or key begins that is written into the URL instead of the name of its file.
const PEM: &str = "-----BEGIN";

/// Settings of every session. Plans of statements depend on the first four.
pub const SESSION_SETTINGS: [(&str, &str); 10] = [
    ("search_path", "cinegraph,public"),
    ("timezone", "UTC"),
    // JIT compilation of a plan costs more than any statement takes.
    ("jit", "off"),
    // Allows sorting a decade's movies in memory.
    ("work_mem", "64MB"),
    // Statements are written for this level. Under a stricter default, writers would fail with serialization errors.
    ("default_transaction_isolation", "read committed"),
    // A frozen instance holds the locks of a transaction no longer. It may hold them twice, if another of its transactions
    // waits for the same lock, and others must take over within a minute. No task pauses for more than some milliseconds
    // between two statements; imports, which read files, set their own limit.
    ("idle_in_transaction_session_timeout", "20s"),
    // The server notices a client that vanished after 10 s + 4 × 5 s of silence, and after 30 s without an
    // acknowledgement.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "30s"),
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

/// What the connections to one server share.
#[derive(Debug, Clone)]
pub(super) struct ServerState {
    metrics: StoreMetrics,
    /// When a connection last led nowhere: the server did not respond, or was read-only.
    lost_at: Arc<Mutex<Option<Instant>>>,
}

impl ServerState {
    pub(super) fn new(metrics: StoreMetrics) -> Self {
        Self { metrics, lost_at: Arc::default() }
    }

    /// Pool options that test a connection before it is used. As soon as one leads nowhere, all that were opened before
    /// are replaced: their link may be lost too, and after a failover they lead to the former primary.
    pub(super) fn pool_options(&self) -> PgPoolOptions {
        let this = self.clone();
        // The pool's own test has no limit but that of acquiring a connection.
        PgPoolOptions::new().test_before_acquire(false).before_acquire(move |connection, metadata| {
            let this = this.clone();
            let age = metadata.age;
            async move {
                if this.lost_at().is_some_and(|at| age >= at.elapsed()) {
                    return Ok(false);
                }
                match timeout(TEST_LIMIT, sqlx::Connection::ping(connection)).await {
                    Ok(pong) => Ok(pong.is_ok()),
                    Err(_) => {
                        this.abandoned();
                        Ok(false)
                    }
                }
            }
            .boxed()
        })
    }

    /// Counts a connection that is closed because the server does not respond.
    fn abandoned(&self) {
        self.metrics.connection_abandoned();
        self.replace_connections();
    }

    fn replace_connections(&self) {
        *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn lost_at(&self) -> Option<Instant> {
        *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection can be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// No statement is running.
    Idle,
    /// A statement was sent, and its response is not complete.
    Waiting,
    /// The connection is lost, or leads to a server that must not be used.
    Unusable,
}

/// A connection. If it is dropped in the middle of a statement or of a transaction, it is closed instead of returned to
/// its pool, which would wait for the server without a limit.
#[derive(Debug)]
pub(super) struct Connection {
    raw: Raw,
    limit: Duration,
    progress: Progress,
    in_transaction: bool,
    server: ServerState,
}

#[derive(Debug)]
enum Raw {
    Pooled(PoolConnection<Postgres>),
    Single(PgConnection),
}

impl Raw {
    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Single(connection) => connection,
        }
    }
}

impl Connection {
    /// A connection of a pool, whose statements take at most `limit`.
    pub(super) fn pooled(connection: PoolConnection<Postgres>, limit: Duration, server: &ServerState) -> Self {
        Self::of(Raw::Pooled(connection), limit, server)
    }

    /// A connection of its own.
    pub(super) fn single(connection: PgConnection, limit: Duration, server: &ServerState) -> Self {
        Self::of(Raw::Single(connection), limit, server)
    }

    fn of(raw: Raw, limit: Duration, server: &ServerState) -> Self {
        Self { raw, limit, progress: Progress::Idle, in_transaction: false, server: server.clone() }
    }

    /// Sets the client-side limit of the statements that follow.
    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The connection, and the deadline of the response to what is sent through it.
    pub(super) fn send(&mut self) -> (&mut PgConnection, Response<'_>) {
        self.progress = Progress::Waiting;
        let Self { raw, limit, progress, server, .. } = self;
        (raw.connection(), Response { limit: *limit + GRACE, progress, server })
    }

    /// Begins a transaction by `statement`, which may go on with settings of it.
    pub(super) async fn begin(&mut self, statement: String) -> Result<(), sqlx::Error> {
        self.in_transaction = true;
        self.run(statement).await
    }

    /// Commits the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT".to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls the transaction back, so that its locks are free when this returns. A lost connection is only closed, when it
    /// is dropped: its server would not respond to this either.
    pub(super) async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        if self.progress == Progress::Unusable {
            return Ok(());
        }
        self.run("ROLLBACK".to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Runs statements without parameters that consist of names or constants only.
    pub(super) async fn run(&mut self, statements: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(self).await.map(|_| ())
    }

    /// Checks that the server responds, without a statement: no snapshot is taken that others could wait for.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        let (raw, response) = self.send();
        response.of(sqlx::Connection::ping(raw)).await
    }

    /// Starts a `COPY … FROM STDIN`.
    pub(super) async fn copy_in(&mut self, statement: &str) -> Result<CopyIn<'_>, sqlx::Error> {
        let (raw, mut response) = self.send();
        let copy = response.part(raw.copy_in_raw(statement)).await?;
        Ok(CopyIn { copy, response })
    }
}

/// Deadline of the response to one statement.
#[derive(Debug)]
pub(super) struct Response<'c> {
    limit: Duration,
    progress: &'c mut Progress,
    server: &'c ServerState,
}

impl<'c> Response<'c> {
    /// Waits for all of the response.
    pub(super) async fn of<T, E: Failure>(mut self, response: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let value = self.part(response).await?;
        *self.progress = Progress::Idle;
        Ok(value)
    }

    /// Waits for a part of the response.
    async fn part<T, E: Failure>(&mut self, response: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        // Boxed because futures of statements are large and nested in many others.
        match timeout(self.limit, Box::pin(response)).await {
            Ok(result) => result.inspect_err(|error| self.failed(error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn rows<'e>(
        self,
        rows: BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(Rows { rows, deadline: Box::pin(sleep(self.limit)), response: self })
    }

    fn timed_out<E: Failure>(&mut self) -> E {
        *self.progress = Progress::Unusable;
        self.server.abandoned();
        E::no_response()
    }

    fn failed(&mut self, error: &impl Failure) {
        let is_read_only = error.sqlstate().as_deref() == Some(READ_ONLY);
        if is_read_only {
            self.server.replace_connections();
        }
        *self.progress = if is_read_only || error.loses_connection() { Progress::Unusable } else { Progress::Idle };
    }
}

/// Why a statement failed, as far as its connection is concerned.
pub(super) trait Failure {
    /// The server did not respond in time.
    fn no_response() -> Self;

    /// SQLSTATE, if the server reported the failure.
    fn sqlstate(&self) -> Option<Cow<'_, str>>;

    /// Whether the connection cannot be used again.
    fn loses_connection(&self) -> bool;
}

impl Failure for sqlx::Error {
    fn no_response() -> Self {
        Self::Io(io::Error::new(io::ErrorKind::TimedOut, "no server response"))
    }

    fn sqlstate(&self) -> Option<Cow<'_, str>> {
        self.as_database_error()?.code()
    }

    fn loses_connection(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Tls(_) | Self::Protocol(_) | Self::WorkerCrashed)
    }
}

/// Rows of a statement, until its deadline.
struct Rows<'e, 'c> {
    rows: BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>,
    deadline: Pin<Box<Sleep>>,
    response: Response<'c>,
}

impl Stream for Rows<'_, '_> {
    type Item = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match this.rows.as_mut().poll_next(context) {
            Poll::Ready(next) => {
                match &next {
                    None => *this.response.progress = Progress::Idle,
                    Some(Err(error)) => this.response.failed(error),
                    Some(Ok(_)) => {}
                }
                Poll::Ready(next)
            }
            Poll::Pending => this.deadline.as_mut().poll(context).map(|()| Some(Err(this.response.timed_out()))),
        }
    }
}

/// A `COPY … FROM STDIN` in progress. Each chunk has the limit of a statement, since the number of chunks has no bound.
pub(super) struct CopyIn<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    response: Response<'c>,
}

impl CopyIn<'_> {
    pub(super) async fn send(&mut self, rows: &[u8]) -> Result<(), sqlx::Error> {
        self.response.part(self.copy.send(rows)).await.map(|_| ())
    }

    pub(super) async fn finish(self) -> Result<u64, sqlx::Error> {
        self.response.of(self.copy.finish()).await
    }

    pub(super) async fn abort(self, reason: &str) -> Result<(), sqlx::Error> {
        self.response.of(self.copy.abort(reason)).await
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, response) = self.send();
        response.rows(raw.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, response) = self.send();
        Box::pin(response.of(raw.fetch_optional(query)))
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, response) = self.send();
        Box::pin(response.of(raw.prepare_with(sql, types)))
    }

    /// Required by the trait; called only for compile-time checks, which use another executor.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, response) = self.send();
        Box::pin(response.of(raw.describe(sql)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Raw::Pooled(connection) = &mut self.raw else { return };
        if self.progress != Progress::Idle || self.in_transaction {
            connection.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            // The pool pings a connection that is returned to it.
            let (returned, server) = (connection.return_to_pool(), self.server.clone());
            runtime.spawn(async move {
                if timeout(RETURN_LIMIT, returned).await.is_err() {
                    server.abandoned();
                }
            });
        }
    }
}

/// Deadline for steps without a [`Connection`], such as opening one.
pub(super) trait WithDeadline: Future {
    /// Times out [`GRACE`] after the server's own limit.
    fn with_deadline<T>(self, limit: Duration) -> impl Future<Output = Result<T, sqlx::Error>>
    where
        Self: Future<Output = Result<T, sqlx::Error>> + Sized,
    {
        // Boxed because futures of connections are large and nested in many others.
        let limited = Box::pin(self);
        async move { timeout(limit + GRACE, limited).await.unwrap_or_else(|_| Err(Failure::no_response())) }
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
