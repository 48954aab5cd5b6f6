//! Statements that lock a host table: each gives up early and is retried.

use std::time::Duration;

use crate::store::connection::Connection;
use crate::store::error::{SchemaError, StoreError};

/// Bounds how long writers queue behind a waiting lock request.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts to lock a table: about five minutes, including the pauses.
const LOCK_ATTEMPTS: u32 = 30;
/// Pause after the first failed attempt; it doubles with each further one, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Remaining attempts of statements that need a contended lock.
pub(super) struct Attempts {
    what: &'static str,
    left: u32,
    pause: Duration,
}

impl Attempts {
    pub(super) fn at(what: &'static str) -> Self {
        Self { what, left: LOCK_ATTEMPTS, pause: FIRST_PAUSE }
    }

    /// Pauses before the next attempt. Fails after the last one, and for errors that a retry does not fix.
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

/// Runs statements that lock `what`, atomically.
pub(super) async fn run_locking(
    connection: &mut Connection,
    what: &'static str,
    statements: String,
) -> Result<(), StoreError> {
    let mut attempts = Attempts::at(what);
    // Several statements in one simple query form one transaction.
    while let Err(error) = connection.run(statements.clone()).await {
        attempts.wait_after(error).await?;
    }
    Ok(())
}

/// Whether the statement failed by lock timeout or deadlock.
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
