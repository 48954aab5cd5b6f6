//! What computes stored scores: person quality, score table, blind scores and the snapshot, each set-based.
//!
//! Scores and person quality go in batches of ids, each its own transaction, so that memory stays bounded, readers
//! are never blocked and a run that was interrupted can simply be repeated.

use sqlx::postgres::PgAdvisoryLock;
use sqlx::{Connection, PgConnection};

use super::{Store, StoreError};
use crate::scoring::FORMULA_VERSION;

/// How far a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The last id of the batch: where the next one begins.
    pub last_id: i64,
    /// Rows computed.
    pub rows: u64,
    /// Rows that were not as stored, removed ones included.
    pub changed: u64,
}

/// What a refresh of scores changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Rows computed.
    pub rows: u64,
    /// Rows that were missing, different or left over.
    pub changed: u64,
}

impl Store {
    /// How many movies and people there are, for a progress bar.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn refresh_size(&self) -> Result<(u64, u64), StoreError> {
        let mut statement = self.statement("task_scores").await?;
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM public.movies) AS "movies!", (SELECT count(*) FROM public.people) AS "people!""#
        )
        .fetch_one(statement.connection())
        .await;
        let row = statement.done(row)?;
        Ok((row.movies.unsigned_abs(), row.people.unsigned_abs()))
    }

    /// Computes the quality of the next `size` people after `after`; none when there are no more.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; the batch is then undone.
    pub async fn refresh_person_quality(&self, after: i64, size: i64) -> Result<Option<Batch>, StoreError> {
        self.task("task_person_quality", async |connection| {
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

    /// Brings the stored scores of the next `size` movies after `after` up to date, and raises the versions of the
    /// decades that changed; none when there are no more.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; the batch is then undone.
    pub async fn refresh_scores(&self, after: i64, size: i64) -> Result<Option<Batch>, StoreError> {
        self.task("task_scores", async |connection| {
            let last = sqlx::query_scalar!(
                "SELECT max(id) FROM (SELECT id FROM public.movies WHERE id > $1 ORDER BY id LIMIT $2) AS batch",
                after,
                size
            );
            let Some(last_id) = last.fetch_one(&mut *connection).await? else { return Ok(None) };
            let row = sqlx::query_file!("src/store/sql/refresh_scores.sql", after, last_id, FORMULA_VERSION)
                .fetch_one(&mut *connection)
                .await?;
            Ok(Some(Batch { last_id, rows: row.computed.unsigned_abs(), changed: row.changed.unsigned_abs() }))
        })
        .await
    }

    /// Puts one entry that stands for all films in the place of all that wait in the queue; says which. Until it is taken
    /// away, an interrupted refresh of all films is not forgotten. Entries that come meanwhile stay.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn queue_all_films(&self) -> Result<i64, StoreError> {
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

    /// Lets the planner know what a refresh has written.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn analyze_people(&self) -> Result<(), StoreError> {
        self.task("task_person_quality", async |connection| {
            sqlx::query!("ANALYZE public.person_metrics").execute(connection).await.map(|_| ())
        })
        .await
    }

    /// Lets the planner know what a refresh has written.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn analyze_scores(&self) -> Result<(), StoreError> {
        self.task("task_scores", async |connection| {
            sqlx::query!("ANALYZE cinegraph.movie_discovery_scores").execute(connection).await.map(|_| ())
        })
        .await
    }

    /// Puts the films of a decade side by side in the score table. Nobody can read it meanwhile (7 s for a million films), so
    /// this is for a table that could not serve before either.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`] when others do not let go of the table, [`StoreError`] when the database does not answer.
    pub async fn order_scores(&self) -> Result<(), StoreError> {
        self.task("task_scores", async |connection| {
            // Who waits for the table makes all others wait.
            sqlx::query!("SET LOCAL lock_timeout = '1s'").execute(&mut *connection).await?;
            sqlx::query!("CLUSTER cinegraph.movie_discovery_scores USING movie_discovery_scores_release_date_idx")
                .execute(connection)
                .await
                .map(|_| ())
        })
        .await
    }

    /// Removes stored scores of movies that are gone; says how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn remove_orphaned_scores(&self) -> Result<u64, StoreError> {
        self.task("task_scores", async |connection| {
            let removed = sqlx::query_file_scalar!("src/store/sql/remove_orphaned_scores.sql");
            Ok(removed.fetch_one(&mut *connection).await?.unsigned_abs())
        })
        .await
    }

    /// Recomputes the blind scores of the target lists and takes a new snapshot, both of one state of the database.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; the former snapshot then stays.
    pub async fn refresh_snapshot(&self, target_lists: &[String]) -> Result<(), StoreError> {
        let name = "task_snapshot";
        let mut statement = self.statement(name).await?;
        let lock = PgAdvisoryLock::new("cinegraph snapshot");
        let refreshed = async {
            // Before the transaction: its snapshot of the data must be younger than what another refresh committed.
            let mut held = lock.acquire(statement.connection()).await?;
            let mut transaction = held.as_mut().begin().await?;
            sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *transaction).await?;
            without_limit(&mut transaction).await?;
            sqlx::query!("DELETE FROM cinegraph.target_lists WHERE list_key <> ALL ($1)", target_lists)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!(
                "INSERT INTO cinegraph.target_lists SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
                target_lists
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!("DELETE FROM cinegraph.movie_blind_scores").execute(&mut *transaction).await?;
            for list_key in target_lists {
                sqlx::query_file!("src/store/sql/refresh_blind_scores.sql", list_key)
                    .execute(&mut *transaction)
                    .await?;
            }
            let filled = sqlx::query_scalar!(
                r#"SELECT relispopulated AS "filled!" FROM pg_class WHERE oid = 'cinegraph.movie_scores'::regclass"#
            );
            if filled.fetch_one(&mut *transaction).await? {
                sqlx::query("REFRESH MATERIALIZED VIEW CONCURRENTLY cinegraph.movie_scores")
                    .execute(&mut *transaction)
                    .await?;
            } else {
                sqlx::query("REFRESH MATERIALIZED VIEW cinegraph.movie_scores").execute(&mut *transaction).await?;
            }
            sqlx::query_file!("src/store/sql/record_snapshot.sql", FORMULA_VERSION).execute(&mut *transaction).await?;
            transaction.commit().await?;
            held.release_now().await?;
            Ok(())
        }
        .await;
        statement.done(refreshed)
    }

    /// Runs the statements of one step of a task in a transaction without a time limit.
    pub(super) async fn task<T>(
        &self,
        name: &'static str,
        step: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut statement = self.statement(name).await?;
        let result = async {
            let mut transaction = statement.connection().begin().await?;
            without_limit(&mut transaction).await?;
            let result = step(&mut transaction).await?;
            transaction.commit().await?;
            Ok(result)
        }
        .await;
        statement.done(result)
    }
}

/// Lifts the time limit of statements until the end of the transaction: tasks take what they take.
async fn without_limit(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SET LOCAL statement_timeout = 0").execute(transaction).await.map(|_| ())
}
