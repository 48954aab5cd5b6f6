//! What a cache is given: its name and limits, the services that all caches share, and the traits of keys and errors.

use std::hash::Hash;

use super::l1::Capacity;
use super::l2::Redis;
use super::labels::CacheName;
use super::metrics::CacheMetrics;
use crate::clock::Clock;
use crate::versions::Versions;

/// Key of a cache.
pub trait Key: Eq + Hash + Clone + Send + Sync + 'static {
    /// Whether the value belongs to custom weights. Clients can send any number of custom weights, so such values have
    /// a small L1 partition of their own and must not fill L2: [`shared`](Self::shared) must return `None` for them.
    fn is_custom(&self) -> bool {
        false
    }

    /// Whether each lookup has a span of its own.
    fn traced(&self) -> bool {
        true
    }

    /// The key in L2; `None` if the value is not shared.
    fn shared(&self) -> Option<String> {
        None
    }
}

/// Key of a cache with one value. Nearly every request reads that value, so a span per lookup would not be worth its
/// cost.
impl Key for () {
    fn traced(&self) -> bool {
        false
    }
}

/// Error of a load. Cheap to clone, because the leader and every follower receive a copy.
pub trait LoadError: Clone + Send + Sync + 'static {
    /// Whether a dependency is unavailable and the request is valid, so that an outdated value is better than an error.
    fn is_outage(&self) -> bool;
}

/// Name and limits of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// The name in metrics and spans.
    pub name: CacheName,
    /// Limits of L1.
    pub capacity: Capacity,
}

/// What all caches of a service share.
#[derive(Debug, Clone)]
pub struct CacheContext {
    /// The current data versions.
    pub versions: Versions,
    /// The source of the time for TTLs.
    pub clock: Clock,
    /// The metrics that lookups are counted in.
    pub metrics: CacheMetrics,
    /// The shared cache (L2), if configured.
    pub redis: Option<Redis>,
}
