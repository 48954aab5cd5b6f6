//! Changes of lists and of the target lists.

use chrono::{DateTime, Utc};

use super::connection::Connection;
use super::error::StoreError;
use super::invalidation::invalidate_reference;
use super::jobs;
use super::lists::{ListName, list_names};
use super::pool::Store;
use super::query_name::QueryName;
use super::queue::SNAPSHOT_AFTER;
use super::refresh::lock_score_table;
use super::task::Task;
use super::transaction::OpenTransaction;
use crate::versions::Versions;

impl Store {
    /// Starts a transaction that changes the target lists. Waits for others that change lists, once they have invalidated
    /// the reference data.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn change_target_lists(&self) -> Result<ListChanges, StoreError> {
        ListChanges::invalidated(self.transaction(QueryName::Lists).await?, self).await
    }

    /// Starts a transaction that changes which movies are on lists, and returns it with whether Cinegraph owns the movie
    /// tables. `None` while an import or another such transaction is writing them, which may take minutes.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn change_lists(&self) -> Result<Option<(ListChanges, bool)>, StoreError> {
        let mut transaction = self.batch_transaction(QueryName::Lists).await?;
        let owns = sqlx::query_scalar!("SELECT owns_catalogue FROM cinegraph.installation FOR UPDATE SKIP LOCKED")
            .fetch_optional(transaction.connection())
            .await;
        let owns = transaction.checked(owns)?;
        Ok(owns.map(|owns| (ListChanges { transaction, store: self.clone() }, owns)))
    }
}

/// Changes of lists in one transaction. Dropped before [`commit`](Self::commit), they are rolled back.
#[derive(Debug)]
pub struct ListChanges {
    transaction: OpenTransaction,
    store: Store,
}

impl ListChanges {
    /// Invalidates the reference data before any change of target lists: the row of the version then stays locked until
    /// the transaction ends, so that such changes run one after the other, and each sees the result of the previous one.
    pub(super) async fn invalidated(mut transaction: OpenTransaction, store: &Store) -> Result<Self, StoreError> {
        let raised = invalidate_reference(transaction.connection()).await;
        transaction.checked(raised)?;
        Ok(Self { transaction, store: store.clone() })
    }

    /// All lists, as [`Store::list_names`].
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn lists(&mut self, configured: &[String]) -> Result<Vec<ListName>, StoreError> {
        let lists = list_names(self.transaction.connection(), configured).await;
        self.transaction.checked(lists)
    }

    /// Chooses a list as a target list, or no longer.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn choose_target(&mut self, list_key: &str, target: bool) -> Result<(), StoreError> {
        let connection = self.transaction.connection();
        let changed = if target {
            sqlx::query!(
                "INSERT INTO cinegraph.chosen_target_lists (list_key) VALUES ($1) ON CONFLICT DO NOTHING",
                list_key
            )
            .execute(connection)
            .await
        } else {
            sqlx::query!("DELETE FROM cinegraph.chosen_target_lists WHERE list_key = $1", list_key)
                .execute(connection)
                .await
        };
        self.transaction.checked(changed).map(|_| ())
    }

    /// Deletes a list: from its movies, from the target lists and by name. Invalidates what was derived from it. Returns
    /// the number of its movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn delete(&mut self, list_key: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let deleted = delete_list(self.transaction.connection(), list_key, now).await;
        let movies = self.transaction.checked(deleted)?;
        // After the reference data was invalidated, which waits for a transaction that makes the list a target.
        self.choose_target(list_key, false).await?;
        Ok(movies)
    }

    /// Requests a run of a task: at once, or together with the snapshot that a change of lists requests.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn request_task(&mut self, task: Task, at_once: bool) -> Result<(), StoreError> {
        let after = if at_once { "0 seconds" } else { SNAPSHOT_AFTER };
        let requested = jobs::request(self.transaction.connection(), task, after).await;
        self.transaction.checked(requested)
    }

    /// Commits the changes, applies them to `versions`, the versions of this process, and notifies all instances.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the outcome of the commit is then unknown.
    pub async fn commit(self, versions: &Versions) -> Result<(), StoreError> {
        self.transaction.commit_and_apply(&self.store, versions).await
    }
}

async fn delete_list(connection: &mut Connection, list_key: &str, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let left =
        sqlx::query_file!("src/store/sql/delete_list_members.sql", list_key, now).fetch_one(&mut *connection).await?;
    sqlx::query!("DELETE FROM public.movie_lists WHERE source_key = $1", list_key).execute(&mut *connection).await?;
    // Batches of scores raise versions of decades and of lists too, but not always in this order: without their lock, they
    // and this transaction could deadlock.
    lock_score_table(connection).await?;
    sqlx::query_file!("src/store/sql/raise_deleted_list.sql", list_key, &left.decades).execute(connection).await?;
    Ok(left.movies.unsigned_abs())
}
