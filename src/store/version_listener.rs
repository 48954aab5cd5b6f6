//! Listens for notifications about raised data versions.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgExecutor;
use sqlx::postgres::PgListener;

use super::connection::WithDeadline;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use crate::versions::{Scope, Version, Versions};

const CHANNEL: &str = "cinegraph_events";

/// Polling interval, which bounds the delay of a lost notification, and deadline of reading the versions.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

struct Row {
    scope: String,
    list_key: String,
    decade: i32,
    version: i64,
    floor: i64,
}

/// Listens for raised versions on a dedicated connection.
#[derive(Debug)]
pub struct VersionsListener {
    listener: PgListener,
    store: Store,
}

impl Store {
    /// Reloads all versions.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the versions stay as they were.
    pub async fn read_versions(&self, versions: &Versions) -> Result<(), StoreError> {
        let mut statement = self.statement(QueryName::DataVersions).await?;
        let read = versions_of(statement.connection()).with_deadline(self.limits.request).await;
        versions.update(statement.finish_with(read, HashMap::len)?);
        Ok(())
    }

    /// Starts to listen. The caller reads the versions afterwards, so that no change in between is missed.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn listen(&self) -> Result<VersionsListener, StoreError> {
        let connect = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        match connect.with_deadline(self.limits.request).await {
            Ok(listener) => Ok(VersionsListener { listener, store: self.clone() }),
            Err(error) => Err(StoreError::of(QueryName::DataVersions, self.with_reason(&self.pool, error).await)),
        }
    }
}

/// Versions that the server of `connection` has.
pub(super) async fn versions_of(connection: impl PgExecutor<'_>) -> Result<HashMap<Scope, Version>, sqlx::Error> {
    let rows = sqlx::query_as!(Row, "SELECT scope, list_key, decade, version, floor FROM cinegraph.data_versions")
        .fetch_all(connection)
        .await?;
    let version = |row: Row| {
        let scope = Scope::from_row(&row.scope, row.list_key, row.decade)?;
        Some((scope, Version { current: row.version, min_valid: row.floor }))
    };
    Ok(rows.into_iter().filter_map(version).collect())
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
            // Also reads without a notification: a dead connection may go unnoticed.
            let Ok(received) = tokio::time::timeout(POLL_INTERVAL, self.listener.try_recv()).await else { continue };
            // The listener reconnects by itself but misses notifications meanwhile; the next read covers those too.
            received.map_err(|error| StoreError::of(QueryName::DataVersions, error))?;
            // One read covers all buffered notifications.
            while self.listener.next_buffered().is_some() {}
        }
    }
}
