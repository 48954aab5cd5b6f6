//! Whether the servers are reachable: each is pinged every second on a connection of its own, which requests that fill
//! the pool cannot take away.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection as _, PgConnection};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::connection::Failure as _;
use super::metrics::Pool;
use super::pool::Store;

/// How often each server is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long a server may take to accept a connection and to respond.
const PING_LIMIT: Duration = Duration::from_secs(1);

impl Store {
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
