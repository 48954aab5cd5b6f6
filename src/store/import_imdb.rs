//! Movies and people that an import of IMDb's dumps must not add again: those that the database has from other sources.

use super::error::StoreError;
use super::import::Import;

/// A movie that has an IMDb id and comes from another source than IMDb's dumps.
#[derive(Debug, Clone, Copy)]
pub struct KnownMovie {
    /// Number of its IMDb id: 111161 for `tt0111161`.
    pub number: i32,
    /// TMDb id.
    pub tmdb_id: i32,
    /// Whether it has credits from other sources.
    pub has_credits: bool,
}

/// A person who has an IMDb id and comes from another source than IMDb's dumps.
#[derive(Debug, Clone, Copy)]
pub struct KnownPerson {
    /// Number of the IMDb id: 151 for `nm0000151`.
    pub number: i32,
    /// TMDb id.
    pub tmdb_id: i32,
}

impl Import {
    /// Movies with an IMDb id from other sources. If several share an id, the one with the lowest `tmdb_id`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn known_movies(&mut self) -> Result<Vec<KnownMovie>, StoreError> {
        let known = sqlx::query_file_as!(KnownMovie, "src/store/sql/import_imdb_known_films.sql")
            .fetch_all(self.transaction.connection())
            .await;
        self.transaction.checked(known)
    }

    /// People with an IMDb id from other sources. If several share an id, the one with the lowest `tmdb_id`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn known_people(&mut self) -> Result<Vec<KnownPerson>, StoreError> {
        let known = sqlx::query_file_as!(KnownPerson, "src/store/sql/import_imdb_known_people.sql")
            .fetch_all(self.transaction.connection())
            .await;
        self.transaction.checked(known)
    }
}
