//! Invalidation by hand: what was made of these data may not be served any more, not even while it is made anew.

use sqlx::PgConnection;

use super::{Store, StoreError, WithDeadline};
use crate::scoring::Decade;
use crate::versions::Scope;

impl Store {
    /// Forbids every answer that depends on `scope`, on every instance.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn invalidate(&self, scope: &Scope) -> Result<(), StoreError> {
        let (scope, key, decade) = row(scope);
        let mut statement = self.statement("data_versions").await?;
        let raised = sqlx::query!("SELECT cinegraph.raise_version($1, $2, $3, true)", scope, key, decade)
            .execute(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        statement.done(raised.map(|_| ()))
    }

    /// Forbids every answer, on every instance, also where nothing was counted yet; says how many kinds of data are counted
    /// now.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; nothing is forbidden then.
    pub async fn invalidate_all(&self) -> Result<usize, StoreError> {
        let lists: Vec<String> = self.list_names().await?.into_iter().map(|list| list.key).collect();
        let decades = self.decades_with_movies(Decade::LAST).await?;
        let mut transaction = self.transaction("data_versions").await?;
        // Others raise several versions in an order of their own: with this lock no two of us wait for each other.
        let locked = sqlx::query!("LOCK TABLE cinegraph.data_versions IN SHARE ROW EXCLUSIVE MODE")
            .execute(transaction.connection())
            .await;
        transaction.checked(locked)?;
        let raised = sqlx::query_file_scalar!("src/store/sql/invalidate_all.sql", &lists, &decades)
            .fetch_one(transaction.connection())
            .await;
        let raised = transaction.checked(raised)?;
        transaction.commit().await?;
        Ok(usize::try_from(raised).unwrap_or_default())
    }
}

/// Invalidates what depends on reference data: lists, genres, countries, and where the movies come from.
pub(super) async fn invalidate_reference(connection: &mut PgConnection) -> sqlx::Result<()> {
    let (scope, key, decade) = row(&Scope::Reference);
    sqlx::query!("SELECT cinegraph.raise_version($1, $2, $3, true)", scope, key, decade).execute(connection).await?;
    Ok(())
}

/// A scope as the columns scope, list_key and decade have it.
fn row(scope: &Scope) -> (&'static str, &str, i32) {
    match scope {
        Scope::Scores(decade) => ("scores", "", decade.year()),
        Scope::List(list, decade) => ("list", list, decade.year()),
        Scope::Snapshot => ("snapshot", "", 0),
        Scope::Profiles => ("profiles", "", 0),
        Scope::Reference => ("reference", "", 0),
        Scope::Weights(fingerprint) => ("taste", fingerprint, 0),
    }
}
