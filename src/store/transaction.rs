//! Transactions of several statements, measured as one.

use std::time::Duration;

use super::connection::Connection;
use super::error::StoreError;
use super::measurement::Measurement;
use super::pool::Store;
use super::query_name::QueryName;
use super::statement::Statement;

/// Time limit of a statement that processes a batch of a task. A batch takes some tenths of a second; before it starts,
/// it waits for the batch of another instance, whose session ends within 20 s if that instance is frozen. A task whose
/// link to the server is lost in a batch goes on after this time.
pub(super) const BATCH_LIMIT: Duration = Duration::from_secs(30);

/// Time limit of a statement of a task that reads or writes whole tables. For a million movies it takes less than a
/// minute.
pub(super) const TABLE_LIMIT: Duration = Duration::from_mins(10);

/// Time limit of a statement of a command that sets up a database, such as merging an import or building an index. For
/// millions of rows it takes minutes, and a person waits for it.
pub(super) const SETUP_LIMIT: Duration = Duration::from_hours(6);

/// Attempts of a transaction that conflicts with others.
const ATTEMPTS: u32 = 4;

/// Pause before the second attempt; it grows by as much with each further one.
const PAUSE: Duration = Duration::from_millis(50);

/// A transaction. Dropped before [`commit`](Self::commit), its connection is closed, which rolls it back.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    name: QueryName,
    connection: Connection,
    measurement: Option<Measurement>,
}

impl Store {
    /// Begins a transaction with the time limits of requests.
    pub(super) async fn transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        self.transaction_with(name, "BEGIN".to_owned()).await
    }

    /// Begins a transaction of a command, whose statements take at most [`SETUP_LIMIT`]. It may be idle for minutes:
    /// imports read files between two statements.
    pub(super) async fn setup_transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        let begin = format!("{}; SET LOCAL idle_in_transaction_session_timeout = '10min'", begin_with(SETUP_LIMIT));
        let mut transaction = self.transaction_with(name, begin).await?;
        transaction.connection.set_limit(SETUP_LIMIT);
        Ok(transaction)
    }

    async fn transaction_with(&self, name: QueryName, begin: String) -> Result<OpenTransaction, StoreError> {
        let Statement { mut connection, measurement } = self.statement(name).await?;
        match connection.begin(begin).await {
            Ok(()) => Ok(OpenTransaction { name, connection, measurement: Some(measurement) }),
            Err(error) => Err(measurement.finish_failed(error)),
        }
    }

    /// Runs the statements of one step of a task in a transaction. Each takes at most `limit` instead of the limit of
    /// requests. Repeats the step if it conflicts with other transactions.
    pub(super) async fn run_in_transaction<T>(
        &self,
        name: QueryName,
        limit: Duration,
        step: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error> + Clone,
    ) -> Result<T, StoreError> {
        self.run_in(name, limit, &begin_with(limit), step).await
    }

    /// As [`Store::run_in_transaction`]; `begin` begins the transaction.
    pub(super) async fn run_in<T>(
        &self,
        name: QueryName,
        limit: Duration,
        begin: &str,
        step: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error> + Clone,
    ) -> Result<T, StoreError> {
        retry_conflicts(StoreError::is_conflict, || self.run_once(name, limit, begin, step.clone())).await
    }

    async fn run_once<T>(
        &self,
        name: QueryName,
        limit: Duration,
        begin: &str,
        step: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut statement = self.statement(name).await?;
        let connection = &mut statement.connection;
        connection.set_limit(limit);
        let result = async {
            connection.begin(begin.to_owned()).await?;
            let result = step(connection).await;
            match &result {
                Ok(_) => connection.commit().await?,
                // Rolled back now, so that its locks are free when the caller sees the error. The first error is
                // returned.
                Err(_) => connection.roll_back().await.unwrap_or_default(),
            }
            result
        }
        .await;
        statement.finish(result)
    }
}

impl OpenTransaction {
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Checks the result of a statement. After a failure the transaction can only be dropped.
    pub(super) fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| failure(self.name, self.measurement.take(), error))
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { name, mut connection, measurement } = self;
        connection.commit().await.map_err(|error| failure(name, measurement, error))
    }
}

/// Runs `attempt` again, a bounded number of times, if it fails because of other transactions. It must have no effect
/// when it fails.
///
/// # Errors
/// The error of the last attempt.
pub async fn retry_conflicts<T, E, F: Future<Output = Result<T, E>>>(
    is_conflict: impl Fn(&E) -> bool,
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if is_conflict(&error) => tokio::time::sleep(PAUSE * number).await,
            result => return result,
        }
    }
    attempt().await
}

/// Begins a transaction whose statements the server interrupts after `limit`.
fn begin_with(limit: Duration) -> String {
    format!("BEGIN; SET LOCAL statement_timeout = {}", limit.as_millis())
}

fn failure(name: QueryName, measurement: Option<Measurement>, error: sqlx::Error) -> StoreError {
    match measurement {
        Some(measurement) => measurement.finish_failed(error),
        None => StoreError::of(name, error),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn conflicts_are_retried_with_a_bound_and_other_errors_are_not() {
        for (conflicts, attempts, outcome) in [(0, 1, Ok("done")), (3, 4, Ok("done")), (9, 4, Err("conflict"))] {
            let count = Cell::new(0);
            let result = retry_conflicts(
                |error| *error == "conflict",
                || async {
                    count.set(count.get() + 1);
                    if count.get() > conflicts { Ok("done") } else { Err("conflict") }
                },
            );
            assert_eq!((result.await, count.get()), (outcome, attempts), "{conflicts} conflicts");
        }
        let count = Cell::new(0);
        let failed: Result<(), _> = retry_conflicts(
            |error| *error == "conflict",
            || async {
                count.set(count.get() + 1);
                Err("other")
            },
        )
        .await;
        assert_eq!((failed, count.get()), (Err("other"), 1));
    }
}
