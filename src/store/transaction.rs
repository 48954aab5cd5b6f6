//! Transactions of several statements.

use sqlx::{PgConnection, Postgres, Transaction};

use super::metrics::StatementGuard;
use super::{Store, StoreError};

/// A transaction, measured as one statement. Dropped before [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    name: &'static str,
    transaction: Transaction<'static, Postgres>,
    measured: Option<StatementGuard>,
}

impl Store {
    pub(super) async fn transaction(&self, name: &'static str) -> Result<OpenTransaction, StoreError> {
        let (transaction, measured) = self.measured(name, self.pool.begin()).await?;
        Ok(OpenTransaction { name, transaction, measured: Some(measured) })
    }
}

impl OpenTransaction {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Checks the result of a statement. After a failure the transaction can only be dropped.
    pub(super) fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| failure(self.name, self.measured.take(), error))
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { name, transaction, measured } = self;
        transaction.commit().await.map_err(|error| failure(name, measured, error))
    }
}

fn failure(name: &'static str, measured: Option<StatementGuard>, error: sqlx::Error) -> StoreError {
    if let Some(measured) = measured {
        super::record_error(measured, &error);
    }
    StoreError::of(name, error)
}
