//! Listens for notifications about raised data versions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgExecutor;

use super::error::StoreError;
use super::listener::Listener;
use super::pool::Store;
use super::query_name::QueryName;
use crate::versions::{DataVersions, Identity, ReadStart, Scope, Update, Version, Versions};

const CHANNEL: &str = "cinegraph_events";

/// The time from the start of one read of the versions to the next without a notification, so that a lost notification
/// delays a change by no more than this. Also the time limit of one read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of reads of the versions until one of them can be applied. A choice: the second one usually can,
/// since only an overlapping read of another history or a database that was set back prevents it.
const ATTEMPTS: usize = 5;

/// One version, with the identity of the database. A database without versions has one row, with `None` in place of the
/// version.
struct Row {
    schema: String,
    objects: String,
    system: Option<String>,
    is_standby: bool,
    timeline: Option<i32>,
    scope: Option<String>,
    list_key: Option<String>,
    decade: Option<i32>,
    version: Option<i64>,
    /// The minimum valid version.
    floor: Option<i64>,
}

/// Listens for raised versions on a dedicated connection.
#[derive(Debug)]
pub struct VersionsListener {
    listener: Listener,
    store: Store,
}

impl Store {
    /// Reads all versions from the database, and applies them to `versions`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable, or if none of several reads could be applied; `versions` is then
    /// unchanged.
    pub async fn read_versions(&self, versions: &Versions) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let started = versions.start_read();
            let read = self.data_versions().await?;
            if self.apply_versions(versions, started, read).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unresponsive(QueryName::DataVersions))
    }

    /// Applies what was read from the database to `versions`. Returns whether it could be applied; if not, another read
    /// may succeed.
    pub(super) async fn apply_versions(
        &self,
        versions: &Versions,
        started: ReadStart,
        read: DataVersions,
    ) -> Result<bool, StoreError> {
        let identity = read.identity.clone();
        match versions.update(started, read) {
            Update::Applied => Ok(true),
            Update::NewEpoch(before) => {
                self.metrics.identity_changed();
                tracing::warn!(old = %before, new = %identity, "database identity changed; cached data is discarded");
                Ok(true)
            }
            // Another read completed first; the next one decides.
            Update::Overlapped => Ok(false),
            // Cached values have versions from before the database was set back. Once its counters reach these numbers
            // again, the old values would count as current, on every instance and in Redis; another identity prevents
            // that. Several instances may notice this, but only the first one replaces the identity: the statement has
            // no effect if the identity is not the one that was read here.
            Update::WentBack => {
                tracing::warn!(%identity, "data versions went back; the database gets another identity");
                self.replace_identity(&identity.schema).await?;
                Ok(false)
            }
        }
    }

    /// The identity of the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn identity(&self) -> Result<Identity, StoreError> {
        Ok(self.data_versions().await?.identity)
    }

    async fn data_versions(&self) -> Result<DataVersions, StoreError> {
        let mut statement = self.statement(QueryName::DataVersions).await?;
        let read = versions_of(statement.connection()).await;
        statement.finish_with(read, |read| read.versions.len())
    }

    /// Starts to listen for notifications. Earlier changes send none to this connection, so the versions must be read
    /// afterwards, as [`VersionsListener::follow`] does.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn listen(&self) -> Result<VersionsListener, StoreError> {
        match self.listener(CHANNEL).await {
            Ok(listener) => Ok(VersionsListener { listener, store: self.clone() }),
            Err(error) => Err(StoreError::of(QueryName::DataVersions, self.with_reason(&self.pool, error).await)),
        }
    }

    /// Listens on `channel` of the primary, on a dedicated connection.
    pub(super) async fn listener(&self, channel: &str) -> Result<Listener, sqlx::Error> {
        Listener::connect(self.pool.connect_options().as_ref().clone(), channel, self.limits.request).await
    }
}

/// Reads the versions that the server of `connection` has, and its identity. Scopes that this program does not know are
/// left out: a newer version of it may have written them.
pub(super) async fn versions_of(connection: impl PgExecutor<'_>) -> Result<DataVersions, sqlx::Error> {
    let rows = sqlx::query_file_as!(Row, "src/store/sql/data_versions.sql").fetch_all(connection).await?;
    let identity = rows.first().map(|row| Identity {
        schema: row.schema.clone(),
        objects: row.objects.clone(),
        system: row.system.clone(),
        timeline: row.timeline,
        is_standby: row.is_standby,
    });
    let version = |row: Row| {
        let scope = Scope::from_row(&row.scope?, row.list_key?, row.decade?)?;
        Some((scope, Version { current: row.version?, min_valid: row.floor? }))
    };
    let versions: HashMap<Scope, Version> = rows.into_iter().filter_map(version).collect();
    Ok(DataVersions { identity: identity.ok_or(sqlx::Error::RowNotFound)?, versions })
}

impl VersionsListener {
    /// Keeps `versions` current: reads them now, after each notification, and at least once a second. From now on they
    /// are unknown whenever this has not succeeded for 2 seconds. A lost connection is replaced. Returns only after an
    /// error.
    ///
    /// # Errors
    /// [`StoreError`] if the versions cannot be read within a second, or if a lost connection cannot be replaced.
    pub async fn follow(mut self, versions: &Versions) -> Result<(), StoreError> {
        versions.expire_without_reads();
        loop {
            // Counted from the start of the read, as the time for which the versions are known: a slow read must not
            // delay the next one beyond that.
            let next_read = Instant::now() + POLL_INTERVAL;
            // During a slower read, the instance would serve cached values as current without knowing what has changed.
            // After this error, the caller marks the versions as unknown.
            let read = self.store.read_versions(versions);
            match tokio::time::timeout(POLL_INTERVAL, read).await {
                Ok(read) => read?,
                Err(_) => return Err(StoreError::Unresponsive(QueryName::DataVersions)),
            }
            // Returns at the latest after the interval, and the versions are read even if there was no notification:
            // the server may have sent it to a connection that was lost.
            let pause = next_read.saturating_duration_since(Instant::now());
            if let Err(lost) = self.listener.wait(pause).await {
                tracing::debug!(error = %lost, "version listener lost its connection; reconnecting");
                // Notifications are missed until the connection is replaced; the read after that covers their changes.
                let listener = self.store.listener(CHANNEL).await;
                self.listener = listener.map_err(|error| StoreError::of(QueryName::DataVersions, error))?;
            }
        }
    }
}
