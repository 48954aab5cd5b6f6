//! Computes stored data: person quality, score table, blind scores and the snapshot, with set-based statements.
//!
//! Scores and person quality are computed in batches of ids, each in a transaction of its own, so that memory stays
//! bounded, locks are held briefly, and an interrupted run can be repeated.

use super::connection::Connection;
use super::error::StoreError;
use super::folded_titles::fold_titles;
use super::lease::Lease;
use super::lists::target_lists;
use super::pool::Store;
use super::query_name::QueryName;
use super::statement::Statement;
use super::transaction::{BATCH_LIMIT, TABLE_LIMIT};
use crate::scoring::FORMULA_VERSION;

/// Result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Last id of the batch; the next batch starts after it.
    pub last_id: i64,
    /// Rows computed.
    pub rows: u64,
    /// Rows that differed from the stored ones, including removed rows.
    pub changed: u64,
}

/// Counts of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Rows computed.
    pub rows: u64,
    /// Rows that were missing, different or obsolete.
    pub changed: u64,
}

/// Result of a batch of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreBatch {
    /// Counts of the batch.
    pub batch: Batch,
    /// Movies whose stored scores were wrong although no entry was queued for them: changes that no trigger has
    /// noticed.
    pub corrected: u64,
    /// Whether a movie joined or left a list.
    pub lists_changed: bool,
}

/// Advisory lock of a full refresh, so that only one runs at a time. The drain also takes it for each batch of a pass
/// over all movies, which would compute the same scores. The keys of advisory locks begin with `cine` in ASCII, so that
/// they differ from those of a host application.
pub(super) const FULL_REFRESH_LOCK: i64 = 0x6369_6e65_0001;

/// Advisory lock of writers of the score table, held during one batch. Without it, of two concurrent batches, the one
/// that commits last could overwrite the other's scores with scores that it computed from older data.
const SCORE_TABLE_LOCK: i64 = 0x6369_6e65_0002;

impl Store {
    /// Number of movies and of people, for progress reports.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn refresh_size(&self) -> Result<(u64, u64), StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM public.movies) AS "movies!", (SELECT count(*) FROM public.people) AS "people!""#
        )
        .fetch_one(statement.connection())
        .await;
        let row = statement.finish(row)?;
        Ok((row.movies.unsigned_abs(), row.people.unsigned_abs()))
    }

    /// Computes the quality of the next `size` people after `after`; `None` if there are no more.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the batch is then rolled back.
    pub async fn refresh_person_quality(&self, after: i64, size: i64) -> Result<Option<Batch>, StoreError> {
        self.run_in_transaction(QueryName::TaskPersonQuality, BATCH_LIMIT, async |connection| {
            let last = sqlx::query_scalar!(
                "SELECT max(id) FROM (SELECT id FROM public.people WHERE id > $1 ORDER BY id LIMIT $2) AS batch",
                after,
                size
            );
            let Some(last_id) = last.fetch_one(&mut *connection).await? else { return Ok(None) };
            let row = sqlx::query_file!("src/store/sql/refresh_person_quality.sql", after, last_id)
                .fetch_one(&mut *connection)
                .await?;
            Ok(Some(Batch { last_id, rows: row.computed.unsigned_abs(), changed: row.changed.unsigned_abs() }))
        })
        .await
    }

    /// Updates the stored scores of the next `size` movies after `after`, removes those of movies that are gone or no
    /// longer full, and raises the versions of the decades and lists that changed; `None` if there are no more movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the batch is then rolled back.
    pub async fn refresh_scores(&self, after: i64, size: i64) -> Result<Option<ScoreBatch>, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            lock_score_table(connection).await?;
            let Some(movies) = next_movies(connection, after, size).await? else { return Ok(None) };
            compute_scores(connection, &movies).await.map(Some)
        })
        .await
    }

    /// Takes the lock of the full refresh; `None` if another instance holds it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn full_refresh(&self) -> Result<Option<Lease>, StoreError> {
        let name = QueryName::TaskScores;
        let Statement { connection, measurement } = self.statement(name).await?;
        let taken = Lease::take(name, connection, FULL_REFRESH_LOCK).await;
        Ok(measurement.finish_with(taken, |_| 0)?.ok())
    }

    /// Updates the planner's statistics with what a refresh of person quality has written. Autovacuum would do so
    /// later, and statements would run with unsuitable plans until then.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn analyze_person_quality(&self) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskPersonQuality, TABLE_LIMIT, async |connection| {
            sqlx::query!("ANALYZE public.person_metrics").execute(connection).await.map(|_| ())
        })
        .await
    }

    /// As [`analyze_person_quality`](Self::analyze_person_quality), for the score table.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn analyze_scores(&self) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskScores, TABLE_LIMIT, async |connection| {
            sqlx::query!("ANALYZE cinegraph.movie_discovery_scores").execute(connection).await.map(|_| ())
        })
        .await
    }

    /// Clusters the score table by release date, so that a decade is read as one range. Blocks readers (7 s for a
    /// million movies), so it is only for a table whose rows are all new: requests could not use the table before
    /// either.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`] if the table stays locked by other sessions, [`StoreError`] if the database is
    /// unavailable.
    pub async fn order_scores(&self) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskScores, TABLE_LIMIT, async |connection| {
            // Gives up early, because other sessions queue behind a waiting lock request.
            sqlx::query!("SET LOCAL lock_timeout = '1s'").execute(&mut *connection).await?;
            sqlx::query!("CLUSTER cinegraph.movie_discovery_scores USING movie_discovery_scores_release_date_idx")
                .execute(connection)
                .await
                .map(|_| ())
        })
        .await
    }

    /// Recomputes the blind scores of the target lists and takes a new snapshot, both from one state of the database.
    /// Returns the target lists: those of the setting, `configured`, and those chosen by then.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the previous snapshot then stays.
    pub async fn refresh_snapshot(&self, configured: &[String]) -> Result<Vec<String>, StoreError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = {}; \
             LOCK TABLE cinegraph.target_lists IN SHARE ROW EXCLUSIVE MODE",
            // The limit also applies to waiting for the lock, which another instance holds while it takes a snapshot.
            // This transaction then sees what the other one committed: it reads the state of the database at its first
            // query, and LOCK TABLE is none.
            TABLE_LIMIT.as_millis()
        );
        self.run_in(QueryName::TaskSnapshot, TABLE_LIMIT, &begin, async |connection| {
            let target_lists = target_lists(connection, configured).await?;
            take_snapshot(connection, &target_lists).await?;
            Ok(target_lists)
        })
        .await
    }
}

/// Stores the target lists, recomputes the blind scores, and fills the view from which validations read.
async fn take_snapshot(connection: &mut Connection, target_lists: &[String]) -> Result<(), sqlx::Error> {
    let removed = sqlx::query!("DELETE FROM cinegraph.target_lists WHERE list_key <> ALL ($1)", target_lists)
        .execute(&mut *connection)
        .await?;
    let added = sqlx::query!(
        "INSERT INTO cinegraph.target_lists SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        target_lists
    )
    .execute(&mut *connection)
    .await?;
    // A list that has become a target can be validated at once, and one that is no target any more cannot. Otherwise,
    // validations of the previous snapshot may be served while those of this one are loaded.
    let targets_changed = removed.rows_affected() + added.rows_affected() > 0;
    sqlx::query!("DELETE FROM cinegraph.movie_blind_scores").execute(&mut *connection).await?;
    for list_key in target_lists {
        sqlx::query_file!("src/store/sql/refresh_blind_scores.sql", list_key).execute(&mut *connection).await?;
    }
    let filled = sqlx::query_scalar!(
        r#"SELECT relispopulated AS "filled!" FROM pg_class WHERE oid = 'cinegraph.movie_scores'::regclass"#
    );
    // CONCURRENTLY keeps the view readable meanwhile. PostgreSQL rejects it for a view that was never filled.
    let refresh = if filled.fetch_one(&mut *connection).await? {
        "REFRESH MATERIALIZED VIEW CONCURRENTLY cinegraph.movie_scores"
    } else {
        "REFRESH MATERIALIZED VIEW cinegraph.movie_scores"
    };
    sqlx::query(refresh).execute(&mut *connection).await?;
    sqlx::query_file!("src/store/sql/refresh_votes.sql").execute(&mut *connection).await?;
    sqlx::query_file!("src/store/sql/record_metric_sources.sql").execute(&mut *connection).await?;
    sqlx::query_file!("src/store/sql/record_snapshot.sql", FORMULA_VERSION, targets_changed)
        .execute(connection)
        .await
        .map(|_| ())
}

/// Takes the lock of the score table, waiting for its holder. Must run before the statement that reads the inputs of
/// the scores, which then sees what the previous holder committed.
pub(super) async fn lock_score_table(connection: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", SCORE_TABLE_LOCK).execute(connection).await.map(|_| ())
}

/// The next `size` ids after `after` of movies, and of scores whose movie was deleted, ascending; `None` if there are
/// no more.
pub(super) async fn next_movies(
    connection: &mut Connection,
    after: i64,
    size: i64,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let movies = sqlx::query_file_scalar!("src/store/sql/next_movies.sql", after, size).fetch_all(connection).await?;
    Ok(if movies.is_empty() { None } else { Some(movies) })
}

/// Computes the scores of `movies`, whose ids are ascending. Stores those that have changed, removes the stored scores
/// of movies that are gone or no longer full, and raises the versions of the decades and lists that changed. Before, stores
/// what the movies are searched by, so that searches see a change as soon as other queries do. The caller holds the lock
/// of the score table.
pub(super) async fn compute_scores(connection: &mut Connection, movies: &[i64]) -> Result<ScoreBatch, sqlx::Error> {
    fold_titles(connection, movies).await?;
    let row =
        sqlx::query_file!("src/store/sql/refresh_scores.sql", movies, FORMULA_VERSION).fetch_one(connection).await?;
    let batch = Batch {
        last_id: movies.last().copied().unwrap_or(i64::MIN),
        rows: row.computed.unsigned_abs(),
        changed: row.changed.unsigned_abs(),
    };
    Ok(ScoreBatch { batch, corrected: row.corrected.unsigned_abs(), lists_changed: row.lists > 0 })
}
