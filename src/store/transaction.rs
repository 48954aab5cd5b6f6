//! Transactions of several statements, measured as one.

use std::time::Duration;

use super::connection::Connection;
use super::error::StoreError;
use super::measurement::Measurement;
use super::pool::Store;
use super::query_name::QueryName;
use super::statement::Statement;
use super::version_listener::versions_of;
use crate::versions::Versions;

/// Time limit of a statement that processes a batch of a background task. A batch takes some tenths of a second, but
/// may first have to wait for the lock of another instance. If that instance is frozen, the server ends its session
/// after 20 s (`idle_in_transaction_session_timeout`), so the limit must be longer than that. It must not be much
/// longer, because a task that loses its connection in the middle of a batch notices this only after the limit.
pub(super) const BATCH_LIMIT: Duration = Duration::from_secs(30);

/// Time limit of a statement of a background task that reads or writes whole tables. A choice, far above the duration
/// of such a statement, which is less than a minute for a million movies.
pub(super) const TABLE_LIMIT: Duration = Duration::from_mins(10);

/// Time limit of a statement of a command that sets up a database, such as merging an import or building an index. A
/// choice, far above the minutes that this takes for millions of rows: a person waits for the command, and can
/// interrupt it.
pub(super) const SETUP_LIMIT: Duration = Duration::from_hours(6);

/// Maximum number of attempts of a transaction that conflicts with others. A choice: the attempts, and the pauses
/// between them of 0.3 s in all, must end well within the time limit of a request.
const ATTEMPTS: u32 = 4;

/// Pause after the first failed attempt. The pause after the second is twice as long, and so on.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// An open transaction. If it is dropped before [`commit`](Self::commit), its connection is closed, so that the server
/// rolls it back.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    name: QueryName,
    connection: Connection,
    /// `None` after a failure, which was recorded with it.
    measurement: Option<Measurement>,
}

impl Store {
    /// Begins a transaction with the time limits of requests.
    pub(super) async fn transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        self.transaction_with(name, "BEGIN".to_owned()).await
    }

    /// Begins a transaction of a request that may write as many rows as a batch of a background task.
    pub(super) async fn batch_transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        let mut transaction = self.transaction_with(name, begin_sql(BATCH_LIMIT)).await?;
        transaction.connection.set_limit(BATCH_LIMIT);
        Ok(transaction)
    }

    /// Begins a transaction of a command, whose statements take at most [`SETUP_LIMIT`]. It may be idle for ten minutes
    /// instead of the 20 s of other transactions, because imports read files between two statements.
    pub(super) async fn setup_transaction(&self, name: QueryName) -> Result<OpenTransaction, StoreError> {
        let begin = format!("{}; SET LOCAL idle_in_transaction_session_timeout = '10min'", begin_sql(SETUP_LIMIT));
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

    /// Runs one step of a task in a transaction, in which a statement takes at most `limit` instead of the time limit
    /// of requests. If the transaction conflicts with others, it is rolled back and the step runs again, a bounded
    /// number of times.
    pub(super) async fn run_in_transaction<T>(
        &self,
        name: QueryName,
        limit: Duration,
        step: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error> + Clone,
    ) -> Result<T, StoreError> {
        self.run_in(name, limit, &begin_sql(limit), step).await
    }

    /// As [`Store::run_in_transaction`], with the SQL that begins the transaction. `begin` must also set the server's
    /// `statement_timeout` to `limit`.
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
                // Rolled back before the error is returned, so that the locks of the transaction are free by then. If
                // this fails too, only the error of the step is returned, which is the cause.
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

    /// Converts the result of a statement. After a failure, which is recorded, the transaction can only be dropped.
    pub(super) fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| failure(self.name, self.measurement.take(), error))
    }

    /// Commits, and applies the versions that the transaction has raised to `versions`, so that the next request to this
    /// instance sees the change. They are read before the commit: after it, the database may not respond any more, and
    /// the instance would serve what it had before the change that it acknowledges.
    pub(super) async fn commit_and_apply(mut self, store: &Store, versions: &Versions) -> Result<(), StoreError> {
        let started = versions.start_read();
        let read = versions_of(&mut self.connection).await;
        let read = self.checked(read)?;
        self.commit().await?;
        let applied = match store.apply_versions(versions, started, read).await {
            // The identity of the database was replaced meanwhile.
            Ok(false) => store.read_versions(versions).await,
            applied => applied.map(|_| ()),
        };
        // Not an error of the change, which is committed: the version listener will apply the versions.
        if let Err(error) = applied {
            tracing::warn!(%error, "cannot apply the data versions of a change; the version listener will apply them");
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { name, mut connection, measurement } = self;
        // On success, dropping the measurement records the duration of the whole transaction.
        connection.commit().await.map_err(|error| failure(name, measurement, error))
    }
}

/// Runs `attempt`. If it fails because of concurrent transactions, as `is_conflict` decides, it is repeated after a
/// pause, a bounded number of times. An attempt that fails must have no effect.
///
/// # Errors
/// The first error that is not a conflict, or the error of the last attempt.
pub async fn retry_conflicts<T, E, F: Future<Output = Result<T, E>>>(
    is_conflict: impl Fn(&E) -> bool,
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if is_conflict(&error) => tokio::time::sleep(RETRY_PAUSE * number).await,
            result => return result,
        }
    }
    attempt().await
}

/// The SQL that begins a transaction whose statements the server interrupts after `limit`.
fn begin_sql(limit: Duration) -> String {
    format!("BEGIN; SET LOCAL statement_timeout = {}", limit.as_millis())
}

/// Converts the error of a transaction. Records it, unless an earlier failure has used up the measurement.
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
