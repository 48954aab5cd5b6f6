//! How the pool of a store is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::metrics::StoreMetrics;

/// How the pool of a store is used.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolUse(Arc<Use>);

#[derive(Debug, Default)]
struct Use {
    /// Number of connections that statements got from the pool.
    acquired: AtomicU64,
    exhausted_since: Mutex<Option<Instant>>,
}

impl PoolUse {
    /// Counts a statement that got a connection.
    pub(super) fn acquired(&self) {
        self.0.acquired.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of statements that got a connection so far.
    pub(super) fn count(&self) -> u64 {
        self.0.acquired.load(Ordering::Relaxed)
    }

    /// Since when the pool has been exhausted.
    pub(super) fn exhausted_since(&self) -> Option<Instant> {
        *self.0.exhausted_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether the pool is exhausted now.
    pub(super) fn set_exhausted(&self, exhausted: bool, metrics: &StoreMetrics) {
        let mut since = self.0.exhausted_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if exhausted { since.or_else(|| Some(Instant::now())) } else { None };
        metrics.pool_exhausted(exhausted);
    }
}
