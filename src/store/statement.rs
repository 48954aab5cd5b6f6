//! Statements of [`Store`]: each one acquires a connection, and is measured under its name.

use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgPool;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::{Connection, ServerState};
use super::error::StoreError;
use super::measurement::Measurement;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;

/// How long to wait for the server's reason to refuse connections, in addition to the timeout of the pool. A choice: a
/// server that refuses does so at once, and a request that has failed already must not wait much longer.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);

/// A running statement: its connection, and its measurement.
pub(super) struct Statement {
    pub(super) connection: Connection,
    pub(super) measurement: Measurement,
}

impl Store {
    /// Acquires a connection within the timeout of the pool, and starts to measure a statement of this name.
    pub(super) async fn statement(&self, name: QueryName) -> Result<Statement, StoreError> {
        let statement = self.statement_on(&self.pool, &self.server, Pool::Primary, self.limits.request, name).await?;
        self.exhaustion.count_acquisition();
        Ok(statement)
    }

    /// As [`Store::statement`], for a direct query. Acquires a permit first, which the caller holds until the query
    /// ends. There are as many permits as connections; waiting for a connection alone would not tell too many direct
    /// queries from an outage.
    pub(super) async fn direct_query(&self, name: QueryName) -> Result<(Statement, OwnedSemaphorePermit), StoreError> {
        let acquire = Arc::clone(&self.direct.permits).acquire_owned();
        let permit = tokio::time::timeout(self.direct.acquire_timeout, acquire).await;
        let Ok(Ok(permit)) = permit else { return Err(StoreError::TooManyDirectQueries(name)) };
        let statement =
            self.statement_on(&self.direct.pool, &self.server, Pool::Primary, self.limits.direct_query, name).await?;
        Ok((statement, permit))
    }

    /// As [`Store::statement`], on a connection of `pool` to `server`, for a statement that takes at most `limit`.
    pub(super) async fn statement_on(
        &self,
        pool: &PgPool,
        server: &ServerState,
        pool_label: Pool,
        limit: Duration,
        name: QueryName,
    ) -> Result<Statement, StoreError> {
        let wait = self.metrics.connection_wait(pool_label);
        // Boxed because the future that opens a connection is large.
        match Box::pin(pool.acquire()).await {
            Ok(connection) => {
                wait.acquired();
                let connection = Connection::pooled(connection, limit, server);
                Ok(Statement::start(connection, Measurement::start(&self.metrics, name, pool)))
            }
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                let error = self.with_reason(pool, error).await;
                self.connect_errors.record(pool_label, &error);
                // The statement was not sent, but is counted as failed: to its caller, it has failed.
                Err(Measurement::start(&self.metrics, name, pool).finish_unsent(error))
            }
        }
    }

    /// Replaces the error of a pool that timed out with the server's reason to refuse connections, if there is one.
    /// Other errors of acquiring a connection say what is wrong, and are returned as they are.
    pub(super) async fn with_reason(&self, pool: &PgPool, error: sqlx::Error) -> sqlx::Error {
        match error {
            sqlx::Error::PoolTimedOut => self.refusal(pool).await.unwrap_or(error),
            error => error,
        }
    }

    /// Finds out why the server of `pool` refuses connections, by opening one. `None` if the server does not refuse,
    /// does not respond, or must not be asked now. The pool itself does not tell: it retries after some errors (too
    /// many connections, starting up, connection refused), and reports only that its time ran out. One caller at a time
    /// asks, so that an outage causes few additional connections.
    async fn refusal(&self, pool: &PgPool) -> Option<sqlx::Error> {
        // Each connection of a full pool is in use or being opened. In the first case, statements are slow, and the
        // server does not refuse. In the second, the callers that are opening them will ask if that fails.
        if pool.size() >= pool.options().get_max_connections() {
            return None;
        }
        let _permit = self.refusal_permit.try_acquire().ok()?;
        let options = pool.connect_options();
        // Only the error matters. A connection that opens now is closed: it comes too late for this statement.
        let attempt = async { sqlx::Connection::close(options.connect().await?).await };
        tokio::time::timeout(REFUSAL_TIMEOUT, Box::pin(attempt)).await.ok()?.err()
    }
}

impl Statement {
    /// A statement on `connection`, whose text becomes part of the measurement.
    pub(super) fn start(mut connection: Connection, measurement: Measurement) -> Self {
        connection.record_texts(measurement.texts());
        Self { connection, measurement }
    }

    /// Executor for the statement.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Finishes a statement that returns rows.
    pub(super) fn rows<T>(self, result: Result<Vec<T>, sqlx::Error>) -> Result<Vec<T>, StoreError> {
        self.finish_with(result, Vec::len)
    }

    /// Finishes a statement that returns at most one row.
    pub(super) fn row<T>(self, result: Result<Option<T>, sqlx::Error>) -> Result<Option<T>, StoreError> {
        self.finish_with(result, |row| usize::from(row.is_some()))
    }

    /// Finishes a statement and records 0 rows, for statements whose rows are not of interest.
    pub(super) fn finish<T>(self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.finish_with(result, |_| 0)
    }

    /// Finishes a statement; `rows` counts the rows of its result.
    pub(super) fn finish_with<T>(
        self,
        result: Result<T, sqlx::Error>,
        rows: impl Fn(&T) -> usize,
    ) -> Result<T, StoreError> {
        self.measurement.finish_with(result, rows)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::store::error::{StatementLimits, StoreError};
    use crate::store::metrics::StoreMetrics;
    use crate::store::pool::{DatabaseSettings, Store};
    use crate::telemetry::Recorder;

    /// A server that refuses every session with this SQLSTATE and message; returns its port.
    async fn refusing_server(code: &'static str, message: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut startup = [0; 1024];
                let _ = client.read(&mut startup).await;
                let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
                let mut refusal = vec![b'E'];
                refusal.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
                refusal.extend(fields.as_bytes());
                let _ = client.write_all(&refusal).await;
            }
        });
        port
    }

    fn store_at(port: u16) -> Store {
        let limit = Duration::from_millis(200);
        let settings = DatabaseSettings {
            url: format!("postgres://ann:s3cr3t@127.0.0.1:{port}/films?sslmode=disable"),
            max_connections: 2,
            acquire_timeout: limit,
            limits: StatementLimits { request: limit, direct_query: limit },
            direct_queries: 1,
        };
        Store::open(&settings, StoreMetrics::new(&Recorder::new().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn a_pool_that_times_out_says_why_the_server_refuses() {
        for (code, message) in [
            ("53300", "too many connections for role \"small\""),
            ("57P03", "the database system is starting up"),
            ("08P01", "unsupported startup parameter: options"),
        ] {
            let store = store_at(refusing_server(code, message).await);
            let StoreError::Unavailable(source) = store.ping().await.unwrap_err() else { panic!("{code}") };
            assert!(source.to_string().contains(message), "{source}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_listen_is_named_as_the_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let StoreError::Unavailable(source) = store_at(port).ping().await.unwrap_err() else { panic!() };
        assert!(matches!(&*source, sqlx::Error::Io(_)), "{source}");
    }
}
