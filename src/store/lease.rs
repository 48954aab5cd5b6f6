//! Advisory locks that end with their holder.

use std::time::Duration;

use super::connection::Connection;
use super::error::StoreError;
use super::query_name::QueryName;

/// How often a holder proves that it is alive. The server frees the lock after 20 s without a sign of life
/// (`idle_in_transaction_session_timeout`), so that a frozen instance does not stop the others.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long the server may take to respond to a renewal.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// An advisory lock, held by an open transaction that does nothing else. Dropped, its connection is closed, which frees
/// the lock.
#[derive(Debug)]
pub struct Lease {
    name: QueryName,
    connection: Connection,
}

impl Lease {
    /// Takes the lock; gives the connection back if another session holds it.
    pub(super) async fn take(
        name: QueryName,
        mut connection: Connection,
        key: i64,
    ) -> Result<Result<Self, Connection>, sqlx::Error> {
        connection.begin("BEGIN".to_owned()).await?;
        let taken = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "taken!""#, key);
        if taken.fetch_one(&mut connection).await? {
            connection.set_limit(RENEWAL_LIMIT);
            return Ok(Ok(Self { name, connection }));
        }
        connection.roll_back().await?;
        Ok(Err(connection))
    }

    /// Runs `work` while the lock is held, then frees the lock.
    ///
    /// # Errors
    /// Those of `work`, which is dropped if the lock is lost; [`StoreError`] then.
    pub async fn hold<T, E: From<StoreError>>(mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let done = tokio::select! {
            done = work => done?,
            lost = self.renew() => return Err(StoreError::of(self.name, lost).into()),
        };
        self.connection.roll_back().await.map_err(|error| StoreError::of(self.name, error))?;
        Ok(done)
    }

    /// Renews the lease until it is lost.
    async fn renew(&mut self) -> sqlx::Error {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(lost) = self.connection.ping().await {
                return lost;
            }
        }
    }
}
