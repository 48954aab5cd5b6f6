//! What an answer was made of, gathered while it is made.
//!
//! Every [`Cache::get`](super::Cache::get) of a task that runs in a reading is noted there: the versions of the data, how
//! long it may be served, the slowest source. So an answer that is kept knows all that could make it old, and no resolver
//! can forget to say so.

use std::sync::{Arc, Mutex, PoisonError};

use super::entry::Validity;
use crate::telemetry::Source;
use crate::versions::VersionSet;

tokio::task_local! {
    static CURRENT: Arc<DependencyScope>;
}

/// What somebody reads cached values for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// To answer a request: counted, and a stale value will do.
    Request,
    /// To replace a value that has become old: a stale one will not do.
    Revalidate,
    /// To have values ready before a request asks: a stale one will not do.
    Warm,
    /// To tell of changes: a value that lacks one will not do, however new it is.
    Latest,
}

/// What was read so far.
#[derive(Debug)]
pub struct DependencyScope {
    purpose: ReadMode,
    read: Mutex<Dependencies>,
}

/// The sum of what was read.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The versions of the data.
    pub version_set: VersionSet,
    /// The shortest of the times for which it may be served.
    pub times: Option<Validity>,
    /// The slowest source.
    pub source: Option<Source>,
    /// Whether a part of it belongs to weights that no profile has.
    pub custom: bool,
    /// Values found fresh.
    pub hits: u32,
    /// Values found stale.
    pub stale: u32,
    /// Values not found.
    pub misses: u32,
}

impl DependencyScope {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(purpose: ReadMode) -> Arc<Self> {
        Arc::new(Self { purpose, read: Mutex::default() })
    }

    /// The reading that this task runs in, if it does.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs `work` in this reading.
    pub async fn of<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// What for.
    #[must_use]
    pub fn purpose(&self) -> ReadMode {
        self.purpose
    }

    /// What was read so far.
    #[must_use]
    pub fn snapshot(&self) -> Dependencies {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a value that was read.
    pub fn record(&self, version_set: &VersionSet, times: Validity, source: Source) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.version_set.add(version_set);
        read.times = Some(read.times.map_or(times, |so_far| so_far.min(&times)));
        read.source = read.source.max(Some(source));
    }

    /// Notes that a part of the answer belongs to weights that no profile has.
    pub fn record_custom(&self) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).custom = true;
    }

    pub(super) fn count(&self, what: impl FnOnce(&mut Dependencies)) {
        what(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
