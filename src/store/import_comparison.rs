//! What a staged file would replace: compared before it is merged.

use chrono::NaiveDateTime;
use futures_util::TryStreamExt;

use super::error::StoreError;
use super::import::Import;
use super::import_staging::Staging;

/// A staged movie beside the one of the database that it changes.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ComparedMovie {
    /// Line of the movie in the file.
    #[sqlx(try_from = "i64")]
    pub line: u64,
    /// TMDb id in the file.
    pub tmdb_id: i32,
    /// TMDb id in the database: another one if only the IMDb ids are equal, and then negative if the movie came from
    /// IMDb's dumps.
    pub stored_tmdb_id: i32,
    /// Title in the file.
    pub title: String,
    /// Title in the database.
    pub stored_title: String,
    /// Year in the file.
    pub year: Option<i32>,
    /// Year in the database.
    pub stored_year: Option<i32>,
    /// IMDb id in the file.
    pub imdb_id: Option<String>,
    /// IMDb id in the database.
    pub stored_imdb_id: Option<String>,
    /// Columns and values of the database for which the file has no value.
    pub removed: Vec<String>,
}

/// Staged rows that replace more recent values, or remove values.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReplacingRows {
    /// How many.
    #[sqlx(try_from = "i64")]
    pub count: u64,
    /// Line of the first.
    #[sqlx(try_from = "i64")]
    pub line: u64,
    /// What the first replaces.
    pub value: String,
}

impl Import {
    /// Passes each staged movie to `compare` that the database has under its TMDb id, or under an IMDb id that no other
    /// staged movie keeps. `columns`: the optional columns that the file has.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn compare_movies(
        &mut self,
        columns: &[&str],
        compare: &mut (dyn FnMut(ComparedMovie) + Send),
    ) -> Result<(), StoreError> {
        let compared = async {
            let movies = sqlx::query_as(include_str!("sql/import_compared_movies.sql")).bind(columns);
            let mut movies = movies.fetch(self.transaction.connection());
            while let Some(movie) = movies.try_next().await? {
                compare(movie);
            }
            Ok(())
        };
        let compared = compared.await;
        self.transaction.checked(compared)
    }

    /// The staged metrics that replace others of a later time, and the staged list entries and credits that remove
    /// values. `time`: that of the file, if its rows have none.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn replacing_rows(
        &mut self,
        staging: Staging,
        time: Option<NaiveDateTime>,
    ) -> Result<Option<ReplacingRows>, StoreError> {
        let Some(statement) = staging.comparison_statement() else { return Ok(None) };
        let rows = sqlx::query_as(statement).bind(time).fetch_optional(self.transaction.connection()).await;
        self.transaction.checked(rows)
    }
}
