//! Transactions of several statements, measured as one.

use sqlx::{Connection, PgConnection, Postgres, Transaction};

use super::error::StoreError;
use super::measurement::Measurement;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;

/// A transaction. Dropped before [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    name: QueryName,
    transaction: Transaction<'static, Postgres>,
    measurement: Option<Measurement>,
}

impl Store {
    pub(super) async fn transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        let (transaction, measurement) =
            self.acquire_measured(&self.pool, Pool::Primary, name, self.pool.begin()).await?;
        Ok(OpenTransaction { name, transaction, measurement: Some(measurement) })
    }

    /// Runs the statements of one step of a task in a transaction without statement timeout.
    pub(super) async fn run_in_transaction<T>(
        &self,
        name: QueryName,
        step: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut statement = self.statement(name).await?;
        let result = async {
            let mut transaction = statement.connection.begin().await?;
            without_limit(&mut transaction).await?;
            let result = step(&mut transaction).await;
            match &result {
                Ok(_) => transaction.commit().await?,
                // Rolled back now, so that its locks are free when the caller sees the error. The first error is
                // returned.
                Err(_) => transaction.rollback().await.unwrap_or_default(),
            }
            result
        }
        .await;
        statement.finish(result)
    }
}

impl OpenTransaction {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Checks the result of a statement. After a failure the transaction can only be dropped.
    pub(super) fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| failure(self.name, self.measurement.take(), error))
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { name, transaction, measurement } = self;
        transaction.commit().await.map_err(|error| failure(name, measurement, error))
    }
}

/// Disables the statement timeout until the end of the transaction: tasks may run for minutes.
pub(super) async fn without_limit(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SET LOCAL statement_timeout = 0").execute(transaction).await.map(|_| ())
}

fn failure(name: QueryName, measurement: Option<Measurement>, error: sqlx::Error) -> StoreError {
    match measurement {
        Some(measurement) => measurement.finish_failed(error),
        None => StoreError::of(name, error),
    }
}
