//! Keeping learned rankings current, as background work.

use chrono::{DateTime, Utc};

use super::codes::refresh_codes;
use super::training::train_all;
use crate::services::ServiceError;
use crate::store::{Store, Task};

/// Computes outdated feature codes, then trains the target lists whose rankings were not trained since `since` and since the
/// last change of the list. `configured` are the target lists of the setting. Returns the number of rankings that were
/// changed or refused; `None` while another instance does this.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable. Versions that were stored before stay.
pub async fn keep_current(
    store: &Store,
    configured: &[String],
    since: DateTime<Utc>,
) -> Result<Option<usize>, ServiceError> {
    let Some(lock) = store.model_training().await? else { return Ok(None) };
    let work = async {
        // First, because a training may take an hour.
        let refreshed = refresh_codes(store).await?;
        let lists = store.untrained_lists(&store.target_lists(configured).await?, since).await?;
        let trained = train_all(store, &lists, &mut |_| ()).await?;
        store.record_success(Task::ModelTrain).await?;
        Ok(refreshed + trained.len())
    };
    lock.hold(work).await.map(Some)
}

/// Requests the task that calls [`keep_current`] if it would have work to do. A refused training counts like any other, so a
/// list that is not learnable is not trained again and again. `target_lists` are all target lists.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable.
pub async fn request_upkeep(store: &Store, target_lists: &[String], since: DateTime<Utc>) -> Result<(), ServiceError> {
    let untrained = store.untrained_lists(target_lists, since).await?;
    if !untrained.is_empty() || !store.outdated_models().await?.is_empty() {
        store.request_task(Task::ModelTrain).await?;
    }
    Ok(())
}
