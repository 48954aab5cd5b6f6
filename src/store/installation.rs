//! Installation: ownership and origin of the catalogue.

use super::error::{SchemaError, StoreError};
use super::pool::Store;
use super::query_name::QueryName;

/// Origin of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueOrigin {
    /// Generated.
    Generated {
        /// Number of movies.
        movies: u32,
        /// Seed of the generator.
        seed: u64,
    },
    /// Imported from files.
    Imported,
}

/// Ownership and origin of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Whether Cinegraph owns the movie tables; otherwise they are host tables.
    pub owns_catalogue: bool,
    /// Origin of the catalogue; `None` for empty tables and host tables.
    pub origin: Option<CatalogueOrigin>,
}

/// Origin of the movies, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOrigin {
    /// Generated: the movies do not exist.
    Generated,
    /// Imported from files.
    Imported,
    /// Tables of the host application.
    Host,
    /// Nothing was imported or generated yet.
    Unknown,
}

impl Installation {
    /// Origin of the movies.
    #[must_use]
    pub fn data_origin(&self) -> DataOrigin {
        match self.origin {
            Some(CatalogueOrigin::Generated { .. }) => DataOrigin::Generated,
            Some(CatalogueOrigin::Imported) => DataOrigin::Imported,
            None if self.owns_catalogue => DataOrigin::Unknown,
            None => DataOrigin::Host,
        }
    }
}

impl Store {
    /// Gives the schema a new random identity, so that no instance uses what it has cached. A copy of a database needs one
    /// too: with the same identity, it would share cached data in Redis with the original. Notifies all instances.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn renew_identity(&self) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::Installation).await?;
        let renewed = sqlx::query!(
            "WITH renewed AS (UPDATE cinegraph.installation SET identity = gen_random_uuid())
             SELECT pg_notify('cinegraph_events', 'identity')"
        )
        .execute(statement.connection())
        .await;
        statement.finish(renewed.map(|_| ()))
    }

    /// Gives the schema a new random identity if it still has the identity `seen`: if several instances notice at once
    /// that a new one is needed, only the first one sets it. Sends no notification, because every instance reads the
    /// identity every second.
    pub(super) async fn replace_identity(&self, seen: &str) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::Installation).await?;
        let replaced = sqlx::query!(
            "UPDATE cinegraph.installation SET identity = gen_random_uuid() WHERE identity::text = $1",
            seen
        )
        .execute(statement.connection())
        .await;
        statement.finish(replaced.map(|_| ()))
    }

    /// Reads the installation.
    ///
    /// # Errors
    /// [`SchemaError::NotMigrated`] if migrations are missing; [`StoreError`] if the database is unavailable.
    pub async fn installation(&self) -> Result<Installation, StoreError> {
        self.require_migrations().await?;
        let mut statement = self.statement(QueryName::Installation).await?;
        // The seed is read as text, because a `bigint` does not hold every `u64`.
        let row = sqlx::query!(
            "SELECT owns_catalogue, catalogue_origin,
                    (catalogue_detail ->> 'films')::bigint AS films, (catalogue_detail ->> 'seed')::numeric::text AS seed
             FROM cinegraph.installation"
        )
        .fetch_optional(statement.connection())
        .await;
        let row = statement.row(row)?.ok_or(SchemaError::NotMigrated)?;
        let origin = match row.catalogue_origin.as_deref() {
            Some("generated") => {
                let movies = row.films.and_then(|movies| u32::try_from(movies).ok()).unwrap_or_default();
                let seed = row.seed.and_then(|seed| seed.parse().ok()).unwrap_or_default();
                Some(CatalogueOrigin::Generated { movies, seed })
            }
            Some(_) => Some(CatalogueOrigin::Imported),
            None => None,
        };
        Ok(Installation { owns_catalogue: row.owns_catalogue, origin })
    }
}
