//! Movies: by id and by an external id.

use chrono::NaiveDate;
use serde_json::Value;

use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::MovieId;

/// A movie without its details.
#[derive(Debug, Clone, PartialEq)]
pub struct Movie {
    /// Database id.
    pub id: MovieId,
    /// `TMDb` id; `None` for a movie without one.
    pub tmdb_id: Option<i32>,
    /// `IMDb` id, "tt…".
    pub imdb_id: Option<String>,
    /// Title.
    pub title: String,
    /// Release date.
    pub release_date: Option<NaiveDate>,
    /// Language code of two letters (ISO 639-1).
    pub original_language: Option<String>,
    /// Path of the poster at `TMDb`.
    pub poster_path: Option<String>,
    /// List memberships, sorted by the key of the list.
    pub lists: Vec<Membership>,
}

/// Membership of a movie in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Key of the list.
    pub list_key: String,
    /// Position on the list, if the list is numbered.
    pub position: Option<i32>,
    /// Edition of the list that added the movie, if known.
    pub edition: Option<String>,
}

/// Key of a movie lookup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MovieKey {
    /// Database id.
    Id(MovieId),
    /// `TMDb` id.
    Tmdb(i32),
    /// `IMDb` id.
    Imdb(String),
}

impl Store {
    /// Existing movies among `ids`, in no particular order. For requests to recompute scores, under whose name it is
    /// measured.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn existing_movies(&self, ids: &[MovieId]) -> Result<Vec<MovieId>, StoreError> {
        let ids = numbers(ids);
        let mut statement = self.statement(QueryName::RequestScores).await?;
        let rows = sqlx::query_scalar!("SELECT id FROM public.movies WHERE id = ANY ($1)", &ids)
            .fetch_all(statement.connection())
            .await;
        Ok(statement.rows(rows)?.into_iter().map(MovieId).collect())
    }

    /// Movies by id, in no particular order; omits unknown ids.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_id(&self, ids: &[MovieId]) -> Result<Vec<Movie>, StoreError> {
        let ids = numbers(ids);
        let mut statement = self.statement(QueryName::MoviesById).await?;
        let rows = sqlx::query!(
            "SELECT id, tmdb_id, imdb_id, title, release_date, original_language, poster_path, canonical_sources
             FROM public.movies WHERE id = ANY ($1)",
            &ids
        )
        .fetch_all(statement.connection())
        .await;
        Ok(statement
            .rows(rows)?
            .into_iter()
            .map(|row| Movie {
                id: MovieId(row.id),
                tmdb_id: real_tmdb_id(row.tmdb_id),
                imdb_id: row.imdb_id,
                title: row.title,
                release_date: row.release_date,
                original_language: row.original_language,
                poster_path: row.poster_path,
                lists: memberships(row.canonical_sources.as_ref()),
            })
            .collect())
    }

    /// Id of the movie with a key; `None` if there is none, the lowest id if several movies have the same `IMDb` id. A
    /// `TMDb` id that a movie has had before finds this movie, unless another one has it now; so does the id of a movie
    /// that was merged with it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movie_id(&self, key: &MovieKey) -> Result<Option<MovieId>, StoreError> {
        // The parameters that are NULL match no movie.
        let (id, tmdb, imdb) = match key {
            MovieKey::Id(id) => (Some(id.0), None, None),
            MovieKey::Tmdb(id) => (None, Some(*id), None),
            MovieKey::Imdb(id) => (None, None, Some(id.as_str())),
        };
        let mut statement = self.statement(QueryName::MovieId).await?;
        let row = sqlx::query_scalar!(
            "SELECT id FROM public.movies
             WHERE id = $1 OR tmdb_id = $2 OR imdb_id = nullif($3, '')
                OR id = (SELECT movie_id FROM cinegraph.former_movie_ids WHERE id = $1)
                OR id = (SELECT movie_id FROM cinegraph.former_tmdb_ids WHERE tmdb_id = $2)
             ORDER BY tmdb_id IS NOT DISTINCT FROM $2 DESC, id LIMIT 1",
            id,
            tmdb,
            imdb
        )
        .fetch_optional(statement.connection())
        .await;
        Ok(statement.row(row)?.map(MovieId))
    }

    /// Ids of the movies with these `TMDb` ids and then with these `IMDb` ids, in this order, under the same rules as
    /// [`Store::movie_id`].
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movie_ids(&self, tmdb_ids: &[i32], imdb_ids: &[String]) -> Result<Vec<Option<MovieId>>, StoreError> {
        let mut statement = self.statement(QueryName::MovieId).await?;
        let rows = sqlx::query_file_scalar!("src/store/sql/movie_ids.sql", tmdb_ids, imdb_ids)
            .fetch_all(statement.connection())
            .await;
        Ok(statement.rows(rows)?.into_iter().map(|id| id.map(MovieId)).collect())
    }
}

pub(super) fn numbers(ids: &[MovieId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

/// The `TMDb` id of a row; `None` if the column, which must not be NULL, has a negative number instead. Imports write
/// such numbers for rows of sources without `TMDb` ids.
pub(super) fn real_tmdb_id(tmdb_id: i32) -> Option<i32> {
    Some(tmdb_id).filter(|id| *id >= 0)
}

/// Memberships, sorted by key; empty if the column is not a JSON object.
fn memberships(sources: Option<&Value>) -> Vec<Membership> {
    let Some(Value::Object(sources)) = sources else { return Vec::new() };
    sources.iter().map(|(key, entry)| membership(key, entry)).collect()
}

/// The membership in a list, from the list's entry in `canonical_sources`.
pub(super) fn membership(list_key: &str, entry: &Value) -> Membership {
    Membership {
        list_key: list_key.to_owned(),
        position: entry.get("list_position").and_then(Value::as_i64).and_then(|position| i32::try_from(position).ok()),
        edition: entry.get("edition").and_then(|edition| match edition {
            Value::String(edition) => Some(edition.clone()),
            Value::Number(edition) => Some(edition.to_string()),
            _ => None,
        }),
    }
}
