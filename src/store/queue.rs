//! The queue of movies whose scores must be recomputed.
//!
//! An entry names one movie, or stands for all movies; several entries may name the same movie. Triggers and requests
//! append entries. An entry is removed in the transaction that stores the computed scores, so that none is lost if the
//! program or its connection fails.

use chrono::{DateTime, Utc};

use super::connection::Connection;
use super::error::StoreError;
use super::folded_titles::{fold_titles, unkeyed_titles};
use super::jobs;
use super::pool::Store;
use super::query_name::QueryName;
use super::refresh::{FULL_REFRESH_LOCK, ScoreBatch, compute_scores, lock_score_table, next_movies};
use super::task::Task;
use super::transaction::BATCH_LIMIT;
use crate::scoring::{Decade, FORMULA_VERSION, MovieId};

/// Advisory lock of the drain, held during one batch, so that only one instance drains.
const DRAIN_LOCK: i64 = 0x6369_6e65_0003;

/// Up to this many scores of a newer formula version are recomputed in a decade, because they keep the score table from
/// serving it. More of them come from a newer release that is being rolled out, and must not be undone. A choice: far
/// below the number of movies of a decade.
const NEWER_MAX: i64 = 100;

/// Delay of the snapshot after a list change, so that one snapshot covers several changes. A choice: validations use
/// the previous snapshot meanwhile.
pub(super) const SNAPSHOT_AFTER: &str = "10 seconds";

/// Outcome of one batch of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The queue was empty.
    Nothing,
    /// Another instance drains the queue, or a full refresh computes all movies.
    LockedElsewhere,
    /// Scores were computed.
    Movies {
        /// Movies computed.
        movies: u64,
        /// Movies whose scores changed.
        changed: u64,
    },
}

/// Length of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLength {
    /// Number of distinct movies; an estimate of the number of all movies if an entry stands for all.
    pub movies: u64,
    /// When the oldest entry was queued; `None` if the queue is empty.
    pub oldest: Option<DateTime<Utc>>,
}

/// A request to recompute scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRequest {
    /// Highest id of its entries. The request is complete when the queue has no entry up to this id.
    pub last_entry: i64,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
}

impl Store {
    /// Queues movies for recomputation: those with these `ids`, or all movies for `None`. `ids` must not be empty; a
    /// repeated id is queued once.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn request_scores(&self, ids: Option<&[MovieId]>) -> Result<RefreshRequest, StoreError> {
        let mut statement = self.statement(QueryName::RequestScores).await?;
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
        .await;
        statement.finish(request)
    }

    /// Queues the movies of a decade whose stored scores have another formula version, unless they are queued already;
    /// those with a newer version only if they are few (see `NEWER_MAX`). Returns the number of movies that it queued.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn queue_outdated(&self, decade: Decade) -> Result<u64, StoreError> {
        let mut statement = self.statement(QueryName::RequestScores).await?;
        let queued = sqlx::query_file!(
            "src/store/sql/queue_outdated_scores.sql",
            decade.first_day(),
            decade.end(),
            FORMULA_VERSION,
            NEWER_MAX
        )
        .execute(statement.connection())
        .await;
        Ok(statement.finish(queued)?.rows_affected())
    }

    /// Whether there is work for the drain: queued movies, titles, names of genres and countries, or added people.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn is_anything_queued(&self) -> Result<bool, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let any = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM cinegraph.score_refresh_queue) OR EXISTS (SELECT FROM cinegraph.title_queue)
                      OR EXISTS (SELECT FROM cinegraph.name_changes)
                      OR EXISTS (SELECT FROM cinegraph.folded_titles WHERE keyed IS DISTINCT FROM title)
                      OR EXISTS (SELECT FROM public.people AS p
                                 WHERE p.id > coalesce((SELECT max(person_id) - 1000 FROM cinegraph.folded_names),
                                                       -9223372036854775808)
                                   AND p.name IS NOT NULL
                                   AND NOT EXISTS (SELECT FROM cinegraph.folded_names AS f WHERE f.person_id = p.id)) AS "any!""#
        )
        .fetch_one(statement.connection())
        .await;
        statement.finish(any)
    }

    /// Length of the queue. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn queue_length(&self) -> Result<QueueLength, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let row = sqlx::query_file!("src/store/sql/queue_length.sql").fetch_one(statement.connection()).await;
        let row = statement.finish(row)?;
        Ok(QueueLength { movies: row.films.unsigned_abs(), oldest: row.oldest })
    }

    /// Removes the oldest `size` entries that name a movie from the queue, and computes the scores of these movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable or a movie cannot be computed; the entries then stay.
    pub async fn drain_movies(&self, size: i64) -> Result<Drained, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            if !try_drain_lock(connection).await? {
                return Ok(Drained::LockedElsewhere);
            }
            lock_score_table(connection).await?;
            // The entries are removed before the scores are computed: a change that queues a movie meanwhile adds an
            // entry that stays.
            let movies = sqlx::query_file_scalar!("src/store/sql/take_queued_movies.sql", size)
                .fetch_all(&mut *connection)
                .await?;
            if movies.is_empty() {
                return Ok(Drained::Nothing);
            }
            let computed = compute_scores(connection, &movies).await?;
            request_snapshot_if_needed(connection, computed).await?;
            // Movies that no ranking contains have no stored scores, so `compute_scores` does not notice that they
            // changed.
            sqlx::query_file!("src/store/sql/raise_unranked.sql", &movies).fetch_one(connection).await?;
            Ok(Drained::Movies { movies: movies.len() as u64, changed: computed.batch.changed })
        })
        .await
    }

    /// Continues the pass over all movies that the oldest entry for all movies asks for: computes the scores of its
    /// next `size` movies, and removes the entry after the last batch. The pass also covers entries of this kind that
    /// were queued before it starts. Returns [`Drained::Nothing`] without such an entry; with one,
    /// [`Drained::LockedElsewhere`] also during a full refresh, which computes all movies itself.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the batch is then rolled back.
    pub async fn drain_all_movies(&self, size: i64) -> Result<Drained, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            if !try_drain_lock(connection).await? {
                return Ok(Drained::LockedElsewhere);
            }
            // A pass that has begun (`done_id` is set) comes first.
            let oldest = || {
                sqlx::query!(
                    "SELECT id, done_id FROM cinegraph.score_refresh_queue
                 WHERE movie_id IS NULL ORDER BY done_id NULLS LAST, id LIMIT 1"
                )
            };
            // Read first: a full refresh that finds its lock taken is skipped, so a poll that has nothing to do must not
            // take it.
            if oldest().fetch_optional(&mut *connection).await?.is_none() {
                return Ok(Drained::Nothing);
            }
            if !try_lock(connection, FULL_REFRESH_LOCK).await? {
                return Ok(Drained::LockedElsewhere);
            }
            lock_score_table(connection).await?;
            // Read again, since a full refresh may have removed the entry before the lock was taken.
            let Some(entry) = oldest().fetch_optional(&mut *connection).await? else { return Ok(Drained::Nothing) };
            // A pass that starts now covers all these entries. One that has begun does not: movies that it has passed
            // may have changed since, so the later entries stay and get a pass of their own.
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
                return Ok(Drained::Movies { movies: 0, changed: 0 });
            };
            let computed = compute_scores(connection, &movies).await?;
            request_snapshot_if_needed(connection, computed).await?;
            sqlx::query!(
                "UPDATE cinegraph.score_refresh_queue SET done_id = $2 WHERE id = $1",
                entry.id,
                computed.batch.last_id
            )
            .execute(&mut *connection)
            .await?;
            Ok(Drained::Movies { movies: movies.len() as u64, changed: computed.batch.changed })
        })
        .await
    }

    /// Folds the titles that the oldest `size` queued entries name, and those of the next `size` movies of a pass over
    /// all movies if an entry asks for one; without either, the titles whose words a previous version of the program has
    /// not derived. Returns whether there were any; false as well while another instance drains.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the entries then stay.
    pub async fn fold_queued_titles(&self, size: i64) -> Result<bool, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            if !try_drain_lock(connection).await? {
                return Ok(false);
            }
            // A full refresh folds titles under this lock too: of two transactions that fold the same movie at once,
            // the later one could store the older title.
            lock_score_table(connection).await?;
            let mut movies = sqlx::query_file_scalar!("src/store/sql/take_queued_titles.sql", size)
                .fetch_all(&mut *connection)
                .await?;
            let pass = next_titles_of_pass(connection, size).await?;
            let mut any = !movies.is_empty() || pass.is_some();
            movies.extend(pass.into_iter().flatten());
            if !any {
                movies = unkeyed_titles(connection, size).await?;
                any = !movies.is_empty();
            }
            fold_titles(connection, &movies).await?;
            Ok(any)
        })
        .await
    }

    /// If genres or countries were added, renamed or removed, raises the versions of the reference data and of all
    /// decades, which show their names. Returns whether there was such a change.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the changes then stay queued.
    pub async fn raise_renamed(&self) -> Result<bool, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            // Batches of scores, which hold this lock too, also raise versions of decades and of the reference data,
            // but not always in the same order. Without the lock, they and this transaction could deadlock.
            lock_score_table(connection).await?;
            let raised = sqlx::query_file_scalar!("src/store/sql/raise_renamed.sql").fetch_one(connection).await?;
            Ok(raised > 0)
        })
        .await
    }

    /// Gives up on the movie that was queued first: removes all of its entries without computing its scores. Returns
    /// its id; `None` if no entry names a movie.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn drop_oldest_entry(&self) -> Result<Option<i64>, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            let movie = sqlx::query_file_scalar!("src/store/sql/give_up_oldest_queued.sql");
            Ok(movie.fetch_optional(connection).await?.flatten())
        })
        .await
    }

    /// Replaces all queued entries by one that stands for all movies; returns the id of this entry. A full refresh
    /// calls this when it starts, and removes the entry when it has finished: if it is interrupted, the entry makes the
    /// drain compute all movies. Entries that are queued later stay, because the refresh may already have passed their
    /// movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn queue_all_movies(&self) -> Result<i64, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            let entry = sqlx::query_scalar!(
                "WITH covered AS (DELETE FROM cinegraph.score_refresh_queue)
                 INSERT INTO cinegraph.score_refresh_queue (reason) VALUES ('score_refresh') RETURNING id"
            );
            entry.fetch_one(connection).await
        })
        .await
    }

    /// Removes one entry from the queue.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn remove_entry(&self, entry: i64) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            sqlx::query!("DELETE FROM cinegraph.score_refresh_queue WHERE id = $1", entry)
                .execute(connection)
                .await
                .map(|_| ())
        })
        .await
    }
}

/// The next `size` movies of the pass over all titles; records in the entry that asks for the pass that they are done.
/// After the last movie, removes the entry and returns no movies. `None` if there is no such entry.
async fn next_titles_of_pass(connection: &mut Connection, size: i64) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let entry = sqlx::query!(
        "SELECT id, done_id FROM cinegraph.title_queue WHERE movie_id IS NULL ORDER BY done_id NULLS LAST, id LIMIT 1"
    );
    let Some(entry) = entry.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let after = entry.done_id.unwrap_or(i64::MIN);
    let movies = sqlx::query_file_scalar!("src/store/sql/next_titles.sql", after, size);
    let movies = movies.fetch_all(&mut *connection).await?;
    match movies.last() {
        Some(last) => {
            let done = sqlx::query!("UPDATE cinegraph.title_queue SET done_id = $2 WHERE id = $1", entry.id, last);
            done.execute(connection).await?;
        }
        None => {
            _ = sqlx::query!("DELETE FROM cinegraph.title_queue WHERE id = $1", entry.id).execute(connection).await?;
        }
    }
    Ok(Some(movies))
}

/// Takes the lock of the drain until the end of the transaction; `false` if another instance drains.
pub(super) async fn try_drain_lock(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    try_lock(connection, DRAIN_LOCK).await
}

/// Takes an advisory lock until the end of the transaction; `false` if another session holds it.
async fn try_lock(connection: &mut Connection, key: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "taken!""#, key).fetch_one(connection).await
}

/// Requests a new snapshot if a movie joined or left a list: the lists and the blind scores in the snapshot are then
/// outdated. Validations rank by these scores, and count which of the top-ranked movies are on the list.
async fn request_snapshot_if_needed(connection: &mut Connection, computed: ScoreBatch) -> Result<(), sqlx::Error> {
    if computed.lists_changed {
        jobs::request(connection, Task::SnapshotRefresh, SNAPSHOT_AFTER).await?;
    }
    Ok(())
}
