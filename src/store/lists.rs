//! Lists, genres and countries by name.

use super::{Store, StoreError};

/// A canonical list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName {
    /// Its key, as in `canonical_sources`.
    pub key: String,
    /// What it is called.
    pub name: String,
}

/// What a filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// Genres, by name.
    Genre,
    /// Countries, by ISO 3166-1 code.
    Country,
}

impl Store {
    /// All lists, by key. A list that films name but that has no row of its own is called by its key.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_names(&self) -> Result<Vec<ListName>, StoreError> {
        let mut statement = self.statement("list_names").await?;
        let rows = sqlx::query_as!(
            ListName,
            r#"WITH named AS MATERIALIZED (SELECT list_key, name FROM cinegraph.list_names())
               SELECT list_key AS "key!", name AS "name!" FROM named
               UNION ALL
               SELECT list_key, list_key FROM cinegraph.data_versions
               WHERE scope = 'list' AND list_key NOT IN (SELECT list_key FROM named)
               GROUP BY list_key
               ORDER BY 1"#
        )
        .fetch_all(statement.connection())
        .await;
        statement.rows(rows)
    }

    /// The database ids of genres or countries by name, whatever the case; unknown names have none.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn reference_ids(&self, kind: ReferenceKind, names: &[String]) -> Result<Vec<u32>, StoreError> {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let mut statement = self.statement("reference_ids").await?;
        let ids = match kind {
            ReferenceKind::Genre => {
                sqlx::query_scalar!("SELECT id FROM public.genres WHERE lower(name) = ANY ($1) ORDER BY id", &names)
                    .fetch_all(statement.connection())
                    .await
            }
            ReferenceKind::Country => {
                sqlx::query_scalar!(
                    "SELECT id FROM public.production_countries WHERE lower(iso_3166_1) = ANY ($1) ORDER BY id",
                    &names
                )
                .fetch_all(statement.connection())
                .await
            }
        };
        // An id beyond 32 bits is in no column either: loading the columns refuses it.
        Ok(statement.rows(ids)?.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())
    }
}
