//! Dependency tracking: what a value is derived from, recorded while it is computed.
//!
//! A task that computes a value runs in a [`DependencyScope`]. Each of its lookups in a [`Cache`](super::Cache) records
//! the version set, the validity and the source of the entry in this scope; code that reads the database without a
//! cache calls [`DependencyScope::record`]. The computed value therefore carries every version that can make it stale,
//! and no resolver has to declare its dependencies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::Validity;
use super::labels::{DataSource, Lookup};
use crate::versions::VersionSet;

tokio::task_local! {
    static CURRENT: Arc<DependencyScope>;
}

/// The purpose of a lookup. Only a request may be served a stale entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// To serve a request. The lookup is counted in the metrics, and a stale entry may be served.
    Request,
    /// To refresh a stale value, which must be derived from fresh entries only: a stale entry is loaded again.
    Revalidate,
    /// To warm the caches. A stale entry is loaded again.
    Warm,
    /// To publish live updates, or to serve a request for a minimum data version. Even a fresh entry is loaded again if
    /// its data has changed: for some seconds after a soft invalidation, an outdated entry still counts as fresh.
    Latest,
}

/// Records the dependencies of one value while it is computed.
#[derive(Debug)]
pub struct DependencyScope {
    mode: ReadMode,
    recorded: Mutex<Dependencies>,
}

/// The combined dependencies of a value.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The versions of all parts; if two parts have different versions of a scope, the older one.
    pub version_set: VersionSet,
    /// The earliest ends of the fresh and stale windows of all parts, with the creation time of the part that was
    /// recorded first. `None` if no part was recorded.
    pub validity: Option<Validity>,
    /// The slowest source of all parts. `None` if no part was recorded.
    pub source: Option<DataSource>,
    /// Whether any part of the value was computed with custom weights. L1 has a partition for such values.
    pub custom: bool,
    /// Lookups that found a fresh entry.
    pub hits: u32,
    /// Lookups that were served a stale entry.
    pub stale: u32,
    /// Lookups that found no entry that may be served.
    pub misses: u32,
}

impl Dependencies {
    /// Adds a part of the value. The older version of each scope, the shorter validity and the slower source remain.
    fn add(&mut self, version_set: &VersionSet, validity: Option<Validity>, source: Option<DataSource>) {
        self.version_set.add(version_set);
        self.validity = match (self.validity, validity) {
            (Some(shortest), Some(validity)) => Some(shortest.min(&validity)),
            (shortest, validity) => shortest.or(validity),
        };
        // `None` is less than every source.
        self.source = self.source.max(source);
    }
}

impl DependencyScope {
    /// A scope without dependencies.
    #[must_use]
    pub fn new(mode: ReadMode) -> Arc<Self> {
        Arc::new(Self { mode, recorded: Mutex::default() })
    }

    /// The scope that this task runs in, if any. Spawned tasks do not inherit it.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs `work` in this scope.
    pub async fn of<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The purpose of the lookups in this scope.
    #[must_use]
    pub fn mode(&self) -> ReadMode {
        self.mode
    }

    /// A copy of the dependencies recorded until now.
    #[must_use]
    pub fn snapshot(&self) -> Dependencies {
        self.recorded().clone()
    }

    /// Records that a cache entry was served, or that data was read without a cache.
    pub fn record(&self, version_set: &VersionSet, validity: Validity, source: DataSource) {
        self.recorded().add(version_set, Some(validity), Some(source));
    }

    /// Adds the dependencies of a part of the value that was computed in a scope of its own.
    pub fn absorb(&self, part: &Dependencies) {
        let mut recorded = self.recorded();
        recorded.add(&part.version_set, part.validity, part.source);
        recorded.custom |= part.custom;
        recorded.hits += part.hits;
        recorded.stale += part.stale;
        recorded.misses += part.misses;
    }

    /// Records that a part of the value came from `source`, and depends on nothing that is not recorded otherwise.
    pub fn record_source(&self, source: DataSource) {
        let mut recorded = self.recorded();
        recorded.source = recorded.source.max(Some(source));
    }

    /// Records that a part of the value was computed with custom weights.
    pub fn record_custom(&self) {
        self.recorded().custom = true;
    }

    /// Whether a part of the value is known to be computed with custom weights.
    pub(super) fn is_custom(&self) -> bool {
        self.recorded().custom
    }

    /// Counts one lookup by its result.
    pub(super) fn count(&self, lookup: Lookup) {
        let mut recorded = self.recorded();
        match lookup {
            Lookup::HitL1 | Lookup::HitL2 => recorded.hits += 1,
            Lookup::Stale => recorded.stale += 1,
            Lookup::Miss => recorded.misses += 1,
        }
    }

    /// Locks the dependencies even if a thread has panicked while it held the lock: no change is left half done.
    fn recorded(&self) -> MutexGuard<'_, Dependencies> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
