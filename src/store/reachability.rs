//! Whether the servers respond: to a statement on a pooled connection, as requests send it, and to pings every second
//! on connections of their own, which requests that fill the pool cannot take away.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection as _, PgConnection};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::connection::Failure as _;
use super::error::StoreError;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;

/// How often each server is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long a server may take to accept a connection and to respond.
const PING_LIMIT: Duration = Duration::from_secs(1);

impl Store {
    /// Checks that the primary responds to a statement.
    ///
    /// # Errors
    /// [`StoreError`] if it does not, or no connection is free.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::HealthCheck).await?;
        let pong = sqlx::query!("SELECT 1 AS one").fetch_one(statement.connection()).await;
        statement.finish(pong.map(|_| ()))
    }

    /// Pings the primary and the replica every second, and sets the metric of each. Never returns.
    pub async fn watch_servers(&self) {
        let replica = async {
            if let Some(replica) = &self.replica {
                self.watch_server(Pool::Replica, replica.pool()).await;
            }
        };
        tokio::join!(self.watch_server(Pool::Primary, &self.pool), replica);
    }

    async fn watch_server(&self, name: Pool, pool: &PgPool) {
        let mut every = interval(PING_INTERVAL);
        // After a slow ping, the next one waits for a full interval. By default, missed pings would follow at once.
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = None;
        loop {
            every.tick().await;
            let pong = ping(&mut open, pool).await;
            self.metrics.up(name, pong.is_ok());
            if let Err(error) = pong {
                self.connect_errors.record(name, &error);
            }
        }
    }
}

/// Pings the server on the open connection, or on a new one if there is none or it was closed.
async fn ping(open: &mut Option<PgConnection>, pool: &PgPool) -> Result<(), sqlx::Error> {
    // Taken out, so that a connection whose server does not respond is dropped.
    if let Some(mut connection) = open.take() {
        match timeout(PING_LIMIT, connection.ping()).await {
            Ok(Ok(())) => {
                *open = Some(connection);
                return Ok(());
            }
            // The server may have closed it, for example because it was restarted.
            Ok(Err(_)) => {}
            Err(_) => return Err(sqlx::Error::no_response()),
        }
    }
    let options = pool.connect_options();
    let connect = async {
        let mut connection = options.connect().await?;
        connection.ping().await?;
        Ok(connection)
    };
    *open = Some(timeout(PING_LIMIT, Box::pin(connect)).await.unwrap_or_else(|_| Err(sqlx::Error::no_response()))?);
    Ok(())
}
