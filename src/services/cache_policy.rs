//! What is kept of each kind of answer: how much, and for how long.

use std::time::Duration;

use crate::cache::{CacheSettings, Capacity, Ttl};
use crate::config::Config;
use crate::scoring::Decade;
use crate::telemetry::CacheName;

/// How long "there is none" is kept: what is missing may come at any moment.
const NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// How soon after a failure the usual source is tried again.
const FALLBACK_TTL: Duration = Duration::from_secs(3);

/// A value smaller than this is counted as this much: its key and its place in the cache take memory too.
const OVERHEAD: usize = 256;

/// Bounds and lifetimes of all caches.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    columns_bytes: usize,
    answers_bytes: usize,
    current: Duration,
    profiles: Duration,
    past: Duration,
}

impl From<&Config> for CacheLimits {
    fn from(config: &Config) -> Self {
        Self {
            columns_bytes: config.cache_columns_bytes,
            answers_bytes: config.cache_answers_bytes,
            current: config.cache_current_ttl,
            profiles: config.cache_profiles_ttl,
            past: config.cache_past_ttl,
        }
    }
}

impl CacheLimits {
    /// The bounds of a cache. `share` is its part, in percent, of what all caches of its kind may take.
    #[must_use]
    pub fn settings(&self, name: CacheName, share: usize) -> CacheSettings {
        let bytes = if name == CacheName::Columns { self.columns_bytes } else { self.answers_bytes } / 100 * share;
        // A cache of small values is bounded by their number, one of large ones by their size.
        CacheSettings { name, capacity: Capacity { entries: (bytes / OVERHEAD).clamp(16, 100_000), bytes } }
    }

    /// Of a ranking of a decade.
    #[must_use]
    pub fn ranking(&self, decade: Decade) -> Ttl {
        Ttl::of(if decade == Decade::CURRENT { self.current } else { self.past })
    }

    /// Of profiles and details.
    #[must_use]
    pub fn profiles(&self) -> Ttl {
        Ttl::of(self.profiles)
    }

    /// Of validations and columns, which change only with their data.
    #[must_use]
    pub fn past(&self) -> Ttl {
        Ttl::of(self.past)
    }

    /// Of columns that something else should have served: looked for again soon, and good enough until then.
    #[must_use]
    pub fn fallback(&self) -> Ttl {
        Ttl { fresh: FALLBACK_TTL.min(self.past), stale: self.past }
    }

    /// Of there being nothing.
    #[must_use]
    pub fn negative(&self) -> Ttl {
        Ttl::of(NEGATIVE_TTL.min(self.profiles))
    }
}

/// About how much memory a value takes whose parts outside of it take `parts` bytes.
#[must_use]
pub fn estimated_size<V>(_: &V, parts: usize) -> usize {
    OVERHEAD + size_of::<V>() + parts
}
