//! Invalidation by hand: what was made of these data may not be served any more, not even while it is made anew.

use super::versions::Scope;
use super::{Store, StoreError};

impl Store {
    /// Forbids every answer that depends on `scope`, on every instance.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn invalidate(&self, scope: &Scope) -> Result<(), StoreError> {
        let (scope, key, decade) = row(scope);
        let mut statement = self.statement("task_invalidate").await?;
        let raised = sqlx::query!("SELECT cinegraph.raise_version($1, $2, $3, true)", scope, key, decade)
            .execute(statement.connection())
            .await;
        statement.done(raised.map(|_| ()))
    }

    /// Forbids every answer, on every instance; says how many kinds of data were counted.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn invalidate_all(&self) -> Result<usize, StoreError> {
        let mut statement = self.statement("task_invalidate").await?;
        let raised = sqlx::query!(
            "SELECT cinegraph.raise_version(scope, list_key, decade, true)
             FROM (SELECT * FROM cinegraph.data_versions ORDER BY scope, list_key, decade) AS counted"
        )
        .fetch_all(statement.connection())
        .await;
        Ok(statement.rows(raised)?.len())
    }
}

/// A scope as the columns scope, list_key and decade have it.
fn row(scope: &Scope) -> (&'static str, &str, i32) {
    match scope {
        Scope::Scores(decade) => ("scores", "", decade.year()),
        Scope::List(list, decade) => ("list", list, decade.year()),
        Scope::Snapshot => ("snapshot", "", 0),
        Scope::Profiles => ("profiles", "", 0),
        Scope::Reference => ("reference", "", 0),
        Scope::Taste(fingerprint) => ("taste", fingerprint, 0),
    }
}
