//! What an import of IMDb's dumps asks of the database before it reads them.

use super::import::Import;

/// A film with an IMDb id that another source describes.
#[derive(Debug, Clone, Copy)]
pub struct KnownMovie {
    /// The number in its IMDb id.
    pub number: i32,
    /// Its id at TMDb.
    pub tmdb_id: i32,
    /// Whether it has credits that are not IMDb's.
    pub has_credits: bool,
}

/// A person with an IMDb id whom another source describes.
#[derive(Debug, Clone, Copy)]
pub struct KnownPerson {
    /// The number in their IMDb id.
    pub number: i32,
    /// Their id at TMDb.
    pub tmdb_id: i32,
}

impl Import {
    /// The films with an IMDb id that other sources describe. Of several with the same id, the one with the lowest
    /// `tmdb_id`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_films(&mut self) -> sqlx::Result<Vec<KnownMovie>> {
        sqlx::query_file_as!(KnownMovie, "src/store/sql/import_imdb_known_films.sql")
            .fetch_all(&mut *self.transaction)
            .await
    }

    /// The people with an IMDb id whom other sources describe, chosen likewise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_people(&mut self) -> sqlx::Result<Vec<KnownPerson>> {
        sqlx::query_file_as!(KnownPerson, "src/store/sql/import_imdb_known_people.sql")
            .fetch_all(&mut *self.transaction)
            .await
    }
}
