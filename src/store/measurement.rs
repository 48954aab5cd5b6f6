//! Measurement of a named statement: duration, rows, errors, and the log line of a slow one.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;

use super::error::{FailureKind, StoreError};
use super::metrics::{StatementGuard, StoreMetrics};
use super::query_name::QueryName;
use super::statement_text::StatementTexts;
use crate::telemetry::Label as _;

/// Statements of requests that take longer are logged as slow. A choice: with a million movies, only the first load of
/// a decade's columns takes longer.
const SLOW_STATEMENT: Duration = Duration::from_millis(200);

/// A named statement that is being measured. Its time is recorded on every code path, even if it is dropped.
#[derive(Debug)]
pub(super) struct Measurement {
    name: QueryName,
    guard: StatementGuard,
}

impl Measurement {
    /// Starts to measure a statement on the server of `pool`.
    pub(super) fn start(metrics: &StoreMetrics, name: QueryName, pool: &PgPool) -> Self {
        let (guard, server) = (metrics.statement(name), pool.connect_options());
        guard.sent_to(server.get_host(), server.get_port(), server.get_database());
        Self { name, guard }
    }

    /// Receives the SQL texts of what is measured.
    pub(super) fn texts(&self) -> Arc<StatementTexts> {
        self.guard.texts()
    }

    /// Finishes a statement that was not sent because it got no connection.
    pub(super) fn finish_unsent(self, error: sqlx::Error) -> StoreError {
        self.guard.finish_unsent();
        StoreError::of(self.name, error)
    }

    /// Finishes a failed statement.
    pub(super) fn finish_failed(self, error: sqlx::Error) -> StoreError {
        let sqlstate = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        self.guard.finish_err(FailureKind::of(&error), sqlstate.as_deref());
        StoreError::of(self.name, error)
    }

    /// Finishes a statement; `rows` counts the rows of its result.
    pub(super) fn finish_with<T>(
        self,
        result: Result<T, sqlx::Error>,
        rows: impl Fn(&T) -> usize,
    ) -> Result<T, StoreError> {
        let value = match result {
            Ok(value) => value,
            Err(error) => return Err(self.finish_failed(error)),
        };
        let (name, rows) = (self.name, rows(&value));
        let duration = self.guard.finish_ok(rows);
        if duration > SLOW_STATEMENT && !name.is_background() {
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(query_name = name.as_str(), duration_ms, rows, "slow statement");
        }
        Ok(value)
    }

    /// Finishes the measurement of several statements that are measured as one. Their errors are already converted to
    /// [`StoreError`]. If they succeed, only the time is recorded, because they have no common number of rows.
    pub(super) fn checked<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.guard.finish_err(error.kind(), None))
    }
}
