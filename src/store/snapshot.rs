//! The snapshot that validations read.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::records::{DecodeError, RowDecoder};
use super::replica_reads::ReplicaQuery;
use super::statement_text::InstrumentedExecutor;
use crate::scoring::{Decade, MovieId, ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow};

/// Metadata of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Version of the formula.
    pub formula_version: i32,
    /// Target lists whose labels the blind basis can hide.
    pub target_lists: Vec<String>,
}

impl Store {
    /// Metadata of the snapshot; `None` before the first one.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let mut statement = self.statement(QueryName::Snapshot).await?;
        let row = sqlx::query_as!(
            Snapshot,
            r#"SELECT taken_at, formula_version,
                      ARRAY(SELECT list_key FROM cinegraph.target_lists ORDER BY list_key) AS "target_lists!"
               FROM cinegraph.snapshot"#
        )
        .fetch_optional(statement.connection())
        .await;
        statement.row(row)
    }

    /// First years of all decades with movies before `before`, ascending.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn decades_with_movies(&self, before: Decade) -> Result<Vec<i32>, StoreError> {
        let mut statement = self.statement(QueryName::DecadesWithMovies).await?;
        let rows = sqlx::query_file_scalar!("src/store/sql/decades_with_movies.sql", before.first_day())
            .fetch_all(statement.connection())
            .await;
        statement.rows(rows)
    }

    /// Columns of a decade's full movies in the snapshot, with both bases, and the movies on `list_key` that are not
    /// full. The blind scores ignore which movies are on `snapshot_list`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn snapshot_columns(
        &self,
        snapshot_list: &str,
        list_key: &str,
        decade: Decade,
    ) -> Result<SnapshotColumns, StoreError> {
        let (columns, read) = self.read(InSnapshot { list: snapshot_list, decade }).await?;
        read.map_err(|DecodeError| StoreError::Unreadable(QueryName::SnapshotColumns))?;
        let unhittable = self.read(NotFull { list: list_key, decade }).await?;
        Ok(columns.finish(unhittable.into_iter().map(MovieId).collect()))
    }
}

/// Query for the full movies of a decade; the blind scores ignore which movies are on `list`.
struct InSnapshot<'a> {
    list: &'a str,
    decade: Decade,
}

impl ReplicaQuery for InSnapshot<'_> {
    type Output = (SnapshotColumnsBuilder, Result<usize, DecodeError>);

    const NAME: QueryName = QueryName::SnapshotColumns;

    fn decade(&self) -> Decade {
        self.decade
    }

    async fn run(&self, connection: InstrumentedExecutor<'_>) -> Result<Self::Output, sqlx::Error> {
        let (from, until) = (self.decade.first_day(), self.decade.end());
        let mut columns = SnapshotColumnsBuilder::default();
        let mut read = Ok(0);
        let mut days =
            sqlx::query_file_scalar!("src/store/sql/snapshot_columns.sql", self.list, from, until).fetch(connection);
        while let Some(records) = days.try_next().await? {
            read = read.and_then(|movies| Ok(movies + add_movies(&mut columns, &records)?));
        }
        Ok((columns, read))
    }

    fn rows((_, read): &Self::Output) -> usize {
        read.unwrap_or_default()
    }
}

/// Query for a decade's movies on a list that are not full.
struct NotFull<'a> {
    list: &'a str,
    decade: Decade,
}

impl ReplicaQuery for NotFull<'_> {
    type Output = Vec<i64>;

    const NAME: QueryName = QueryName::UnhittableMovies;

    fn decade(&self) -> Decade {
        self.decade
    }

    async fn run(&self, connection: InstrumentedExecutor<'_>) -> Result<Self::Output, sqlx::Error> {
        let (from, until) = (self.decade.first_day(), self.decade.end());
        sqlx::query_file_scalar!("src/store/sql/unhittable_movies.sql", self.list, from, until)
            .fetch_all(connection)
            .await
    }

    fn rows(movies: &Self::Output) -> usize {
        movies.len()
    }
}

/// Adds the movies whose records are concatenated in `records`; returns their number.
fn add_movies(columns: &mut SnapshotColumnsBuilder, records: &[u8]) -> Result<usize, DecodeError> {
    let mut reader = RowDecoder::new(records);
    let mut movies = 0;
    while !reader.is_at_end() {
        columns.push(SnapshotRow {
            id: MovieId(reader.i64()?),
            published: ScoreVector(reader.f64s()?),
            blind_cultural_impact: reader.f64()?,
            blind_people_quality: reader.f64()?,
            popularity: reader.f64()?,
            list_keys: reader.texts()?,
        });
        movies += 1;
    }
    Ok(movies)
}
