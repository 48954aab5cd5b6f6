//! Values kept between requests: in this process (L1), and in a Redis that instances share (L2).
//!
//! [`Cache`] puts the tiers together: fresh, stale or a miss, one load for all who ask, refreshes beside the requests.
//! [`DependencyScope`] knows what an answer was made of, so that an answer is never kept longer than its parts. Who loads is
//! passed in as a closure, so nothing here knows what a movie is. Redis is behind a circuit breaker; when loads fail, what
//! is kept is served however old it is.

mod batch_cache;
mod dependencies;
mod entry;
mod l1;
mod l2;
mod tiered;

pub use batch_cache::BatchCache;
pub use dependencies::{Dependencies, DependencyScope, ReadMode};
pub use entry::{Entry, EntryState, Loaded, Ttl, Validity, state_of};
pub use l1::{Capacity, Memory};
pub use l2::{L2Settings, Redis};
pub use tiered::{Cache, CacheContext, CacheSettings, Key, LoadError};
