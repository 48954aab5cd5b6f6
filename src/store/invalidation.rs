//! Hard invalidation: cached results of a scope must not be served again, not even while they are recomputed.

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::transaction::retry_conflicts;
use crate::scoring::Decade;
use crate::versions::{Scope, Versions};

impl Store {
    /// Invalidates all cached results that depend on `scope`, on all instances: at once in the process of `versions`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn invalidate(&self, scope: &Scope, versions: &Versions) -> Result<(), StoreError> {
        retry_conflicts(StoreError::is_conflict, || self.invalidate_once(scope, versions)).await
    }

    async fn invalidate_once(&self, scope: &Scope, versions: &Versions) -> Result<(), StoreError> {
        let (scope, key, decade) = row(scope);
        let mut transaction = self.transaction(QueryName::Invalidation).await?;
        let raised = sqlx::query!("SELECT cinegraph.raise_version($1, $2, $3, true)", scope, key, decade)
            .execute(transaction.connection())
            .await;
        transaction.checked(raised)?;
        transaction.commit_and_apply(self, versions).await
    }

    /// Invalidates all cached results on all instances, even in scopes that have no version yet: at once in the process
    /// of `versions`. Returns the number of invalidated scopes. `configured` are the target lists of the setting.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; nothing is invalidated then.
    pub async fn invalidate_all(&self, configured: &[String], versions: &Versions) -> Result<usize, StoreError> {
        let lists: Vec<String> = self.list_names(configured).await?.into_iter().map(|list| list.key).collect();
        // Before the last valid decade, which in effect is no limit.
        let decades = self.decades_with_movies(Decade::LAST).await?;
        retry_conflicts(StoreError::is_conflict, || self.invalidate_all_once(&lists, &decades, versions)).await
    }

    async fn invalidate_all_once(
        &self,
        lists: &[String],
        decades: &[i32],
        versions: &Versions,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.transaction(QueryName::Invalidation).await?;
        // A transaction locks the rows of the versions that it raises. Others raise theirs in another order than this
        // one, so they could deadlock with it. This lock on the table waits for those that have begun, and lets later
        // ones wait.
        let locked = sqlx::query!("LOCK TABLE cinegraph.data_versions IN SHARE ROW EXCLUSIVE MODE")
            .execute(transaction.connection())
            .await;
        transaction.checked(locked)?;
        let raised = sqlx::query_file_scalar!("src/store/sql/invalidate_all.sql", lists, decades)
            .fetch_one(transaction.connection())
            .await;
        let raised = transaction.checked(raised)?;
        transaction.commit_and_apply(self, versions).await?;
        Ok(usize::try_from(raised).unwrap_or_default())
    }
}

/// Invalidates results that depend on reference data: lists, genres, countries and the data origin.
pub(super) async fn invalidate_reference(connection: &mut Connection) -> sqlx::Result<()> {
    let (scope, key, decade) = row(&Scope::Reference);
    sqlx::query!("SELECT cinegraph.raise_version($1, $2, $3, true)", scope, key, decade).execute(connection).await?;
    Ok(())
}

/// A scope as the columns `scope`, `list_key` and `decade`; an empty key or decade 0 if the scope has none. For weights,
/// the database uses the former term `taste`, and `list_key` is their fingerprint.
fn row(scope: &Scope) -> (&'static str, &str, i32) {
    match scope {
        Scope::Scores(decade) => ("scores", "", decade.year()),
        Scope::List(list, decade) => ("list", list, decade.year()),
        Scope::Snapshot => ("snapshot", "", 0),
        Scope::Profiles => ("profiles", "", 0),
        Scope::Reference => ("reference", "", 0),
        Scope::Model(list) => ("model", list, 0),
        Scope::Weights(fingerprint) => ("taste", fingerprint, 0),
    }
}
