//! Cache policy: capacity of each cache and TTLs of its entries.

use std::time::Duration;

use crate::cache::{CacheName, CacheSettings, Capacity, Ttl};
use crate::config::Config;
use crate::scoring::Decade;

/// TTL of negative entries. Short, because the missing row may be inserted at any time; 30 seconds are a choice.
const NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// TTL of fallback results, after which the score table is tried again. A choice: the score table serves again soon
/// after it is available, and while it is not, a direct query per decade runs every few seconds and not for every
/// request.
const FALLBACK_TTL: Duration = Duration::from_secs(3);

/// Estimated bytes that an entry takes besides its value: the key and the bookkeeping of the cache.
const OVERHEAD: usize = 256;

/// Capacities and TTLs of all caches.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Memory of all caches of columns.
    columns_bytes: usize,
    /// Memory of all other caches.
    answers_bytes: usize,
    /// TTL of rankings of the current decade.
    current: Duration,
    /// TTL of profiles and movie details.
    profiles: Duration,
    /// TTL of rankings of past decades, of columns and of validations.
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

/// How the memory is divided among the caches of columns, and among all other caches, in percent. The shares are
/// choices by the typical size and number of the values.
pub mod share {
    /// Encoded responses, the largest values.
    pub const RESPONSES: usize = 33;
    /// Windows of rankings.
    pub const PREDICTIONS: usize = 15;
    /// Validation reports.
    pub const VALIDATIONS: usize = 15;
    /// Movies, descriptions, directors, genres, countries, metrics, festivals, credits, people, qualities of people: a
    /// movie has many credits and few genres.
    pub const DETAILS: [usize; 10] = [5, 3, 2, 2, 1, 3, 3, 5, 2, 1];
    /// Names, origin, summaries of lists, movies of lists, sources of metrics.
    pub const REFERENCE: [usize; 5] = [1, 1, 1, 1, 1];
    /// Profiles, and what is known of learned rankings.
    pub const PROFILES: usize = 1;
    /// Models of learned rankings, half a megabyte each.
    pub const MODELS: usize = 3;

    // The following shares are those of the caches of columns.
    /// Score columns that predictions read.
    pub const COLUMNS: usize = 34;
    /// Score columns that validations read.
    pub const SNAPSHOT_COLUMNS: usize = 33;
    /// Scores and feature codes of learned rankings.
    pub const LEARNED_COLUMNS: usize = 32;
    /// Time, target lists and decades of the snapshot.
    pub const SNAPSHOT: usize = 1;

    const fn sum(shares: &[usize]) -> usize {
        match shares {
            [] => 0,
            [first, rest @ ..] => *first + sum(rest),
        }
    }

    const _: () =
        assert!(RESPONSES + PREDICTIONS + VALIDATIONS + sum(&DETAILS) + sum(&REFERENCE) + 2 * PROFILES + MODELS == 100);
    const _: () = assert!(COLUMNS + SNAPSHOT_COLUMNS + LEARNED_COLUMNS + SNAPSHOT == 100);
}

impl CacheLimits {
    /// Capacity of a cache. `share` is its percentage of the memory for caches of its kind.
    #[must_use]
    pub fn settings(&self, name: CacheName, share: usize) -> CacheSettings {
        let bytes = if name == CacheName::Columns { self.columns_bytes } else { self.answers_bytes } / 100 * share;
        // An entry counts at least `OVERHEAD` bytes, so more entries than this cannot fit. The maximum bounds the table
        // that the cache allocates in advance.
        CacheSettings { name, capacity: Capacity { entries: (bytes / OVERHEAD).clamp(1, 100_000), bytes } }
    }

    /// TTL of a decade's rankings.
    #[must_use]
    pub fn ranking(&self, decade: Decade) -> Ttl {
        Ttl::of(if decade == Decade::CURRENT { self.current } else { self.past })
    }

    /// TTL of profiles and movie details.
    #[must_use]
    pub fn profiles(&self) -> Ttl {
        Ttl::of(self.profiles)
    }

    /// TTL of validations and columns, which change only with their data.
    #[must_use]
    pub fn past(&self) -> Ttl {
        Ttl::of(self.past)
    }

    /// TTL of columns from the fallback: refreshed soon, but served stale until then.
    #[must_use]
    pub fn fallback(&self) -> Ttl {
        Ttl { fresh: FALLBACK_TTL.min(self.past), stale: self.past }
    }

    /// TTL of negative entries.
    #[must_use]
    pub fn negative(&self) -> Ttl {
        Ttl::of(NEGATIVE_TTL.min(self.profiles))
    }
}

/// Approximate memory of an entry whose value owns `parts` bytes on the heap.
#[must_use]
pub fn estimated_size<V>(_: &V, parts: usize) -> usize {
    OVERHEAD + size_of::<V>() + parts
}
