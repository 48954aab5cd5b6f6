//! The snapshot that validations read.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

use super::records::{Reader, Unreadable};
use super::{Store, StoreError};
use crate::scoring::{Decade, MovieId, ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow};

/// What the snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// By which formula.
    pub formula_version: i32,
    /// The lists whose labels it can hide.
    pub target_lists: Vec<String>,
}

impl Store {
    /// When and how the snapshot was taken; none where none was yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let mut statement = self.statement("snapshot").await?;
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

    /// The first years of all decades before the one given in which a movie was released, ascending.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn decades_with_movies(&self, before: Decade) -> Result<Vec<i32>, StoreError> {
        let mut statement = self.statement("decades_with_movies").await?;
        let rows = sqlx::query_file_scalar!("src/store/sql/decades_with_movies.sql", before.first_day())
            .fetch_all(statement.connection())
            .await;
        statement.rows(rows)
    }

    /// The full films of a decade as the snapshot has them, with both bases of a target list, and the films on `list_key`
    /// that are not full. `snapshot_list` is the target list whose labels the blind basis hides.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn snapshot_columns(
        &self,
        snapshot_list: &str,
        list_key: &str,
        decade: Decade,
    ) -> Result<SnapshotColumns, StoreError> {
        let mut statement = self.statement("snapshot_columns").await?;
        let mut columns = SnapshotColumnsBuilder::default();
        let read = async {
            let mut days = sqlx::query_file_scalar!(
                "src/store/sql/snapshot_columns.sql",
                snapshot_list,
                decade.first_day(),
                decade.end()
            )
            .fetch(statement.connection());
            let mut read = Ok(0);
            while let Some(records) = days.try_next().await? {
                read = read.and_then(|films| Ok(films + add_films(&mut columns, &records)?));
            }
            Ok(read)
        };
        let read = read.await;
        statement
            .end(read, |films| films.unwrap_or_default())?
            .map_err(|Unreadable| StoreError::Unreadable("snapshot_columns"))?;

        let mut statement = self.statement("unhittable_movies").await?;
        let unhittable =
            sqlx::query_file_scalar!("src/store/sql/unhittable_movies.sql", list_key, decade.first_day(), decade.end())
                .fetch_all(statement.connection())
                .await;
        let unhittable = statement.rows(unhittable)?.into_iter().map(MovieId).collect();
        Ok(columns.finish(unhittable))
    }
}

/// Adds the films whose records stand end to end in `records`; says how many.
fn add_films(columns: &mut SnapshotColumnsBuilder, records: &[u8]) -> Result<usize, Unreadable> {
    let mut reader = Reader::new(records);
    let mut films = 0;
    while !reader.is_at_end() {
        columns.push(SnapshotRow {
            id: MovieId(reader.i64()?),
            published: ScoreVector(reader.f64s()?),
            blind_cultural_impact: reader.f64()?,
            blind_people_quality: reader.f64()?,
            popularity: reader.f64()?,
            list_keys: reader.texts()?,
        });
        films += 1;
    }
    Ok(films)
}
