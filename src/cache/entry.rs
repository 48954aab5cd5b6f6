//! A cache entry: a value, the versions that it was derived from, and how long it may be served.
//!
//! [`state_of`] computes an entry's state from its times and its version set at every lookup; no state is stored.
//!
//! ```text
//!   load --> FRESH --1--> STALE --2--> EXPIRED          FRESH, STALE, EXPIRED --4--> UNKNOWN
//!              ^            |             |             UNKNOWN --5--> as before, by times and versions
//!              +-----3------+------3------+             any state --6--> INVALIDATED --7--> removed
//! ```
//!
//! 1. `fresh_until` passes; or a soft invalidation raises a version, once the entry is at least 5 seconds old.
//! 2. `stale_until` passes.
//! 3. A load completes and replaces the entry. A request is served the stale entry and starts the load in the
//!    background (stale-while-revalidate). It waits for the load of an expired entry, and is served the expired entry
//!    only if the load fails because of an outage.
//! 4. The version listener loses its connection, so changes may be missed. The entry is treated as stale, whatever its
//!    times are.
//! 5. The versions are read again.
//! 6. A hard invalidation raises a minimum valid version above the entry's version. This outranks every other state.
//! 7. The next lookup removes the entry from L1 and waits for a load.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::labels::DataSource;
use crate::versions::{Staleness, VersionSet, Versions};

/// Minimum time between two refreshes of an entry because of soft invalidations; in between it counts as fresh. Without
/// this limit, data that changes all day would make every lookup stale.
const SOFT_WINDOW: TimeDelta = TimeDelta::seconds(5);

/// How long a value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// Time for which it is fresh.
    pub fresh: Duration,
    /// Time after that for which it may be served stale while it is refreshed.
    pub stale: Duration,
}

impl Ttl {
    /// The value is not stored: only the requests that wait for its load receive it.
    pub const NONE: Self = Self::of(Duration::ZERO);

    /// Fresh for `fresh`, then stale for the same time.
    #[must_use]
    pub const fn of(fresh: Duration) -> Self {
        Self { fresh, stale: fresh }
    }

    /// Scales both times by 0.9 to 1.1, as `part` goes from 0 to 1. With a random `part`, entries that were loaded
    /// together do not expire together.
    #[must_use]
    pub fn jittered(self, part: f64) -> Self {
        let factor = 0.9 + 0.2 * part.clamp(0.0, 1.0);
        Self { fresh: self.fresh.mul_f64(factor), stale: self.stale.mul_f64(factor) }
    }
}

/// Result of a load.
#[derive(Debug)]
pub struct Loaded<V> {
    /// The value.
    pub value: V,
    /// Versions that it was derived from, besides those of the cache entries that the load has read.
    pub version_set: VersionSet,
    /// How long it may be served.
    pub ttl: Ttl,
    /// Estimated size in memory.
    pub bytes: usize,
    /// Where it was loaded from; the slowest source of the entries read counts as well.
    pub source: DataSource,
}

/// A cached value.
#[derive(Debug, Clone)]
pub struct Entry<V> {
    /// The value.
    pub value: Arc<V>,
    /// Versions that it was derived from.
    pub version_set: VersionSet,
    /// When it was created, and how long it may be served.
    pub validity: Validity,
    /// Estimated size in memory.
    pub bytes: usize,
}

/// When a value was created, and how long it may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Start of its load.
    pub created_at: DateTime<Utc>,
    /// End of the fresh window.
    pub fresh_until: DateTime<Utc>,
    /// End of the stale window.
    pub stale_until: DateTime<Utc>,
}

impl Validity {
    /// The windows of a value created at `created_at`.
    #[must_use]
    pub fn new(created_at: DateTime<Utc>, ttl: Ttl) -> Self {
        let after = |time: DateTime<Utc>, by: Duration| {
            TimeDelta::from_std(by).ok().and_then(|by| time.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        let fresh_until = after(created_at, ttl.fresh);
        Self { created_at, fresh_until, stale_until: after(fresh_until, ttl.stale) }
    }

    /// Ends both windows no later than those of `part`, which the value is derived from.
    #[must_use]
    pub fn min(self, part: &Self) -> Self {
        Self {
            created_at: self.created_at,
            fresh_until: self.fresh_until.min(part.fresh_until),
            stale_until: self.stale_until.min(part.stale_until),
        }
    }

    /// Time since creation; 0 if the clock went back.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.created_at).to_std().unwrap_or_default()
    }
}

/// Whether an entry may be served. The diagram of this module shows the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// It may be served.
    Fresh,
    /// It may be served while it is refreshed.
    Stale,
    /// Its stale window is over. It is served only during an outage.
    Expired,
    /// It is hard-invalidated and must never be served.
    Invalidated,
}

/// Returns the state at `now` of an entry with these times and this version set.
#[must_use]
pub fn state_of(validity: &Validity, version_set: &VersionSet, versions: &Versions, now: DateTime<Utc>) -> EntryState {
    match versions.staleness(version_set) {
        Staleness::Invalidated => EntryState::Invalidated,
        // Changes may have been missed, and a refresh probably fails in the same outage. An outdated value is better
        // than an error, so the entry is served as stale even after its stale window.
        Staleness::Unknown => EntryState::Stale,
        _ if now >= validity.stale_until => EntryState::Expired,
        _ if now >= validity.fresh_until => EntryState::Stale,
        Staleness::Stale if now - validity.created_at >= SOFT_WINDOW => EntryState::Stale,
        Staleness::Stale | Staleness::Current => EntryState::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_fresh_then_stale_then_expired() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Validity::new(start, Ttl::of(Duration::from_mins(1)));
        let at = |seconds| state_of(&times, &VersionSet::default(), &versions, start + TimeDelta::seconds(seconds));
        assert_eq!([at(0), at(59)], [EntryState::Fresh; 2]);
        assert_eq!([at(60), at(119)], [EntryState::Stale; 2]);
        assert_eq!(at(120), EntryState::Expired);
    }

    #[test]
    fn an_entry_of_any_age_is_stale_in_the_unknown_state() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Validity::new(start, Ttl::of(Duration::from_mins(1)));
        versions.mark_unknown();
        for seconds in [0, 60, 120, 1_000_000] {
            let state = state_of(&times, &VersionSet::default(), &versions, start + TimeDelta::seconds(seconds));
            assert_eq!(state, EntryState::Stale, "after {seconds} s");
        }
    }

    #[test]
    fn jitter_is_at_most_a_tenth() {
        let ttl = Ttl::of(Duration::from_secs(100));
        assert_eq!(ttl.jittered(0.0).fresh, Duration::from_secs(90));
        assert_eq!(ttl.jittered(1.0).fresh, Duration::from_secs(110));
    }
}
