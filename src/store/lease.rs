//! Advisory locks that are released when their holder ends, freezes or loses its connection.

use std::time::Duration;

use super::connection::Connection;
use super::error::StoreError;
use super::query_name::QueryName;

/// How often a holder proves to the server that it is alive. The server frees the lock after 20 s without a renewal
/// (`idle_in_transaction_session_timeout`), so that a frozen instance does not stop the others.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long the server may take to respond to a renewal. [`RENEWAL`] and this limit together are below 20 s, so that a
/// holder stops its work before the server can give the lock to another instance.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// An advisory lock, held by an open transaction that does nothing else. Dropping the lease closes its connection,
/// which frees the lock.
#[derive(Debug)]
pub struct Lease {
    name: QueryName,
    connection: Connection,
}

impl Lease {
    /// Tries to take the lock, without waiting. Returns the connection if another session holds the lock.
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
    /// Those of `work`. If the lock is lost, `work` is dropped, and the error is the [`StoreError`] of the lost
    /// connection.
    pub async fn hold<T, E: From<StoreError>>(mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        // An early return drops the lease, which frees the lock.
        let done = tokio::select! {
            done = work => done?,
            lost = self.renew() => return Err(StoreError::of(self.name, lost).into()),
        };
        self.connection.roll_back().await.map_err(|error| StoreError::of(self.name, error))?;
        Ok(done)
    }

    /// Renews the lease until it is lost; returns why it was lost.
    async fn renew(&mut self) -> sqlx::Error {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(lost) = self.connection.ping().await {
                return lost;
            }
        }
    }
}
