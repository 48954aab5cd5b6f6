//! Changes that this instance makes.

use crate::store::Store;
use crate::versions::Versions;

/// Applies the versions of a change that was just committed, so that the next request to this instance sees the change.
/// The version listener would apply them a moment later.
pub(super) async fn apply_versions(store: &Store, versions: &Versions) {
    // Not an error of the change, which is committed: the version listener still applies the versions.
    if let Err(error) = store.read_versions(versions).await {
        tracing::warn!(%error, "cannot read the data versions after a change; the version listener will apply them");
    }
}
