//! How the pool of a store is used: how many statements got a connection, and since when the pool is exhausted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::metrics::StoreMetrics;

/// How the pool of a store is used.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolUse(Arc<Use>);

#[derive(Debug, Default)]
struct Use {
    /// Number of statements that got a connection from the pool.
    acquired: AtomicU64,
    /// `None` while the pool is not exhausted.
    exhausted_since: Mutex<Option<Instant>>,
}

impl PoolUse {
    /// Counts a statement that got a connection.
    pub(super) fn acquired(&self) {
        self.0.acquired.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of statements that got a connection so far.
    pub(super) fn acquisitions(&self) -> u64 {
        self.0.acquired.load(Ordering::Relaxed)
    }

    /// Since when the pool has been exhausted; `None` if it is not.
    pub(super) fn exhausted_since(&self) -> Option<Instant> {
        *self.0.exhausted_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether the pool is exhausted now. Of several calls in a row with `true`, the first sets the time.
    pub(super) fn set_exhausted(&self, exhausted: bool, metrics: &StoreMetrics) {
        let mut since = self.0.exhausted_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if exhausted { since.or_else(|| Some(Instant::now())) } else { None };
        metrics.pool_exhausted(exhausted);
    }
}
