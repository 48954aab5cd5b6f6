//! Cinegraph's migrations, and the check that a database has them. `attach/migrate.rs` applies them.

use super::error::{SchemaError, StoreError};
use super::pool::Store;
use super::query_name::QueryName;

/// Cinegraph's migrations, recorded in its own schema so that they never conflict with the host application's.
pub(super) fn migrator() -> sqlx::migrate::Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("cinegraph");
    migrator.dangerous_set_table_name("cinegraph._sqlx_migrations");
    migrator
}

impl Store {
    /// Checks that every migration of this program is applied. A newer schema is accepted too: migrations only add, and
    /// instances of the previous version still run during a rolling upgrade.
    pub(super) async fn require_migrations(&self) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::Installation).await?;
        let applied = sqlx::query_scalar::<_, i64>(
            "SELECT version FROM cinegraph._sqlx_migrations WHERE success ORDER BY version",
        )
        .fetch_all(statement.connection())
        .await;
        let applied = match applied {
            // The table (42P01) or its schema (3F000) does not exist.
            Err(sqlx::Error::Database(refusal)) if matches!(refusal.code().as_deref(), Some("42P01" | "3F000")) => {
                statement.finish(Ok(()))?;
                return Err(SchemaError::NotMigrated.into());
            }
            applied => statement.rows(applied)?,
        };
        let missing = migrator().iter().any(|migration| applied.binary_search(&migration.version).is_err());
        if missing { Err(SchemaError::NotMigrated.into()) } else { Ok(()) }
    }
}
