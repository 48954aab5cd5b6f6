//! Data versions, and the notifications that say they were raised.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use sqlx::postgres::PgListener;

use super::{Store, StoreError};
use crate::scoring::Decade;

const CHANNEL: &str = "cinegraph_events";

/// What a version counts the changes of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Scores of the films of a decade.
    Scores(Decade),
    /// The snapshot that validations read.
    Snapshot,
}

impl Scope {
    fn key(&self) -> (String, i32) {
        match self {
            Self::Scores(decade) => ("scores".to_owned(), decade.year()),
            Self::Snapshot => ("snapshot".to_owned(), 0),
        }
    }
}

/// The versions as this process last read them.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<RwLock<HashMap<(String, i32), i64>>>);

impl Versions {
    /// The version of a scope; 0 where nothing was ever counted.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> i64 {
        let versions = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        versions.get(&scope.key()).copied().unwrap_or_default()
    }

    /// The sum of all versions: another one says that something has changed.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).values().sum()
    }

    fn replace(&self, read: HashMap<(String, i32), i64>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = read;
    }
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
        let rows = sqlx::query!(
            r#"SELECT scope, decade, sum(version)::bigint AS "version!"
               FROM cinegraph.data_versions GROUP BY scope, decade"#
        )
        .fetch_all(statement.connection())
        .await;
        versions.replace(statement.rows(rows)?.into_iter().map(|r| ((r.scope, r.decade), r.version)).collect());
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
        let listener = connect.await.map_err(|error| StoreError::of("data_versions", error))?;
        Ok(VersionsListener { listener, store: self.clone() })
    }
}

impl VersionsListener {
    /// Keeps `versions` current until the connection is lost.
    ///
    /// # Errors
    /// [`StoreError`] when the connection is lost, or the versions cannot be read.
    pub async fn follow(mut self, versions: &Versions) -> Result<(), StoreError> {
        loop {
            self.store.read_versions(versions).await?;
            let lost = |error| StoreError::of("data_versions", error);
            if self.listener.try_recv().await.map_err(lost)?.is_none() {
                // The listener reconnects by itself, but what was said meanwhile is gone: read all again.
                continue;
            }
            // One reading serves all notifications that came with this one.
            while self.listener.next_buffered().is_some() {}
        }
    }
}
