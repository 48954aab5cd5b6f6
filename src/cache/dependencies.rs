//! Dependency tracking: what a value is derived from, recorded while it is computed.
//!
//! Every [`Cache::get`](super::Cache::get) of a task that runs in a [`DependencyScope`] records the version set, the
//! validity and the source of the entry there. A cached value therefore carries every version that can make it stale,
//! and no resolver has to declare its dependencies.

use std::sync::{Arc, Mutex, PoisonError};

use super::entry::Validity;
use super::labels::{DataSource, Lookup};
use crate::versions::VersionSet;

tokio::task_local! {
    static CURRENT: Arc<DependencyScope>;
}

/// The purpose of a lookup, which decides whether a stale entry may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// To serve a request. The lookup is counted in the metrics, and a stale entry may be served.
    Request,
    /// To refresh a stale value. Its parts must be fresh.
    Revalidate,
    /// To warm the caches. A stale entry is loaded again.
    Warm,
    /// To publish live updates. Even a fresh entry is loaded again if the data has changed since.
    Latest,
}

/// Records the dependencies of one value while it is computed.
#[derive(Debug)]
pub struct DependencyScope {
    purpose: ReadMode,
    read: Mutex<Dependencies>,
}

/// The combined dependencies of a value.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The older version of each scope that was read.
    pub version_set: VersionSet,
    /// The first entry's creation time, with the earliest ends of the fresh and stale windows.
    pub validity: Option<Validity>,
    /// The slowest source used.
    pub source: Option<DataSource>,
    /// Whether any part of the value was computed with custom weights.
    pub custom: bool,
    /// Lookups that found a fresh entry.
    pub hits: u32,
    /// Lookups that were served a stale entry.
    pub stale: u32,
    /// Lookups that missed.
    pub misses: u32,
}

impl Dependencies {
    /// Adds a part of the value: the older versions, the shorter validity and the slower source count.
    fn add(&mut self, version_set: &VersionSet, validity: Option<Validity>, source: Option<DataSource>) {
        self.version_set.add(version_set);
        self.validity = match (self.validity, validity) {
            (Some(shortest), Some(validity)) => Some(shortest.min(&validity)),
            (shortest, validity) => shortest.or(validity),
        };
        self.source = self.source.max(source);
    }
}

impl DependencyScope {
    /// A scope without dependencies.
    #[must_use]
    pub fn new(purpose: ReadMode) -> Arc<Self> {
        Arc::new(Self { purpose, read: Mutex::default() })
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
        self.purpose
    }

    /// A copy of the dependencies recorded until now.
    #[must_use]
    pub fn snapshot(&self) -> Dependencies {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that an entry was read.
    pub fn record(&self, version_set: &VersionSet, times: Validity, source: DataSource) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.add(version_set, Some(times), Some(source));
    }

    /// Adds what a part of the value was derived from, which was computed in a scope of its own.
    pub fn absorb(&self, part: &Dependencies) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.add(&part.version_set, part.validity, part.source);
        read.custom |= part.custom;
        read.hits += part.hits;
        read.stale += part.stale;
        read.misses += part.misses;
    }

    /// Records that a part of the value was computed with custom weights.
    pub fn record_custom(&self) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).custom = true;
    }

    /// Counts one lookup by its result.
    pub(super) fn count(&self, lookup: Lookup) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match lookup {
            Lookup::HitL1 | Lookup::HitL2 => read.hits += 1,
            Lookup::Stale => read.stale += 1,
            Lookup::Miss => read.misses += 1,
        }
    }
}
