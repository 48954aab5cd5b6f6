//! Bringing a database up to date, also one that another application made and works in; and leaving it again.
//!
//! Of that application's tables only triggers and missing indexes are touched. Whatever must lock one of them locks
//! one at a time, gives up after [`LOCK_TIMEOUT`] and tries again later, since writers queue behind who waits for a lock.

mod detect;
mod indexes;
mod triggers;

use std::time::Duration;

use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard};
use sqlx::{ConnectOptions, Connection, Either, PgConnection};

use super::{SchemaError, Store, StoreError, migrator};

pub use detect::SchemaVariant;

/// How long others may queue behind us on a table that somebody else keeps locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries for a lock: about five minutes, with the pauses between them.
const LOCK_ATTEMPTS: u32 = 30;
/// The pause after the first try that failed; each is twice as long as the last, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How often to look whether another instance has finished migrating.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long to look: building indexes of millions of rows takes minutes.
const POLL_FOR: Duration = Duration::from_hours(1);

/// What a database was, and what it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// What it was.
    pub found: SchemaVariant,
    /// What the migrations do that were applied.
    pub migrations: Vec<String>,
    /// Indexes that were built on another application's tables.
    pub indexes: Vec<String>,
    /// Tables that got triggers.
    pub triggers: Vec<&'static str>,
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// What the database was.
    pub found: SchemaVariant,
    /// Indexes.
    pub indexes: Vec<String>,
    /// Tables that lost their triggers.
    pub triggers: Vec<&'static str>,
}

impl Store {
    /// Brings the schema up to date. Waits while another instance does so.
    ///
    /// # Errors
    /// [`SchemaError`] when the database holds other film tables than Cinegraph's, when this role may not do what is
    /// needed, when others keep a table locked for minutes, or when a migration fails. What was done stays, and the next
    /// run goes on from there.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let lock = self.migration_lock().await?;
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        found.require_tables(&mut connection).await?;
        let indexes = if found == SchemaVariant::Empty { vec![] } else { indexes::missing(&mut connection).await? };
        found.require_privileges(&mut connection, &indexes).await?;

        let migrations = apply_files(&mut connection).await?;
        // Before the triggers, whose statements use them.
        for index in indexes::interrupted(&mut connection).await? {
            self.run_concurrently(indexes::removal(&index)).await?;
        }
        for index in &indexes {
            tracing::info!(index = index.name(), "building an index; it waits for transactions that are under way");
            self.run_concurrently(index.creation()).await?;
        }
        let triggers = triggers::add_missing(&mut connection).await?;
        self.migrate_jobs().await?;

        close(connection).await?;
        release(lock).await?;
        Ok(Migrated { found, migrations, indexes: indexes.iter().map(|index| index.name()).collect(), triggers })
    }

    /// Takes away all that [`Store::migrate`] added to a database that another application made. Film tables stay, also
    /// those that are ours.
    ///
    /// # Errors
    /// [`SchemaError`] when views of others read from ours, or when others keep a table locked for minutes. What was done
    /// stays, and the next run goes on from there.
    pub async fn detach(&self) -> Result<Detached, StoreError> {
        let lock = self.migration_lock().await?;
        let mut connection = self.connect(LOCK_TIMEOUT).await?;
        let found = SchemaVariant::of(&mut connection).await?;
        let views = sqlx::query_file_scalar!("src/store/sql/dependent_views.sql").fetch_all(&mut connection).await;
        let views = views.map_err(statement_error)?;
        if !views.is_empty() {
            return Err(SchemaError::ReadByOthers(views).into());
        }

        let triggers = triggers::remove_all(&mut connection).await?;
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

    /// The right to migrate, asked for again and again: who waits for it inside the server holds a snapshot of the data,
    /// and indexes that are built concurrently wait for all who do.
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
                    tracing::info!("waiting for another instance that migrates this database");
                    waiting = true;
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        });
        acquired.await.map_err(|_| SchemaError::Locked("the migration lock"))?.map_err(statement_error)
    }

    /// Runs a statement that takes its time, on a connection of its own. It waits for locks as long as it takes, because
    /// nobody but other schema changes queues behind those of `CONCURRENTLY`.
    async fn run_concurrently(&self, statement: String) -> Result<(), StoreError> {
        let mut connection = self.connect(Duration::ZERO).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.map_err(statement_error)?;
        close(connection).await
    }

    /// A connection for long statements.
    async fn connect(&self, lock_timeout: Duration) -> Result<PgConnection, StoreError> {
        let options = self.pool.connect_options().as_ref().clone().options([
            ("statement_timeout", "0".to_owned()),
            // What is there already, or goes with its schema, is no news.
            ("client_min_messages", "warning".to_owned()),
            ("lock_timeout", lock_timeout.as_millis().to_string()),
        ]);
        options.connect().await.map_err(statement_error)
    }
}

/// Applies the migration files that are not yet; says what they do.
async fn apply_files(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let mut migrator = migrator();
    migrator.set_locking(false);
    let table = sqlx::query_scalar!(r#"SELECT to_regclass('cinegraph._sqlx_migrations') IS NOT NULL AS "there!""#);
    let applied = if table.fetch_one(&mut *connection).await.map_err(statement_error)? {
        let versions = sqlx::query_scalar::<_, i64>("SELECT version FROM cinegraph._sqlx_migrations");
        versions.fetch_all(&mut *connection).await.map_err(statement_error)?
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

/// Tries of what needs a lock on something that others may hold.
struct Attempts {
    what: &'static str,
    left: u32,
    pause: Duration,
}

impl Attempts {
    fn at(what: &'static str) -> Self {
        Self { what, left: LOCK_ATTEMPTS, pause: FIRST_PAUSE }
    }

    /// Waits before the next try; fails after the last one, and for what trying again does not help.
    async fn wait_after(&mut self, error: sqlx::Error) -> Result<(), StoreError> {
        if !is_lock_conflict(&error) {
            return Err(statement_error(error));
        }
        self.left -= 1;
        if self.left == 0 {
            return Err(SchemaError::Locked(self.what).into());
        }
        tracing::warn!(what = self.what, pause_seconds = self.pause.as_secs_f64(), "locked by others; trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        Ok(())
    }
}

/// Runs statements that lock `what`, all or none.
async fn run_locking(connection: &mut PgConnection, what: &'static str, statements: String) -> Result<(), StoreError> {
    let mut attempts = Attempts::at(what);
    // Several statements sent as one text are one transaction.
    while let Err(error) = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.clone())).execute(&mut *connection).await {
        attempts.wait_after(error).await?;
    }
    Ok(())
}

/// Whether it was given up for others: the lock timed out, or two waited for each other.
fn is_lock_conflict(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => matches!(refusal.code().as_deref(), Some("55P03" | "40P01")),
        sqlx::Error::Migrate(failure) => match failure.as_ref() {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                is_lock_conflict(error)
            }
            _ => false,
        },
        _ => false,
    }
}

fn statement_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Migrate(failure) => SchemaError::Migration(std::sync::Arc::from(failure)).into(),
        error => StoreError::of("migrate", error),
    }
}

async fn close(connection: PgConnection) -> Result<(), StoreError> {
    connection.close().await.map_err(statement_error)
}

async fn release(lock: PgAdvisoryLockGuard<PgConnection>) -> Result<(), StoreError> {
    close(lock.release_now().await.map_err(statement_error)?).await
}
