//! Migrates a database, and detaches from it.

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

/// How often to try to take the migration lock while another instance holds it.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long to wait for the migration lock. A choice: far longer than another instance needs to build indexes on
/// millions of rows, which takes minutes.
const POLL_FOR: Duration = Duration::from_hours(1);

/// How long opening a connection may take. A choice: longer than for a request, because no client waits for a response.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Schema variant before the migration.
    pub found: SchemaVariant,
    /// Descriptions of the applied migrations.
    pub migrations: Vec<String>,
    /// Names of the indexes created on host tables.
    pub indexes: Vec<String>,
    /// Tables on which triggers were created.
    pub triggers: Vec<&'static str>,
}

/// What a detach removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// Schema variant before detaching.
    pub found: SchemaVariant,
    /// Names of the dropped indexes.
    pub indexes: Vec<String>,
    /// Tables whose triggers were dropped.
    pub triggers: Vec<&'static str>,
}

impl Store {
    /// Migrates the schema to the current version. Waits while another instance migrates, for up to an hour.
    ///
    /// # Errors
    /// [`SchemaError`] if the database has incompatible movie tables, if this role lacks privileges, if a table stays
    /// locked for minutes, or if a migration fails. Completed steps stay, and the next run continues from there.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let measurement = Measurement::start(&self.metrics, QueryName::TaskSetup, &self.pool);
        let migrated = async { self.migration_lock().await?.hold(self.migrate_locked()).await };
        measurement.checked(migrated.await)
    }

    /// Migrates; the caller holds the migration lock.
    async fn migrate_locked(&self) -> Result<Migrated, StoreError> {
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        found.require_tables(&mut connection).await?;
        // An empty database gets its indexes from the migration files, together with its tables.
        let indexes = if found == SchemaVariant::Empty { vec![] } else { indexes::missing(&mut connection).await? };
        found.require_privileges(&mut connection, &indexes).await?;

        let migrations = apply_files(&mut connection).await?;
        add_trigram_indexes(&mut connection).await?;
        // Indexes are built before the triggers are created, because the functions of the triggers use them. The
        // remains of an interrupted build are dropped first: such an index is in `indexes` again, and its name must be
        // free.
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

    /// Detaches; the caller holds the migration lock.
    async fn detach_locked(&self) -> Result<Detached, StoreError> {
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        let views = sqlx::query_file_scalar!("src/store/sql/dependent_views.sql").fetch_all(&mut connection).await;
        let views = views.map_err(StoreError::of_setup)?;
        if !views.is_empty() {
            return Err(SchemaError::ReadByOthers(views).into());
        }

        // The triggers are dropped before the schemas: `DROP SCHEMA … CASCADE` would drop them too, but it would lock
        // all of their tables at once.
        let triggers = trigger_setup::remove_all(&mut connection).await?;
        let indexes = indexes::ours(&mut connection).await?;
        for index in &indexes {
            self.run_concurrently(indexes::removal(index)).await?;
        }
        let schemas = "DROP SCHEMA IF EXISTS cinegraph, cinegraph_jobs CASCADE";
        run_locking(&mut connection, "the schema cinegraph or cinegraph_jobs", schemas.to_owned()).await?;
        Ok(Detached { found, indexes, triggers })
    }

    /// Takes the migration lock by polling. A session that waited for the lock inside the server (`pg_advisory_lock`)
    /// would hold a snapshot meanwhile, and `CREATE INDEX CONCURRENTLY` of the instance that has the lock waits for all
    /// older snapshots: each would wait for the other.
    async fn migration_lock(&self) -> Result<Lease, StoreError> {
        let lock = PgAdvisoryLock::new("cinegraph migrate");
        // A key that is derived from a name is always a `bigint`.
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
        acquired.await.map_err(|_| SchemaError::Locked("the lock for migrations"))?.map_err(StoreError::of_setup)
    }

    /// Runs a `CONCURRENTLY` statement on a connection without a lock timeout. It may wait long for running
    /// transactions, but readers and writers of the table do not queue behind its locks; only other schema changes do.
    async fn run_concurrently(&self, statement: String) -> Result<(), StoreError> {
        let mut connection = self.connect(Duration::ZERO).await?;
        connection.run(statement).await.map_err(StoreError::of_setup)
    }

    /// Opens a connection whose statements may take up to [`SETUP_LIMIT`]. A `lock_timeout` of zero means no timeout.
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

/// Indexes of parts of words, and of words with a wrong letter: name, table and column.
const TRIGRAM_INDEXES: [[&str; 3]; 3] = [
    ["folded_titles_trgm_index", "folded_titles", "folded"],
    ["folded_titles_words_trgm_index", "folded_titles", "words"],
    ["folded_names_words_trgm_index", "folded_names", "words"],
];

/// Creates the missing ones of [`TRIGRAM_INDEXES`] if the database has the extension, which may have been created after an
/// earlier migration. In another application's database we do not create the extension.
async fn add_trigram_indexes(connection: &mut Connection) -> Result<(), StoreError> {
    let schema = sqlx::query_scalar!(
        r#"SELECT quote_ident(n.nspname) AS "schema!"
           FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"#
    );
    let Some(schema) = schema.fetch_optional(&mut *connection).await.map_err(StoreError::of_setup)? else {
        return Ok(());
    };
    for [name, table, column] in TRIGRAM_INDEXES {
        // Without fastupdate: a search would read the list of entries that wait to be inserted into the index.
        let index = format!(
            "CREATE INDEX IF NOT EXISTS {name} ON cinegraph.{table} USING gin ({column} {schema}.gin_trgm_ops) \
             WITH (fastupdate = off)"
        );
        run_locking(connection, "the folded titles and names", index).await?;
    }
    Ok(())
}

/// Applies the pending migration files; returns their descriptions. The caller holds the migration lock.
async fn apply_files(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let mut migrator = migrator();
    // The lock of the caller suffices. sqlx would wait for a lock of its own inside the server, which must not be done:
    // see `migration_lock`.
    migrator.set_locking(false);
    // Versions that were applied earlier, so that the result has only those that this run applies.
    let table = sqlx::query_scalar!(r#"SELECT to_regclass('cinegraph._sqlx_migrations') IS NOT NULL AS "there!""#);
    let applied = if table.fetch_one(&mut *connection).await.map_err(StoreError::of_setup)? {
        let versions = sqlx::query_scalar::<_, i64>("SELECT version FROM cinegraph._sqlx_migrations");
        versions.fetch_all(&mut *connection).await.map_err(StoreError::of_setup)?
    } else {
        vec![]
    };
    let mut attempts = Attempts::for_lock_on("a table that a migration reads");
    loop {
        let (raw, response) = connection.send();
        // Without a target version, and without skipping: runs all pending files.
        let run = async { migrator.run_direct(None, raw, false).await.map_err(sqlx::Error::from) };
        match response.complete(run).await {
            Ok(()) => break,
            Err(error) => attempts.wait_after(error).await?,
        }
    }
    let new = migrator.iter().filter(|migration| !applied.contains(&migration.version));
    Ok(new.map(|migration| migration.description.to_string()).collect())
}
