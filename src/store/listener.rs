//! Listens for notifications on a connection of its own, and notices when its server has vanished.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Builder;
use tokio::time::timeout_at;

use super::connection::WithDeadline;

/// How often a round trip checks the connection. Without it, a server that vanished would look like one without
/// notifications. A choice: it bounds how late a vanished server is noticed.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// How long the server may take to respond to a check. A choice: far above the time of a round trip.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// Listens on one channel.
#[derive(Debug)]
pub(super) struct Listener {
    /// `None` only while it is being dropped.
    listener: Option<PgListener>,
    /// When the server last responded to a check, or the connection was opened.
    checked_at: Instant,
}

impl Listener {
    /// Connects and starts to listen on `channel`. Fails if this takes longer than `limit`.
    pub(super) async fn connect(
        options: PgConnectOptions,
        channel: &str,
        limit: Duration,
    ) -> Result<Self, sqlx::Error> {
        // `PgListener` takes a connection from a pool for as long as it lives, then returns it. The pool is its own, so
        // that requests neither lack the connection nor get it afterwards.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(limit)
            .connect_lazy_with(options);
        let connect = async {
            let listener = PgListener::connect_with(&pool).await?;
            let mut this = Self { listener: Some(listener), checked_at: Instant::now() };
            // Wrapped before it listens: if this future is dropped, `Listener` closes the connection without waiting.
            if let Some(listener) = &mut this.listener {
                // Not reconnected by `PgListener`: the caller does so, because it must then read what it missed.
                listener.eager_reconnect(false);
                listener.listen(channel).await?;
            }
            Ok(this)
        };
        connect.with_deadline(limit).await
    }

    /// Waits for a notification for at most `limit`. Returns true if one arrived; all that have arrived by then are
    /// consumed. Returns false after `limit`, or earlier if the connection was due for a check. Fails if the connection
    /// is lost.
    pub(super) async fn wait(&mut self, limit: Duration) -> Result<bool, sqlx::Error> {
        let Some(listener) = &mut self.listener else { return Err(sqlx::Error::WorkerCrashed) };
        let until = tokio::time::Instant::now() + limit;
        let due = tokio::time::Instant::from_std(self.checked_at + CHECK_INTERVAL);
        if let Ok(received) = timeout_at(until.min(due), listener.try_recv()).await {
            received?.ok_or_else(closed)?;
            // The caller reads all changes at once, so one result stands for all buffered notifications.
            while listener.next_buffered().is_some() {}
            return Ok(true);
        }
        if self.checked_at.elapsed() >= CHECK_INTERVAL {
            sqlx::raw_sql("SELECT 1").execute(&mut *listener).with_deadline(CHECK_LIMIT).await?;
            self.checked_at = Instant::now();
        }
        Ok(false)
    }
}

impl Drop for Listener {
    /// Closes the connection now. When dropped, `PgListener` spawns a task that waits for the server without a limit.
    /// Here the task is spawned on a runtime that never runs it, and that drops the task with its connection at once.
    fn drop(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        let Ok(runtime) = Builder::new_current_thread().build() else { return };
        let entered = runtime.enter();
        drop(listener);
        drop(entered);
        runtime.shutdown_background();
    }
}

fn closed() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the server closed the connection"))
}
