//! Freshness: whether a cache entry may be served.
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
//! 4. The version listener has not read the versions for 2 seconds, or cannot read them, so changes may be missed. The
//!    entry is treated as stale, whatever its times are.
//! 5. The versions are read again.
//! 6. A hard invalidation raises a minimum valid version above the entry's version, or the database turns out to have
//!    another history (another epoch). INVALIDATED outranks every other state.
//! 7. The next lookup removes the entry from L1 and waits for a load.

use std::time::Duration;

use super::entry::Validity;
use crate::clock::Moment;
use crate::versions::{Staleness, VersionSet, Versions};

/// Soft invalidations make an entry stale only when it is at least this old; until then it counts as fresh. Without
/// this limit, every lookup of data that changes all day would find a stale entry and start a refresh. The age is that
/// of the oldest part of the entry: otherwise, the windows of values that are derived from each other would add up. A
/// part that was loaded while the versions were unknown is as old as these: otherwise, it would count as fresh for five
/// more seconds after a change that it may lack.
/// Five seconds are a choice between the number of refreshes and how late requests see a change of scores.
const SOFT_WINDOW: Duration = Duration::from_secs(5);

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
pub fn state_of(validity: &Validity, version_set: &VersionSet, versions: &Versions, now: Moment) -> EntryState {
    match versions.staleness(version_set) {
        Staleness::Invalidated => EntryState::Invalidated,
        // Changes may have been missed, and a refresh probably fails in the same outage. An outdated value is better
        // than an error, so the entry is served as stale even after its stale window.
        Staleness::Unknown => EntryState::Stale,
        _ if now >= validity.stale_until => EntryState::Expired,
        _ if now >= validity.fresh_until => EntryState::Stale,
        Staleness::Stale if now.since(validity.oldest_part) >= SOFT_WINDOW => EntryState::Stale,
        Staleness::Stale | Staleness::Current => EntryState::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::entry::Ttl;
    use super::*;
    use crate::clock::Clock;

    /// The state after some seconds of an entry without dependencies that is fresh for a minute.
    fn state_after(seconds: u64, versions: &Versions) -> EntryState {
        let start = Clock::manual(DateTime::UNIX_EPOCH).0.moment();
        let validity = Validity::new(start, Ttl::of(Duration::from_mins(1)));
        state_of(&validity, &VersionSet::default(), versions, start + Duration::from_secs(seconds))
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_expired() {
        let states = [0, 59, 60, 119, 120].map(|seconds| state_after(seconds, &Versions::default()));
        assert_eq!(states[..2], [EntryState::Fresh; 2]);
        assert_eq!(states[2..4], [EntryState::Stale; 2]);
        assert_eq!(states[4], EntryState::Expired);
    }

    #[test]
    fn an_entry_of_any_age_is_stale_in_the_unknown_state() {
        let versions = Versions::default();
        versions.mark_unknown();
        for seconds in [0, 60, 120, 1_000_000] {
            assert_eq!(state_after(seconds, &versions), EntryState::Stale, "after {seconds} s");
        }
    }
}
