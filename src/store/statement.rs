//! Statements of [`Store`]: each acquires a connection, and is measured under its name.

use std::sync::Arc;

use sqlx::postgres::PgPool;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::PooledConnection;
use super::error::StoreError;
use super::measurement::Measurement;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;
use super::statement_text::InstrumentedExecutor;

/// A running statement: its connection, and its measurement.
pub(super) struct Statement {
    pub(super) connection: PooledConnection,
    pub(super) measurement: Measurement,
}

impl Store {
    /// Acquires a connection, within the pool's timeout, and starts to measure a statement.
    pub(super) async fn statement(&self, name: QueryName) -> Result<Statement, StoreError> {
        self.statement_on(&self.pool, Pool::Primary, name).await
    }

    /// As [`Store::statement`], for a direct query. Acquires a permit first, which bounds the direct queries that run
    /// at once; the caller holds it until the query ends.
    pub(super) async fn direct_query(&self, name: QueryName) -> Result<(Statement, OwnedSemaphorePermit), StoreError> {
        let acquire = Arc::clone(&self.direct.permits).acquire_owned();
        let permit = tokio::time::timeout(self.direct.acquire_timeout, acquire).await;
        let Ok(Ok(permit)) = permit else { return Err(StoreError::TooManyDirectQueries(name)) };
        Ok((self.statement_on(&self.direct.pool, Pool::Primary, name).await?, permit))
    }

    /// As [`Store::statement`], on a connection of `pool`.
    pub(super) async fn statement_on(
        &self,
        pool: &PgPool,
        pool_label: Pool,
        name: QueryName,
    ) -> Result<Statement, StoreError> {
        let (connection, measurement) = self.acquire_measured(pool, pool_label, name, pool.acquire()).await?;
        Ok(Statement { connection: PooledConnection::new(connection), measurement })
    }

    /// Acquires a connection of `pool` by awaiting `acquire`, records the wait, and starts to measure the statement.
    pub(super) async fn acquire_measured<C>(
        &self,
        pool: &PgPool,
        pool_label: Pool,
        name: QueryName,
        acquire: impl Future<Output = Result<C, sqlx::Error>>,
    ) -> Result<(C, Measurement), StoreError> {
        let wait = self.metrics.connection_wait(pool_label);
        // Boxed because the future that opens a connection is large.
        match Box::pin(acquire).await {
            Ok(connection) => {
                wait.acquired();
                Ok((connection, Measurement::start(&self.metrics, name, pool)))
            }
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    wait.timed_out();
                }
                // Counts as a failure of the statement, although it was not sent.
                Err(Measurement::start(&self.metrics, name, pool).finish_unsent(error))
            }
        }
    }
}

impl Statement {
    /// Executor for the statement.
    pub(super) fn connection(&mut self) -> InstrumentedExecutor<'_> {
        InstrumentedExecutor { connection: &mut self.connection, measurement: &self.measurement }
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
        mut self,
        result: Result<T, sqlx::Error>,
        rows: impl Fn(&T) -> usize,
    ) -> Result<T, StoreError> {
        self.connection.return_to_pool(&result);
        self.measurement.finish_with(result, rows)
    }
}
