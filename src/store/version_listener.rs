//! The notifications that say that a data version was raised.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgExecutor;
use sqlx::postgres::PgListener;

use super::{Store, StoreError, WithDeadline};
use crate::versions::{Scope, Version, Versions};

const CHANNEL: &str = "cinegraph_events";

/// A change is known within this time even when nobody tells of it.
const SILENCE: Duration = Duration::from_secs(1);

struct Row {
    scope: String,
    list_key: String,
    decade: i32,
    version: i64,
    floor: i64,
}

/// Listens for changes; a connection of its own.
#[derive(Debug)]
pub struct VersionsListener {
    listener: PgListener,
    store: Store,
}

impl Store {
    /// Reads all versions anew.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; the versions stay as they were.
    pub async fn read_versions(&self, versions: &Versions) -> Result<(), StoreError> {
        let mut statement = self.statement("data_versions").await?;
        let read = versions_of(statement.connection()).with_deadline(self.limits.request).await;
        versions.update(statement.end(read, HashMap::len)?);
        Ok(())
    }

    /// Starts to listen. Versions must be read after this, so that no change between the two is missed.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn listen(&self) -> Result<VersionsListener, StoreError> {
        let connect = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let listener =
            connect.with_deadline(self.limits.request).await.map_err(|error| StoreError::of("data_versions", error))?;
        Ok(VersionsListener { listener, store: self.clone() })
    }
}

/// The versions that a server shows.
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
    /// [`StoreError`] when the connection is lost, or the versions cannot be read in a second.
    pub async fn follow(mut self, versions: &Versions) -> Result<(), StoreError> {
        loop {
            // What takes longer leaves us without knowing what has changed.
            let read = self.store.read_versions(versions);
            match tokio::time::timeout(SILENCE, read).await {
                Ok(read) => read?,
                Err(_) => return Err(StoreError::Unresponsive("data_versions")),
            }
            // Also after a while without a word: a connection can be dead without saying so.
            let Ok(heard) = tokio::time::timeout(SILENCE, self.listener.try_recv()).await else { continue };
            // The listener reconnects by itself, but what was said meanwhile is gone: then, too, all is read again.
            heard.map_err(|error| StoreError::of("data_versions", error))?;
            // One reading serves all notifications that came with this one.
            while self.listener.next_buffered().is_some() {}
        }
    }
}
