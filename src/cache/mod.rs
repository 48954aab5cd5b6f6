//! Values kept between requests: in this process (L1), and in a Redis that instances share (L2).
//!
//! [`Cache`] puts the tiers together: fresh, stale or a miss, one load for all who ask, refreshes beside the requests.
//! [`Reading`] knows what an answer was made of, so that an answer is never kept longer than its parts. Who loads is
//! passed in as a closure, so nothing here knows what a movie is. Redis is behind a circuit breaker; when loads fail, what
//! is kept is served however old it is.

mod batch;
mod entry;
mod memory;
mod reading;
mod redis;
mod tiered;

pub use batch::BatchCache;
pub use entry::{Entry, Lifetime, Made, Times, Verdict, judge};
pub use memory::{Capacity, Memory};
pub use reading::{Purpose, Read, Reading};
pub use redis::{L2Settings, Redis};
pub use tiered::{Cache, CacheSettings, Key, LoadError, Surroundings};
