//! The snapshot that validations read.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

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
        let read = async {
            let mut columns = SnapshotColumnsBuilder::default();
            let mut rows = sqlx::query_file!(
                "src/store/sql/snapshot_columns.sql",
                snapshot_list,
                decade.first_day(),
                decade.end()
            )
            .fetch(statement.connection());
            let mut films = 0;
            while let Some(row) = rows.try_next().await? {
                films += 1;
                columns.push(SnapshotRow {
                    id: MovieId(row.movie_id),
                    published: ScoreVector([
                        row.popular_opinion_score,
                        row.critical_acclaim_score,
                        row.industry_recognition_score,
                        row.cultural_impact_score,
                        row.people_quality_score,
                    ]),
                    blind_cultural_impact: row.blind_cultural_impact_score,
                    blind_people_quality: row.blind_people_quality_score,
                    popularity: row.popularity,
                    list_keys: row.list_keys,
                });
            }
            Ok((columns, films))
        }
        .await;
        let (columns, _) = statement.end(read, |(_, films)| *films)?;

        let mut statement = self.statement("unhittable_movies").await?;
        let unhittable =
            sqlx::query_file_scalar!("src/store/sql/unhittable_movies.sql", list_key, decade.first_day(), decade.end())
                .fetch_all(statement.connection())
                .await;
        let unhittable = statement.rows(unhittable)?.into_iter().map(MovieId).collect();
        Ok(columns.finish(unhittable))
    }
}
