//! Known ids that an import of IMDb's dumps reads from the database first.

use super::import::Import;

/// A movie with an IMDb id from another source.
#[derive(Debug, Clone, Copy)]
pub struct KnownMovie {
    /// Number of its IMDb id.
    pub number: i32,
    /// TMDb id.
    pub tmdb_id: i32,
    /// Whether it has credits from other sources.
    pub has_credits: bool,
}

/// A person with an IMDb id from another source.
#[derive(Debug, Clone, Copy)]
pub struct KnownPerson {
    /// Number of the IMDb id.
    pub number: i32,
    /// TMDb id.
    pub tmdb_id: i32,
}

impl Import {
    /// Movies with an IMDb id from other sources. If several share an id, the one with the lowest `tmdb_id`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn known_films(&mut self) -> sqlx::Result<Vec<KnownMovie>> {
        sqlx::query_file_as!(KnownMovie, "src/store/sql/import_imdb_known_films.sql")
            .fetch_all(&mut *self.transaction)
            .await
    }

    /// People with an IMDb id from other sources, selected likewise.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn known_people(&mut self) -> sqlx::Result<Vec<KnownPerson>> {
        sqlx::query_file_as!(KnownPerson, "src/store/sql/import_imdb_known_people.sql")
            .fetch_all(&mut *self.transaction)
            .await
    }
}
