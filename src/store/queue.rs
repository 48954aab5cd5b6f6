//! The queue of films whose scores must be computed anew.
//!
//! Triggers append to it; what is taken off it is computed in the same transaction, so that nothing is lost when the
//! program or its connection dies in between.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::refresh::{FULL_REFRESH_LOCK, ScoreBatch, compute_scores, lock_score_table, next_movies};
use super::{Store, StoreError, WithDeadline};
use crate::scoring::MovieId;
use crate::telemetry::Task;

/// Held for the length of one batch by who drains.
const DRAIN_LOCK: i64 = 0x6369_6e65_0003;

/// How long films may join and leave lists before a snapshot is taken that knows of it.
const SNAPSHOT_AFTER: &str = "10 seconds";

/// What one batch of a drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing waited.
    Nothing,
    /// Another instance is at it.
    LockedElsewhere,
    /// Scores of some films were computed.
    Films {
        /// How many.
        films: u64,
        /// How many of them had changed.
        changed: u64,
    },
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLength {
    /// Distinct films; all films where an entry stands for all.
    pub films: u64,
    /// When the first of them was queued.
    pub oldest: Option<DateTime<Utc>>,
}

/// Films that somebody wants to be computed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRequest {
    /// The last of its entries: once none is left up to it, all are done.
    pub last_entry: i64,
    /// When it was made.
    pub queued_at: DateTime<Utc>,
}

impl Store {
    /// Queues films to be computed anew, at least one and each once; `None` stands for all films.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn request_scores(&self, ids: Option<&[MovieId]>) -> Result<RefreshRequest, StoreError> {
        let mut statement = self.statement("score_table").await?;
        let ids: Vec<Option<i64>> = ids.map_or(vec![None], |ids| ids.iter().map(|id| Some(id.0)).collect());
        let request = sqlx::query_as!(
            RefreshRequest,
            r#"WITH entry AS (
                   INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
                   SELECT DISTINCT movie_id, 'request' FROM unnest($1::bigint[]) AS movie_id
                   RETURNING id, enqueued_at
               )
               SELECT max(id) AS "last_entry!", max(enqueued_at) AS "queued_at!" FROM entry"#,
            &ids as &[Option<i64>]
        )
        .fetch_one(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        statement.done(request)
    }

    /// Whether anything waits.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn is_anything_queued(&self) -> Result<bool, StoreError> {
        let mut statement = self.statement("task_queue").await?;
        let any = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM cinegraph.score_refresh_queue) AS "any!""#)
            .fetch_one(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        statement.done(any)
    }

    /// What waits, counted. Reads the whole queue.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn queue_length(&self) -> Result<QueueLength, StoreError> {
        let mut statement = self.statement("task_queue").await?;
        let row = sqlx::query_file!("src/store/sql/queue_length.sql")
            .fetch_one(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        let row = statement.done(row)?;
        Ok(QueueLength { films: row.films.unsigned_abs(), oldest: row.oldest })
    }

    /// Takes the oldest `size` entries that name a film off the queue and computes the scores of these films.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or a film cannot be computed; the entries then stay.
    pub async fn drain_movies(&self, size: i64) -> Result<Drained, StoreError> {
        self.task("task_scores", async |connection| {
            if !try_lock(connection, DRAIN_LOCK).await? {
                return Ok(Drained::LockedElsewhere);
            }
            lock_score_table(connection).await?;
            let movies = sqlx::query_file_scalar!("src/store/sql/take_queued_movies.sql", size)
                .fetch_all(&mut *connection)
                .await?;
            if movies.is_empty() {
                return Ok(Drained::Nothing);
            }
            let computed = compute_scores(connection, &movies).await?;
            follow_lists(connection, computed).await?;
            Ok(Drained::Films { films: movies.len() as u64, changed: computed.batch.changed })
        })
        .await
    }

    /// Computes the scores of the next `size` films for the entry that stands for all films, and takes it off the queue
    /// after the last. Entries like it that wait before it is begun are the same request. None where there is no such
    /// entry, or while somebody refreshes all films anyway.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; the batch is then undone.
    pub async fn drain_all_movies(&self, size: i64) -> Result<Drained, StoreError> {
        self.task("task_scores", async |connection| {
            if !try_lock(connection, DRAIN_LOCK).await? || !try_lock(connection, FULL_REFRESH_LOCK).await? {
                return Ok(Drained::LockedElsewhere);
            }
            lock_score_table(connection).await?;
            let entry = sqlx::query!(
                "SELECT id, done_id FROM cinegraph.score_refresh_queue
                 WHERE movie_id IS NULL ORDER BY done_id NULLS LAST, id LIMIT 1"
            );
            let Some(entry) = entry.fetch_optional(&mut *connection).await? else { return Ok(Drained::Nothing) };
            if entry.done_id.is_none() {
                sqlx::query!(
                    "DELETE FROM cinegraph.score_refresh_queue WHERE movie_id IS NULL AND done_id IS NULL AND id <> $1",
                    entry.id
                )
                .execute(&mut *connection)
                .await?;
            }
            let Some(movies) = next_movies(connection, entry.done_id.unwrap_or(i64::MIN), size).await? else {
                sqlx::query!("DELETE FROM cinegraph.score_refresh_queue WHERE id = $1", entry.id)
                    .execute(&mut *connection)
                    .await?;
                return Ok(Drained::Films { films: 0, changed: 0 });
            };
            let computed = compute_scores(connection, &movies).await?;
            follow_lists(connection, computed).await?;
            sqlx::query!(
                "UPDATE cinegraph.score_refresh_queue SET done_id = $2 WHERE id = $1",
                entry.id,
                computed.batch.last_id
            )
            .execute(&mut *connection)
            .await?;
            Ok(Drained::Films { films: movies.len() as u64, changed: computed.batch.changed })
        })
        .await
    }

    /// Takes the entries of the film that waits longest off the queue without computing it; says which film it was.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn drop_oldest_entry(&self) -> Result<Option<i64>, StoreError> {
        self.task("task_scores", async |connection| {
            let movie = sqlx::query_file_scalar!("src/store/sql/give_up_oldest_queued.sql");
            Ok(movie.fetch_optional(connection).await?.flatten())
        })
        .await
    }

    /// Puts one entry that stands for all films in the place of all that wait in the queue; says which. Until it is taken
    /// away, an interrupted refresh of all films is not forgotten. Entries that come meanwhile stay.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn queue_all_movies(&self) -> Result<i64, StoreError> {
        self.task("task_scores", async |connection| {
            let entry = sqlx::query_scalar!(
                "WITH covered AS (DELETE FROM cinegraph.score_refresh_queue)
                 INSERT INTO cinegraph.score_refresh_queue (reason) VALUES ('score_refresh') RETURNING id"
            );
            entry.fetch_one(connection).await
        })
        .await
    }

    /// Takes one entry off the queue.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn forget_queued(&self, entry: i64) -> Result<(), StoreError> {
        self.task("task_scores", async |connection| {
            sqlx::query!("DELETE FROM cinegraph.score_refresh_queue WHERE id = $1", entry)
                .execute(connection)
                .await
                .map(|_| ())
        })
        .await
    }
}

/// Takes a lock until the end of the transaction, unless somebody else has it.
async fn try_lock(connection: &mut PgConnection, key: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "taken!""#, key).fetch_one(connection).await
}

/// Asks for a new snapshot where films joined or left a list: validations go by it.
async fn follow_lists(connection: &mut PgConnection, computed: ScoreBatch) -> Result<(), sqlx::Error> {
    if computed.lists_changed {
        super::jobs::request(connection, Task::SnapshotRefresh, SNAPSHOT_AFTER).await?;
    }
    Ok(())
}
