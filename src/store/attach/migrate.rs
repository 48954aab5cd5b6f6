//! Migrating a database, and detaching from it.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgAdvisoryLock;

use super::detect::SchemaVariant;
use super::locking::{Attempts, LOCK_TIMEOUT, run_locking};
use super::{indexes, trigger_setup};
use crate::store::connection::{Connection, WithDeadline};
use crate::store::error::{SchemaError, StoreError};
use crate::store::lease::Lease;
use crate::store::measurement::Measurement;
use crate::store::migrations::migrator;
use crate::store::pool::Store;
use crate::store::query_name::QueryName;
use crate::store::transaction::SETUP_LIMIT;

/// How often to check whether another instance has finished migrating.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long to wait for it: building indexes on millions of rows takes minutes.
const POLL_FOR: Duration = Duration::from_hours(1);

/// How long opening a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

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
        let migrated = async { self.migration_lock().await?.hold(self.migrate_locked()).await };
        measurement.checked(migrated.await)
    }

    async fn migrate_locked(&self) -> Result<Migrated, StoreError> {
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
        let detached = async { self.migration_lock().await?.hold(self.detach_locked()).await };
        measurement.checked(detached.await)
    }

    async fn detach_locked(&self) -> Result<Detached, StoreError> {
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
        Ok(Detached { found, indexes, triggers })
    }

    /// The migration lock, acquired by polling: a session that waits for it inside the server holds a snapshot, and
    /// concurrent index builds wait for all snapshots.
    async fn migration_lock(&self) -> Result<Lease, StoreError> {
        let lock = PgAdvisoryLock::new("cinegraph migrate");
        let key = lock.key().as_bigint().unwrap_or_default();
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let acquired = tokio::time::timeout(POLL_FOR, async {
            let mut waiting = false;
            loop {
                match Lease::take(QueryName::TaskSetup, connection, key).await? {
                    Ok(lease) => return Ok(lease),
                    Err(busy) => connection = busy,
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
        connection.run(statement).await.map_err(StoreError::of_setup)
    }

    /// Opens a connection with the limits of a command.
    async fn connect(&self, lock_timeout: Duration) -> Result<Connection, StoreError> {
        let options = self.pool.connect_options().as_ref().clone().options([
            ("statement_timeout", SETUP_LIMIT.as_millis().to_string()),
            // Suppresses notices about objects that exist already or are dropped with their schema.
            ("client_min_messages", "warning".to_owned()),
            ("lock_timeout", lock_timeout.as_millis().to_string()),
        ]);
        let connection = options.connect().with_deadline(CONNECT_LIMIT).await.map_err(StoreError::of_setup)?;
        Ok(Connection::single(connection, SETUP_LIMIT, &self.server))
    }
}

/// Applies pending migration files; returns their descriptions.
async fn apply_files(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
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
    loop {
        let (raw, response) = connection.send();
        let applied = async { migrator.run_direct(None, raw, false).await.map_err(sqlx::Error::from) };
        match response.of(applied).await {
            Ok(()) => break,
            Err(error) => attempts.wait_after(error).await?,
        }
    }
    let new = migrator.iter().filter(|migration| !applied.contains(&migration.version));
    Ok(new.map(|migration| migration.description.to_string()).collect())
}
