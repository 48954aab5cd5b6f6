//! Listens for notifications about raised data versions.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgExecutor;

use super::error::StoreError;
use super::listener::Listener;
use super::pool::Store;
use super::query_name::QueryName;
use crate::versions::{DataVersions, Identity, Scope, Update, Version, Versions};

const CHANNEL: &str = "cinegraph_events";

/// Polling interval, which bounds the delay of a lost notification, and deadline of reading the versions.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of reads of the versions until one of them can be applied.
const ATTEMPTS: usize = 5;

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
    floor: Option<i64>,
}

/// Listens for raised versions on a dedicated connection.
#[derive(Debug)]
pub struct VersionsListener {
    listener: Listener,
    store: Store,
}

impl Store {
    /// Reloads all versions.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the versions stay as they were.
    pub async fn read_versions(&self, versions: &Versions) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let started = versions.start_read();
            let read = self.data_versions().await?;
            let identity = read.identity.clone();
            match versions.update(started, read) {
                Update::Applied => return Ok(()),
                Update::NewEpoch(before) => {
                    self.metrics.identity_changed();
                    tracing::warn!(old = %before, new = %identity, "database identity changed; cached data is discarded");
                    return Ok(());
                }
                Update::Overlapped => {}
                // The number of a history that ended would otherwise count as current again once the database has
                // reached it, on every instance and in Redis. If several instances notice this, the first one acts.
                Update::WentBack => {
                    tracing::warn!(%identity, "data versions went back; the database gets another identity");
                    self.replace_identity(&identity.schema).await?;
                }
            }
        }
        Err(StoreError::Unresponsive(QueryName::DataVersions))
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

    /// Starts to listen. The caller reads the versions afterwards, so that no change in between is missed.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn listen(&self) -> Result<VersionsListener, StoreError> {
        match self.listener(CHANNEL).await {
            Ok(listener) => Ok(VersionsListener { listener, store: self.clone() }),
            Err(error) => Err(StoreError::of(QueryName::DataVersions, self.with_reason(&self.pool, error).await)),
        }
    }

    /// Listens on `channel`, on a connection of its own.
    pub(super) async fn listener(&self, channel: &str) -> Result<Listener, sqlx::Error> {
        Listener::connect(self.pool.connect_options().as_ref().clone(), channel, self.limits.request).await
    }
}

/// Versions that the server of `connection` has, and its identity.
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
    /// Keeps `versions` current until the connection is lost.
    ///
    /// # Errors
    /// [`StoreError`] if the connection is lost, or if the versions cannot be read within a second.
    pub async fn follow(mut self, versions: &Versions) -> Result<(), StoreError> {
        loop {
            // A slower read would leave the instance without knowing what changed.
            let read = self.store.read_versions(versions);
            match tokio::time::timeout(POLL_INTERVAL, read).await {
                Ok(read) => read?,
                Err(_) => return Err(StoreError::Unresponsive(QueryName::DataVersions)),
            }
            // Also reads without a notification: one that the server sent to a lost connection is missing.
            if let Err(lost) = self.listener.wait(POLL_INTERVAL).await {
                tracing::debug!(error = %lost, "version listener lost its connection; reconnecting");
                // The next read covers the notifications that are missed meanwhile.
                let listener = self.store.listener(CHANNEL).await;
                self.listener = listener.map_err(|error| StoreError::of(QueryName::DataVersions, error))?;
            }
        }
    }
}
