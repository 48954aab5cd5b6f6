//! Caches: values in this process (L1), and in a Redis that instances share (L2).
//!
//! [`Cache`] combines the tiers: lookup, single flight, stale-while-revalidate. [`DependencyScope`] records what a
//! value was derived from, so that no value stays fresh longer than its parts. Loads are passed in as closures, so this
//! module does not know what a movie is. Redis is behind a circuit breaker. If a load fails because of an outage,
//! requests are served the outdated entry instead of an error, but never an invalidated one.

mod codec;
mod context;
mod dependencies;
mod entry;
mod freshness;
mod l1;
mod l2;
mod labels;
mod lookup;
mod metrics;
mod redis_errors;
mod single_flight;
mod tiered;

pub use codec::{SharedValue, layout_of};
pub use context::{CacheContext, CacheSettings, Key, LoadError};
pub use dependencies::{Dependencies, DependencyScope, ReadMode};
pub use entry::{Entry, LoadStart, Loaded, Ttl, Validity};
pub use freshness::{EntryState, state_of};
pub use l1::{Capacity, Memory};
pub use l2::{L2Settings, Redis};
pub use labels::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, Selection,
    WriteReason,
};
pub use lookup::Cache;
pub use metrics::{CacheMetrics, CacheStatus, revalidation_span};

#[cfg(test)]
mod tests;
