//! One kept value: what it was made of, and how long it may be served.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::telemetry::Source;
use crate::versions::{Staleness, VersionSet, Versions};

/// A key is refreshed because of soft changes at most this often, and counts as fresh in between: a catalogue that changes
/// all day must not turn the cache off.
const SOFT_WINDOW: TimeDelta = TimeDelta::seconds(5);

/// How long a value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// As if it had just been made.
    pub fresh: Duration,
    /// After that, while its successor is being made.
    pub stale: Duration,
}

impl Ttl {
    /// Fresh for `fresh`, and stale for as long again.
    #[must_use]
    pub const fn of(fresh: Duration) -> Self {
        Self { fresh, stale: fresh }
    }

    /// Longer or shorter by up to a tenth, `part` being from 0 to 1: what was made together does not end together.
    #[must_use]
    pub fn jittered(self, part: f64) -> Self {
        let factor = 0.9 + 0.2 * part.clamp(0.0, 1.0);
        Self { fresh: self.fresh.mul_f64(factor), stale: self.stale.mul_f64(factor) }
    }
}

/// What a load gives.
#[derive(Debug)]
pub struct Loaded<V> {
    /// The value.
    pub value: V,
    /// What it was made of, besides the cached values that the load has asked for.
    pub version_set: VersionSet,
    /// How long it may be served.
    pub lifetime: Ttl,
    /// About how much memory it takes.
    pub bytes: usize,
    /// Where it came from, if not from cached values alone.
    pub source: Source,
}

/// A kept value.
#[derive(Debug, Clone)]
pub struct Entry<V> {
    /// The value.
    pub value: Arc<V>,
    /// What it was made of.
    pub version_set: VersionSet,
    /// When it was made, and until when it may be served.
    pub times: Validity,
    /// About how much memory it takes.
    pub bytes: usize,
}

/// When a value was made, and until when it may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Fresh until.
    pub fresh_until: DateTime<Utc>,
    /// Not to be served from then on.
    pub stale_until: DateTime<Utc>,
}

impl Validity {
    /// Of what is made at `made`.
    #[must_use]
    pub fn new(created_at: DateTime<Utc>, lifetime: Ttl) -> Self {
        let after = |time: DateTime<Utc>, by: Duration| {
            TimeDelta::from_std(by).ok().and_then(|by| time.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        let fresh_until = after(created_at, lifetime.fresh);
        Self { created_at, fresh_until, stale_until: after(fresh_until, lifetime.stale) }
    }

    /// Not longer than what it was made of.
    #[must_use]
    pub fn min(self, part: &Self) -> Self {
        Self {
            created_at: self.created_at,
            fresh_until: self.fresh_until.min(part.fresh_until),
            stale_until: self.stale_until.min(part.stale_until),
        }
    }

    /// Time since it was made.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.created_at).to_std().unwrap_or_default()
    }
}

/// Whether a kept value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// Yes.
    Fresh,
    /// Yes, while its successor is made.
    Stale,
    /// No: its stale window is over.
    Expired,
    /// No: what has changed since must be seen at once.
    Invalidated,
}

/// Judges what was made of `stamp`.
#[must_use]
pub fn state_of(times: &Validity, version_set: &VersionSet, versions: &Versions, now: DateTime<Utc>) -> EntryState {
    match versions.staleness(version_set) {
        Staleness::Invalidated => EntryState::Invalidated,
        // Whether it is the latest nobody can say, and a successor cannot be made either: better old than nothing.
        Staleness::Unknown => EntryState::Stale,
        _ if now >= times.stale_until => EntryState::Expired,
        _ if now >= times.fresh_until => EntryState::Stale,
        Staleness::Stale if now - times.created_at >= SOFT_WINDOW => EntryState::Stale,
        Staleness::Stale | Staleness::Current => EntryState::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_fresh_then_stale_then_gone() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Validity::new(start, Ttl::of(Duration::from_mins(1)));
        let at = |seconds| state_of(&times, &VersionSet::default(), &versions, start + TimeDelta::seconds(seconds));
        assert_eq!([at(0), at(59)], [EntryState::Fresh; 2]);
        assert_eq!([at(60), at(119)], [EntryState::Stale; 2]);
        assert_eq!(at(120), EntryState::Expired);
    }

    #[test]
    fn in_doubt_a_value_is_stale_however_new_or_old_it_is() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Validity::new(start, Ttl::of(Duration::from_mins(1)));
        versions.mark_unknown();
        for seconds in [0, 60, 120, 1_000_000] {
            let verdict = state_of(&times, &VersionSet::default(), &versions, start + TimeDelta::seconds(seconds));
            assert_eq!(verdict, EntryState::Stale, "after {seconds} s");
        }
    }

    #[test]
    fn jitter_is_a_tenth_at_most() {
        let lifetime = Ttl::of(Duration::from_secs(100));
        assert_eq!(lifetime.jittered(0.0).fresh, Duration::from_secs(90));
        assert_eq!(lifetime.jittered(1.0).fresh, Duration::from_secs(110));
    }
}
