//! Caches: values in this process (L1), and in a Redis that instances share (L2).
//!
//! [`Cache`] combines the tiers: lookup, single flight, stale-while-revalidate. [`DependencyScope`] records what a
//! value was derived from, so that no value stays fresh longer than its parts. Loads are passed in as closures, so this
//! module does not know what a movie is. Redis is behind a circuit breaker. If a load fails because of an outage,
//! outdated entries are served, but never invalidated ones.

mod batch_cache;
mod dependencies;
mod entry;
mod l1;
mod l2;
mod labels;
mod metrics;
mod tiered;

pub use batch_cache::BatchCache;
pub use dependencies::{Dependencies, DependencyScope, ReadMode};
pub use entry::{Entry, EntryState, Loaded, Ttl, Validity, state_of};
pub use l1::{Capacity, Memory};
pub use l2::{L2Settings, Redis};
pub use labels::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, WriteReason,
};
pub use metrics::{CacheMetrics, CacheStatus, revalidation_span};
pub use tiered::{Cache, CacheContext, CacheSettings, Key, LoadError};
