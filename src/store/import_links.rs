//! What completes the movies of earlier imports: TMDb ids for movies of IMDb's dumps, and TMDb's popularity.

use chrono::NaiveDateTime;

use super::error::StoreError;
use super::import::{Import, MergeCounts};

/// What became of the staged links, by number of rows.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct LinkCounts {
    /// Movies that got their TMDb id.
    #[sqlx(try_from = "i64")]
    pub linked: u64,
    /// Movies that had it.
    #[sqlx(try_from = "i64")]
    pub unchanged: u64,
    /// Repetitions of an earlier row.
    #[sqlx(try_from = "i64")]
    pub repeated: u64,
    /// Rows of movies that are not in the database.
    #[sqlx(try_from = "i64")]
    pub absent: u64,
    /// Rows that contradict the database or another row.
    #[sqlx(try_from = "i64")]
    pub conflicts: u64,
}

/// A row that contradicts the database or another row.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LinkConflict {
    /// Line of the row.
    #[sqlx(try_from = "i64")]
    pub line: u64,
    /// The contradiction.
    pub reason: String,
}

impl Import {
    /// Gives movies without a TMDb id that of their staged link, unless something contradicts it, and invalidates cached
    /// results with these movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn link_movies(&mut self) -> Result<LinkCounts, StoreError> {
        self.execute(include_str!("sql/links_judge.sql")).await?;
        self.run(include_str!("sql/links_apply.sql")).await
    }

    /// The first `limit` staged links that contradict something, after [`Import::link_movies`].
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn link_conflicts(&mut self, limit: i64) -> Result<Vec<LinkConflict>, StoreError> {
        let conflicts = sqlx::query_as(include_str!("sql/links_conflicts.sql"))
            .bind(limit)
            .fetch_all(self.transaction.connection())
            .await;
        self.transaction.checked(conflicts)
    }

    /// Merges the staged rows of TMDb's daily export, which was made at `time`; now if that is unknown.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn merge_tmdb_ids(&mut self, time: Option<NaiveDateTime>) -> Result<MergeCounts, StoreError> {
        let fetched = time.unwrap_or(self.now);
        let counts = sqlx::query_as(include_str!("sql/tmdb_ids_merge.sql"))
            .bind(self.now)
            .bind(fetched)
            .fetch_one(self.transaction.connection())
            .await;
        self.transaction.checked(counts)
    }
}
