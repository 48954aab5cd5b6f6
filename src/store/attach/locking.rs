//! Statements that lock a host table. Such a statement gives up after a short lock timeout and is retried, because all
//! other writers of the table queue behind a waiting lock request.

use std::time::Duration;

use crate::store::connection::Connection;
use crate::store::error::{SchemaError, StoreError};

/// How long a statement waits for a lock, and so how long writers of the host application may queue behind it. A
/// choice: longer than most transactions, short enough for a user of the host application to wait.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of attempts to lock a table. With the lock timeouts and the pauses they take four and a half minutes.
/// A choice: long enough for a batch job of the host application to end.
const LOCK_ATTEMPTS: u32 = 30;
/// Pause after the first failed attempt, in which the queued writers proceed. It doubles after each further failed
/// attempt, up to [`LONGEST_PAUSE`]. Both are choices.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Counts the remaining attempts to run a statement that needs a contended lock.
pub(super) struct Attempts {
    /// What the statement locks, as errors and logs name it.
    what: &'static str,
    left: u32,
    pause: Duration,
}

impl Attempts {
    pub(super) fn for_lock_on(what: &'static str) -> Self {
        Self { what, left: LOCK_ATTEMPTS, pause: FIRST_PAUSE }
    }

    /// Pauses after an attempt that failed with `error`. Returns an error instead if no attempt is left, or if `error`
    /// is no lock conflict, so that a retry would fail as well.
    pub(super) async fn wait_after(&mut self, error: sqlx::Error) -> Result<(), StoreError> {
        if !is_lock_conflict(&error) {
            return Err(StoreError::of_setup(error));
        }
        self.left -= 1;
        if self.left == 0 {
            return Err(SchemaError::Locked(self.what).into());
        }
        tracing::warn!(what = self.what, pause_seconds = self.pause.as_secs_f64(), "lock conflict; retrying");
        tokio::time::sleep(self.pause).await;
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        Ok(())
    }
}

/// Runs `statements`, which lock `what`, in one transaction, and retries them after lock conflicts. The session of
/// `connection` must have the lock timeout [`LOCK_TIMEOUT`]: without one, it would wait for as long as the lock is held.
pub(super) async fn run_locking(
    connection: &mut Connection,
    what: &'static str,
    statements: String,
) -> Result<(), StoreError> {
    let mut attempts = Attempts::for_lock_on(what);
    // PostgreSQL runs the statements of one simple query in one transaction.
    while let Err(error) = connection.run(statements.clone()).await {
        attempts.wait_after(error).await?;
    }
    Ok(())
}

/// Whether the statement failed because of a lock timeout (SQLSTATE 55P03) or a deadlock (40P01).
fn is_lock_conflict(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => matches!(refusal.code().as_deref(), Some("55P03" | "40P01")),
        sqlx::Error::Migrate(failure) => match failure.as_ref() {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                is_lock_conflict(error)
            }
            _ => false,
        },
        _ => false,
    }
}
