//! The query that Cinegraph replaces, for comparison: ranks one decade from the base tables in one statement.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::{Decade, Weights};

/// Ranks the candidates of a decade and returns the first 500. Parameters: the five weights, the first day of the
/// decade, and the day after its last.
pub const ORIGINAL_PREDICTIONS: &str = include_str!("../../benches/original-query.sql");

/// Lines of [`ORIGINAL_PREDICTIONS`] that the original validation does not have: it ranks listed movies too, and all of
/// them.
const OMITTED_BY_VALIDATION: [&str; 2] = ["\n  AND (m.canonical_sources -> '1001_movies') IS NULL", "\nLIMIT 500;"];

/// Ranks all movies of a decade, as the original validation does.
#[must_use]
pub fn original_validation() -> String {
    OMITTED_BY_VALIDATION.iter().fold(ORIGINAL_PREDICTIONS.to_owned(), |query, line| query.replace(line, ""))
}

impl Store {
    /// How long the original statement `query` takes for a decade, including fetching its rows; `None` if it exceeds
    /// `limit`. Runs it in a read-only transaction.
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
        // If the client is interrupted, the server must notice and stop the statement: it checks the connection every
        // 500 ms, instead of going on until the limit. A `statement_timeout` of 0 would mean no limit.
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
        let removed: usize = OMITTED_BY_VALIDATION.iter().map(|line| line.len()).sum();
        assert_eq!(original_validation().len(), ORIGINAL_PREDICTIONS.len() - removed);
    }
}
