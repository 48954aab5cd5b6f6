//! Changes that this instance makes.

use crate::store::Store;
use crate::versions::Versions;

/// Applies the versions of a change that was just committed, without waiting for the version listener.
pub(super) async fn apply_versions(store: &Store, versions: &Versions) {
    // The change is committed even if this fails; the version listener applies it a moment later.
    if let Err(error) = store.read_versions(versions).await {
        tracing::warn!(%error, "cannot read the data versions after a change; the version listener will apply them");
    }
}
