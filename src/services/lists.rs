//! Changes of lists by administrators: which ones are target lists, and deletion.

use chrono::{DateTime, Utc};

use super::{Administrator, ServiceError, Services};
use crate::store::{ListChanges, ListName, Store, Task, retry_conflicts};

/// Maximum number of target lists, those of the setting included. The snapshot has every movie once per target list and is
/// filled by one statement, which takes up to a minute for a list with a million movies, and ten minutes at most.
const TARGETS_MAX: usize = 10;

/// Chooses a list as a target list, or no longer, and requests a new snapshot, which has blind scores for exactly the target
/// lists: `at_once`, or after the scores of movies that have changed. `configured` are the target lists of the setting,
/// which stay as they are. Returns the list.
///
/// # Errors
/// As [`Services::set_target_list`].
pub(super) async fn choose_target(
    changes: &mut ListChanges,
    configured: &[String],
    key: &str,
    target: bool,
    at_once: bool,
) -> Result<ListName, ServiceError> {
    let lists = changes.lists(configured).await?;
    let targets = lists.iter().filter(|list| list.is_target).count();
    let list = find(lists, key)?;
    if configured.contains(&list.key) {
        if target {
            return Ok(list);
        }
        let problem = format!("\"{key}\" is a target list of the setting `target_lists`: remove it there");
        return Err(ServiceError::forbidden("key", problem));
    }
    if target && !list.is_target && targets >= TARGETS_MAX {
        let problem = format!(
            "there are {targets} target lists, and {TARGETS_MAX} are allowed, because each has blind scores of its own for \
             every movie: remove another one first"
        );
        return Err(ServiceError::conflict("target", problem));
    }
    changes.choose_target(key, target).await?;
    // Also if nothing changes: the administrator may repeat the request because a snapshot has failed.
    changes.request_task(Task::SnapshotRefresh, at_once).await?;
    Ok(ListName { is_target: target, ..list })
}

impl Services {
    /// Chooses a list as a target list, or no longer. Returns the list.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown list, [`ServiceError::Forbidden`] if a list of the setting would be
    /// removed, [`ServiceError::Conflict`] if there are as many target lists as there may be, [`ServiceError::Store`] if
    /// the database is unavailable.
    pub async fn set_target_list(&self, by: &Administrator, key: &str, target: bool) -> Result<ListName, ServiceError> {
        let list = retry_conflicts(ServiceError::is_conflict, || self.set_target_once(key, target)).await?;
        tracing::info!(admin = by.label(), list = key, is_target = target, "target list set");
        Ok(list)
    }

    async fn set_target_once(&self, key: &str, target: bool) -> Result<ListName, ServiceError> {
        let configured = self.reference.configured_targets();
        // While movies wait for new scores, as after an import, so does the snapshot: it would have the list without them.
        let at_once = !self.store.is_anything_queued().await?;
        let mut changes = self.store.change_target_lists().await?;
        let list = choose_target(&mut changes, configured, key, target, at_once).await?;
        if !configured.contains(&list.key) {
            changes.commit(&self.versions).await?;
        }
        Ok(list)
    }

    /// Deletes a list: its movies stay, and are no longer on it. `expected` is the time of the last change that the caller
    /// knows of (optimistic concurrency); `None` deletes any state.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown list, [`ServiceError::Forbidden`] for a list of the setting or in tables of
    /// a host application, [`ServiceError::Conflict`] if the list was changed since `expected` or an import is running,
    /// [`ServiceError::Store`] if the database is unavailable. Nothing is changed then.
    pub async fn delete_list(
        &self,
        by: &Administrator,
        key: &str,
        expected: Option<DateTime<Utc>>,
    ) -> Result<(), ServiceError> {
        let movies = retry_conflicts(ServiceError::is_conflict, || self.delete_list_once(key, expected)).await?;
        tracing::info!(admin = by.label(), list = key, films = movies, "list deleted");
        Ok(())
    }

    async fn delete_list_once(&self, key: &str, expected: Option<DateTime<Utc>>) -> Result<u64, ServiceError> {
        let configured = self.reference.configured_targets();
        let mut changes = change_lists(&self.store).await?;
        let list = find(changes.lists(configured).await?, key)?;
        if configured.contains(&list.key) {
            let problem = format!(
                "\"{key}\" is a target list of the setting `target_lists`: remove it there before you delete the list"
            );
            return Err(ServiceError::forbidden("key", problem));
        }
        if expected.is_some() && expected != list.updated_at {
            let problem = match list.updated_at {
                Some(at) => format!("the list was changed at {}: read it again and repeat the change", at.to_rfc3339()),
                None => "the list was replaced: read it again and repeat the change".to_owned(),
            };
            return Err(ServiceError::conflict("expectedUpdatedAt", problem));
        }
        let movies = changes.delete(key, self.clock.now()).await?;
        changes.request_task(Task::SnapshotRefresh, false).await?;
        if self.person_quality {
            // People's quality counts the lists of their movies.
            changes.request_task(Task::PersonQuality, true).await?;
        }
        changes.commit(&self.versions).await?;
        Ok(movies)
    }
}

/// Starts a transaction that changes which movies are on lists.
///
/// # Errors
/// [`ServiceError::Forbidden`] for tables of a host application, [`ServiceError::Conflict`] during an import.
async fn change_lists(store: &Store) -> Result<ListChanges, ServiceError> {
    match store.change_lists().await? {
        Some((changes, true)) => Ok(changes),
        Some((_, false)) => Err(ServiceError::forbidden(
            "key",
            "these lists belong to another application, which fills the movie tables of this database: change them there",
        )),
        None => Err(ServiceError::conflict("key", "an import is changing the lists: retry when it has ended")),
    }
}

fn find(lists: Vec<ListName>, key: &str) -> Result<ListName, ServiceError> {
    lists.into_iter().find(|list| list.key == key).ok_or_else(|| {
        ServiceError::not_found("key", format!("unknown list \"{key}\"; the query `lists` returns all keys"))
    })
}
