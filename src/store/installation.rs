//! What this database is: whose the film tables are, and what filled them.

use super::{SchemaError, Store, StoreError, WithDeadline, migrator};

/// What filled the film tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueOrigin {
    /// Our generator.
    Generated {
        /// How many films.
        films: u32,
        /// From which seed.
        seed: u64,
    },
    /// Somebody's files.
    Imported,
}

/// Whose the film tables are, and what filled them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Whether our migrations made the film tables; otherwise they are another application's.
    pub owns_catalogue: bool,
    /// What filled them; none where they are empty, or another application's.
    pub origin: Option<CatalogueOrigin>,
}

/// Where the movies come from, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOrigin {
    /// Our generator: they do not exist.
    Generated,
    /// Files.
    Imported,
    /// The tables of another application.
    Host,
    /// Nothing was imported or generated here yet.
    Unknown,
}

impl Installation {
    /// Where the movies come from.
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
    /// What this database is.
    ///
    /// # Errors
    /// [`SchemaError::NotMigrated`] when migrations are missing; [`StoreError`] when the database does not answer.
    pub async fn installation(&self) -> Result<Installation, StoreError> {
        self.require_migrations().await?;
        let mut statement = self.statement("installation").await?;
        let row = sqlx::query!(
            "SELECT owns_catalogue, catalogue_origin,
                    (catalogue_detail ->> 'films')::bigint AS films, (catalogue_detail ->> 'seed')::numeric::text AS seed
             FROM cinegraph.installation"
        )
        .fetch_optional(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        let row = statement.row(row)?.ok_or(SchemaError::NotMigrated)?;
        let origin = match row.catalogue_origin.as_deref() {
            Some("generated") => {
                let films = row.films.and_then(|films| u32::try_from(films).ok()).unwrap_or_default();
                let seed = row.seed.and_then(|seed| seed.parse().ok()).unwrap_or_default();
                Some(CatalogueOrigin::Generated { films, seed })
            }
            Some(_) => Some(CatalogueOrigin::Imported),
            None => None,
        };
        Ok(Installation { owns_catalogue: row.owns_catalogue, origin })
    }

    /// The database must have every migration of this program; one of a newer program too is fine.
    async fn require_migrations(&self) -> Result<(), StoreError> {
        let mut statement = self.statement("installation").await?;
        let applied = sqlx::query_scalar::<_, i64>(
            "SELECT version FROM cinegraph._sqlx_migrations WHERE success ORDER BY version",
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        let applied = match applied {
            // No such table, or no such schema.
            Err(sqlx::Error::Database(refusal)) if matches!(refusal.code().as_deref(), Some("42P01" | "3F000")) => {
                statement.done(Ok(()))?;
                return Err(SchemaError::NotMigrated.into());
            }
            applied => statement.rows(applied)?,
        };
        let missing = migrator().iter().any(|migration| applied.binary_search(&migration.version).is_err());
        if missing { Err(SchemaError::NotMigrated.into()) } else { Ok(()) }
    }
}
