//! The query that Cinegraph replaces, for comparison: ranks one decade from the base tables in one statement.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::{Decade, Weights};

/// Ranks the candidates of a decade.
pub const ORIGINAL_PREDICTIONS: &str = include_str!("../../benches/original-query.sql");

/// Lines of the original query that its validation omits, because it ranks listed movies too, and without a limit.
const ONLY_PREDICTIONS: [&str; 2] = ["\n  AND (m.canonical_sources -> '1001_movies') IS NULL", "\nLIMIT 500;"];

/// Ranks all movies of a decade, as the original validation does.
#[must_use]
pub fn original_validation() -> String {
    ONLY_PREDICTIONS.iter().fold(ORIGINAL_PREDICTIONS.to_owned(), |query, line| query.replace(line, ""))
}

impl Store {
    /// Duration of an original statement for a decade, including fetching its rows; `None` if it exceeds `limit`.
    /// Read-only.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable, or lacks the columns that the original reads.
    pub async fn time_original(
        &self,
        query: &str,
        decade: Decade,
        weights: &Weights,
        limit: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        let mut transaction = self.transaction(QueryName::OriginalQuery).await?;
        // Without the second setting the server would go on after an interruption, as long as the limit allows.
        let settings = format!(
            "SET TRANSACTION READ ONLY; SET LOCAL client_connection_check_interval = 500; \
             SET LOCAL statement_timeout = {}",
            limit.as_millis().max(1)
        );
        let set = sqlx::raw_sql(AssertSqlSafe(settings)).execute(transaction.connection()).await;
        transaction.checked(set)?;
        let mut statement = sqlx::query(AssertSqlSafe(query.to_owned()));
        for share in weights.shares() {
            statement = statement.bind(share);
        }
        let statement = statement.bind(decade.first_day()).bind(decade.end());
        transaction.connection().set_limit(limit);
        let started = Instant::now();
        let rows = statement.fetch_all(transaction.connection()).await;
        let taken = started.elapsed();
        match transaction.checked(rows) {
            Ok(_) => Ok(Some(taken)),
            Err(StoreError::TimedOut { .. } | StoreError::Unresponsive(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_query_omits_the_list_condition_and_the_limit() {
        let removed: usize = ONLY_PREDICTIONS.iter().map(|line| line.len()).sum();
        assert_eq!(original_validation().len(), ORIGINAL_PREDICTIONS.len() - removed);
    }
}
