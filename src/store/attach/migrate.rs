//! Migrating a database, and detaching from it.

use std::time::Duration;

use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard};
use sqlx::{ConnectOptions, Connection, Either, PgConnection};

use super::detect::SchemaVariant;
use super::locking::{Attempts, LOCK_TIMEOUT, run_locking};
use super::{indexes, trigger_setup};
use crate::store::error::{SchemaError, StoreError};
use crate::store::measurement::Measurement;
use crate::store::migrations::migrator;
use crate::store::pool::Store;
use crate::store::query_name::QueryName;

/// How often to check whether another instance has finished migrating.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long to wait for it: building indexes on millions of rows takes minutes.
const POLL_FOR: Duration = Duration::from_hours(1);

/// Result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Schema variant before the migration.
    pub found: SchemaVariant,
    /// Descriptions of the applied migrations.
    pub migrations: Vec<String>,
    /// Indexes created on host tables.
    pub indexes: Vec<String>,
    /// Tables on which triggers were created.
    pub triggers: Vec<&'static str>,
}

/// What a detach removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// Schema variant before detaching.
    pub found: SchemaVariant,
    /// Dropped indexes.
    pub indexes: Vec<String>,
    /// Tables whose triggers were dropped.
    pub triggers: Vec<&'static str>,
}

impl Store {
    /// Migrates the schema to the current version. Waits while another instance migrates.
    ///
    /// # Errors
    /// [`SchemaError`] if the database has incompatible movie tables, if this role lacks privileges, if a table stays
    /// locked for minutes, or if a migration fails. Completed steps stay, and the next run continues from there.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let measurement = Measurement::start(&self.metrics, QueryName::TaskSetup, &self.pool);
        measurement.checked(self.migrate_measured().await)
    }

    async fn migrate_measured(&self) -> Result<Migrated, StoreError> {
        let lock = self.migration_lock().await?;
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        found.require_tables(&mut connection).await?;
        let indexes = if found == SchemaVariant::Empty { vec![] } else { indexes::missing(&mut connection).await? };
        found.require_privileges(&mut connection, &indexes).await?;

        let migrations = apply_files(&mut connection).await?;
        // Before the triggers, whose statements use the indexes.
        for index in indexes::interrupted(&mut connection).await? {
            self.run_concurrently(indexes::removal(&index)).await?;
        }
        for index in &indexes {
            tracing::info!(index = index.name(), "building an index; it waits for running transactions");
            self.run_concurrently(index.creation()).await?;
        }
        let triggers = trigger_setup::add_missing(&mut connection).await?;
        self.migrate_jobs().await?;

        close(connection).await?;
        release(lock).await?;
        Ok(Migrated { found, migrations, indexes: indexes.iter().map(|index| index.name()).collect(), triggers })
    }

    /// Removes everything that [`Store::migrate`] added to a host application's database. Movie tables stay, even those
    /// that Cinegraph created.
    ///
    /// # Errors
    /// [`SchemaError`] if other views depend on Cinegraph's schema, or if a table stays locked for minutes. Completed
    /// steps stay, and the next run continues from there.
    pub async fn detach(&self) -> Result<Detached, StoreError> {
        let measurement = Measurement::start(&self.metrics, QueryName::TaskSetup, &self.pool);
        measurement.checked(self.detach_measured().await)
    }

    async fn detach_measured(&self) -> Result<Detached, StoreError> {
        let lock = self.migration_lock().await?;
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        let views = sqlx::query_file_scalar!("src/store/sql/dependent_views.sql").fetch_all(&mut connection).await;
        let views = views.map_err(StoreError::of_setup)?;
        if !views.is_empty() {
            return Err(SchemaError::ReadByOthers(views).into());
        }

        // Before the schemas: CASCADE would drop the triggers too, and lock all of their tables at once.
        let triggers = trigger_setup::remove_all(&mut connection).await?;
        let indexes = indexes::ours(&mut connection).await?;
        for index in &indexes {
            self.run_concurrently(indexes::removal(index)).await?;
        }
        let schemas = "DROP SCHEMA IF EXISTS cinegraph, cinegraph_jobs CASCADE";
        run_locking(&mut connection, "our schemas", schemas.to_owned()).await?;

        close(connection).await?;
        release(lock).await?;
        Ok(Detached { found, indexes, triggers })
    }

    /// The migration lock, acquired by polling: a session that waits for it inside the server holds a snapshot, and
    /// concurrent index builds wait for all snapshots.
    async fn migration_lock(&self) -> Result<PgAdvisoryLockGuard<PgConnection>, StoreError> {
        let lock = PgAdvisoryLock::new("cinegraph migrate");
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let acquired = tokio::time::timeout(POLL_FOR, async {
            let mut waiting = false;
            loop {
                match lock.try_acquire(connection).await? {
                    Either::Left(guard) => return Ok(guard),
                    Either::Right(busy) => connection = busy,
                }
                if !waiting {
                    tracing::info!("waiting for another instance to finish migrating this database");
                    waiting = true;
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        });
        acquired.await.map_err(|_| SchemaError::Locked("the migration lock"))?.map_err(StoreError::of_setup)
    }

    /// Runs a long statement on its own connection. Without a lock timeout, because only other schema changes queue
    /// behind the locks of `CONCURRENTLY`.
    async fn run_concurrently(&self, statement: String) -> Result<(), StoreError> {
        let mut connection = self.connect(Duration::ZERO).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.map_err(StoreError::of_setup)?;
        close(connection).await
    }

    /// Opens a connection without a statement timeout.
    async fn connect(&self, lock_timeout: Duration) -> Result<PgConnection, StoreError> {
        let options = self.pool.connect_options().as_ref().clone().options([
            // An index on millions of rows takes minutes to build.
            ("statement_timeout", "0".to_owned()),
            // Suppresses notices about objects that exist already or are dropped with their schema.
            ("client_min_messages", "warning".to_owned()),
            ("lock_timeout", lock_timeout.as_millis().to_string()),
        ]);
        options.connect().await.map_err(StoreError::of_setup)
    }
}

/// Applies pending migration files; returns their descriptions.
async fn apply_files(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let mut migrator = migrator();
    // The caller holds the migration lock; sqlx would wait for its own lock inside the server.
    migrator.set_locking(false);
    let table = sqlx::query_scalar!(r#"SELECT to_regclass('cinegraph._sqlx_migrations') IS NOT NULL AS "there!""#);
    let applied = if table.fetch_one(&mut *connection).await.map_err(StoreError::of_setup)? {
        let versions = sqlx::query_scalar::<_, i64>("SELECT version FROM cinegraph._sqlx_migrations");
        versions.fetch_all(&mut *connection).await.map_err(StoreError::of_setup)?
    } else {
        vec![]
    };
    let mut attempts = Attempts::at("a table that a migration reads");
    while let Err(error) = migrator.run_direct(None, &mut *connection, false).await {
        attempts.wait_after(error.into()).await?;
    }
    let new = migrator.iter().filter(|migration| !applied.contains(&migration.version));
    Ok(new.map(|migration| migration.description.to_string()).collect())
}

async fn close(connection: PgConnection) -> Result<(), StoreError> {
    connection.close().await.map_err(StoreError::of_setup)
}

async fn release(lock: PgAdvisoryLockGuard<PgConnection>) -> Result<(), StoreError> {
    close(lock.release_now().await.map_err(StoreError::of_setup)?).await
}
