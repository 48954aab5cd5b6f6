//! Connections: their options, deadlines, and return to the pool.
//!
//! Every statement goes through a [`Connection`], which waits for a response only until a deadline. `sqlx` cannot set
//! TCP keepalive, so without a deadline the program would wait forever for a server that vanished without closing the
//! connection.

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
use super::statement_text::{StatementTexts, record_text};

/// How much longer the client waits than the server's statement timeout, so that a server that still responds can
/// report its own, more specific error. A choice: longer than the error takes to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// How long returning a connection to its pool may take. The pool pings the server for this, and would wait for the
/// response without a limit. A choice: far above the time of a round trip.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// How long a pooled connection may take to respond to the ping that tests it before use. By default half of the time
/// that a request waits for a connection (`database_acquire_timeout_seconds`), so that enough is left to open another
/// one.
const TEST_LIMIT: Duration = Duration::from_secs(1);

/// SQLSTATE of a write on a read-only server.
const READ_ONLY: &str = "25006";

/// URL parameters that name files, in all spellings that sqlx accepts.
const TLS_FILES: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// Start of a certificate or key in PEM format. sqlx accepts such a text in the URL in place of a file name.
const PEM: &str = "-----BEGIN";

/// Settings of every session. Public for the tests: query plans and locks depend on them.
pub const SESSION_SETTINGS: [(&str, &str); 11] = [
    ("search_path", "cinegraph,public"),
    ("timezone", "UTC"),
    // JIT compilation of a plan costs more than any statement takes.
    ("jit", "off"),
    // Searches rely on the order in which the parts of a UNION ALL run.
    ("enable_parallel_append", "off"),
    // Enough to sort a decade's movies in memory; with PostgreSQL's default of 4 MB the sort would use files.
    ("work_mem", "64MB"),
    // Statements are written for this level. Under a stricter default, writers would fail with serialization errors.
    ("default_transaction_isolation", "read committed"),
    // The server ends a session whose transaction is idle for this long, so that a frozen instance does not keep its
    // locks: other instances must take over within a minute. The limit can pass twice until then, if another
    // transaction of the frozen instance waits for the same lock and gets it when the first one ends. Tasks pause for
    // some milliseconds at most between two statements; imports read files in between and set a longer limit.
    ("idle_in_transaction_session_timeout", "20s"),
    // The server closes the connection of a client that vanished, which also frees its locks: an idle one after 10 s
    // and four unanswered probes, 5 s apart; one to which it has sent data after 30 s without an acknowledgement.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "30s"),
];

/// Parses the connection options of a URL and adds [`SESSION_SETTINGS`]. Checks now whether the files that the URL
/// names can be read, because the error when connecting would not name a missing file.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // No variant of its own: the settings reject an invalid URL earlier, with an error that says what is wrong with it.
    let invalid = |error| StoreError::Unavailable(sqlx::Error::Configuration(error).into());
    let url = with_address_as_parameter(Url::parse(url).map_err(|error| invalid(error.into()))?);
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| StoreError::Unavailable(error.into()))?;
    for (parameter, path) in url.query_pairs().into_owned() {
        // A PEM text is no file name, and an error about a "file" of this name would show a private key.
        if TLS_FILES.contains(&parameter.as_str())
            && !path.trim_start().starts_with(PEM)
            && let Err(error) = fs::File::open(&path)
        {
            return Err(StoreError::TlsFile { parameter, path, source: error.into() });
        }
    }
    Ok(options.application_name("cinegraph").options(SESSION_SETTINGS))
}

/// Repeats the IPv6 address of a URL as the parameter `host`, without its brackets. sqlx keeps the brackets, so it
/// would look up `[::1]` as a host name in DNS and in the password file. The parameter is placed first, so that a
/// `host` parameter of the URL itself, which comes later, overrides the address as it overrides a host name.
fn with_address_as_parameter(mut url: Url) -> Url {
    if let Some(Host::Ipv6(address)) = url.host() {
        let query = format!("host={address}&{}", url.query().unwrap_or_default());
        url.set_query(Some(&query));
    }
    url
}

/// Lets the server interrupt the statements of these connections after `limit`.
pub(super) fn with_statement_timeout(options: PgConnectOptions, limit: Duration) -> PgConnectOptions {
    options.options([("statement_timeout", limit.as_millis().to_string())])
}

/// State that all connections to one server share.
#[derive(Debug, Clone)]
pub(super) struct ServerState {
    metrics: StoreMetrics,
    /// When a connection was last found unusable, because the server did not respond or was read-only.
    lost_at: Arc<Mutex<Option<Instant>>>,
}

impl ServerState {
    pub(super) fn new(metrics: StoreMetrics) -> Self {
        Self { metrics, lost_at: Arc::default() }
    }

    /// Pool options that test a connection before it is used. Connections that were opened before `lost_at` are closed
    /// instead of tested: the network path of all of them may be lost, and after a failover all of them lead to the
    /// former primary.
    pub(super) fn pool_options(&self) -> PgPoolOptions {
        let this = self.clone();
        // The test of the pool itself may take as long as acquiring a connection, so that no time would be left to open
        // another one. A callback that returns false makes the pool close the connection and take or open another one.
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
                        this.record_abandoned();
                        Ok(false)
                    }
                }
            }
            .boxed()
        })
    }

    /// Counts a connection that is given up because the server does not respond, and has all older ones replaced.
    fn record_abandoned(&self) {
        self.metrics.connection_abandoned();
        self.replace_connections();
    }

    /// Has the pools close all connections that are open now when they are next acquired.
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
    /// The connection is lost, or leads to a read-only server.
    Unusable,
}

/// A connection to the server. If it is dropped in the middle of a statement or transaction, it is closed instead of
/// returned to its pool: to make it idle again, the pool would wait for the server without a limit.
#[derive(Debug)]
pub(super) struct Connection {
    raw: Raw,
    /// How long the server may take for a statement. The client waits [`GRACE`] longer.
    limit: Duration,
    progress: Progress,
    in_transaction: bool,
    server: ServerState,
    /// Receives the text of each statement; `None` if the statements are not measured.
    texts: Option<Arc<StatementTexts>>,
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

    /// A connection that belongs to no pool, whose statements take at most `limit`.
    pub(super) fn single(connection: PgConnection, limit: Duration, server: &ServerState) -> Self {
        Self::of(Raw::Single(connection), limit, server)
    }

    fn of(raw: Raw, limit: Duration, server: &ServerState) -> Self {
        Self { raw, limit, progress: Progress::Idle, in_transaction: false, server: server.clone(), texts: None }
    }

    /// Passes the text of the statements that follow to `texts`.
    pub(super) fn record_texts(&mut self, texts: Arc<StatementTexts>) {
        self.texts = Some(texts);
    }

    /// Sets the client-side limit of the statements that follow.
    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The raw connection, to send one statement through it, and the [`Response`] by which the caller waits for the
    /// result. Until the response is complete, the connection counts as in use, and is closed if it is dropped.
    pub(super) fn send(&mut self) -> (&mut PgConnection, Response<'_>) {
        self.progress = Progress::Waiting;
        let Self { raw, limit, progress, server, .. } = self;
        (raw.connection(), Response { limit: *limit + GRACE, progress, server })
    }

    /// Begins a transaction. `statement` is `BEGIN`, which may be followed by settings of the transaction.
    pub(super) async fn begin(&mut self, statement: String) -> Result<(), sqlx::Error> {
        // Set before the statement is sent: if this future is dropped, the transaction may have begun.
        self.in_transaction = true;
        self.run(statement).await
    }

    /// Commits the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT".to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back the transaction, so that its locks are free when this returns. Does nothing on an unusable
    /// connection: its server would not respond to `ROLLBACK` either, and dropping the connection closes it.
    pub(super) async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        if self.progress == Progress::Unusable {
            return Ok(());
        }
        self.run("ROLLBACK".to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Runs statements without parameters, whose text is not recorded: the span of a transaction tells what it does and
    /// not how it begins. They must consist of names and constants only, so that nothing can be injected.
    pub(super) async fn run(&mut self, statements: String) -> Result<(), sqlx::Error> {
        let (raw, response) = self.send();
        response.complete(sqlx::raw_sql(AssertSqlSafe(statements)).execute(raw)).await.map(|_| ())
    }

    /// Checks that the server responds. Sends a protocol message (`Sync`) instead of a statement, so that no snapshot
    /// is taken: index builds of other sessions wait for snapshots.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        let (raw, response) = self.send();
        response.complete(sqlx::Connection::ping(raw)).await
    }

    /// Starts the `COPY … FROM STDIN` that is `statement`.
    pub(super) async fn copy_in(&mut self, statement: &str) -> Result<CopyIn<'_>, sqlx::Error> {
        if let Some(texts) = &self.texts {
            texts.add(statement);
        }
        let (raw, mut response) = self.send();
        let copy = response.part(raw.copy_in_raw(statement)).await?;
        Ok(CopyIn { copy, response })
    }
}

/// Waits for the response to one statement until a deadline, and records whether the connection is then usable.
#[derive(Debug)]
pub(super) struct Response<'c> {
    limit: Duration,
    progress: &'c mut Progress,
    server: &'c ServerState,
}

impl<'c> Response<'c> {
    /// Waits for the complete response, after which the connection is idle.
    pub(super) async fn complete<T, E: Failure>(
        mut self,
        response: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let value = self.part(response).await?;
        *self.progress = Progress::Idle;
        Ok(value)
    }

    /// Waits for a part of the response; the connection stays in use for the rest.
    async fn part<T, E: Failure>(&mut self, response: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        // Boxed because futures of statements are large and nested in many others.
        match timeout(self.limit, Box::pin(response)).await {
            Ok(result) => result.inspect_err(|error| self.failed(error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Turns the rows of the response into a stream with one deadline for all of them.
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
        self.server.record_abandoned();
        E::no_response()
    }

    /// Records a failure. After a failover, a read-only server is the former primary, to which older connections lead
    /// as well, so all are replaced.
    fn failed(&mut self, error: &impl Failure) {
        let is_read_only = error.sqlstate().as_deref() == Some(READ_ONLY);
        if is_read_only {
            self.server.replace_connections();
        }
        *self.progress = if is_read_only || error.loses_connection() { Progress::Unusable } else { Progress::Idle };
    }
}

/// An error of a statement, as far as it concerns the connection.
pub(super) trait Failure {
    /// The error for a server that did not respond in time.
    fn no_response() -> Self;

    /// SQLSTATE; `None` if the error does not come from the server.
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

/// The rows of a statement. Yields an error if they are not complete at the deadline.
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

/// A `COPY … FROM STDIN` in progress. The time limit of a statement applies to each chunk instead of the whole, because
/// the number of chunks has no bound.
pub(super) struct CopyIn<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    response: Response<'c>,
}

impl CopyIn<'_> {
    pub(super) async fn send(&mut self, rows: &[u8]) -> Result<(), sqlx::Error> {
        self.response.part(self.copy.send(rows)).await.map(|_| ())
    }

    pub(super) async fn finish(self) -> Result<u64, sqlx::Error> {
        self.response.complete(self.copy.finish()).await
    }

    /// Aborts the `COPY`, after which the transaction can only be rolled back. `reason` is for the server's log.
    pub(super) async fn abort(self, reason: &str) -> Result<(), sqlx::Error> {
        self.response.complete(self.copy.abort(reason)).await
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = record_text(query, self.texts.as_deref());
        let (raw, response) = self.send();
        response.rows(raw.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = record_text(query, self.texts.as_deref());
        let (raw, response) = self.send();
        Box::pin(response.complete(raw.fetch_optional(query)))
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, response) = self.send();
        Box::pin(response.complete(raw.prepare_with(sql, types)))
    }

    /// Required by the trait; called only for compile-time checks, which use another executor.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, response) = self.send();
        Box::pin(response.complete(raw.describe(sql)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Raw::Pooled(connection) = &mut self.raw else { return };
        if self.progress != Progress::Idle || self.in_transaction {
            connection.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            // The pool pings a connection that is returned to it, without a limit of its own.
            let (returned, server) = (connection.return_to_pool(), self.server.clone());
            runtime.spawn(async move {
                if timeout(RETURN_LIMIT, returned).await.is_err() {
                    server.record_abandoned();
                }
            });
        }
    }
}

/// Adds a deadline to steps that have no [`Connection`] yet, such as opening one.
pub(super) trait WithDeadline: Future {
    /// Fails if the step takes longer than `limit` plus [`GRACE`], which lets a limit of the server take effect first.
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
