//! A cache entry: a value, the versions that it was derived from, and how long it may be served.

use std::sync::Arc;
use std::time::Duration;

use super::labels::DataSource;
use crate::clock::{Clock, Moment};
use crate::versions::{VersionSet, Versions};

/// How long a value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// How long the value is fresh.
    pub fresh: Duration,
    /// How long the value may then still be served as stale, while it is refreshed.
    pub stale: Duration,
}

impl Ttl {
    /// The value is not stored: only the requests that wait for its load receive it.
    pub const NONE: Self = Self::of(Duration::ZERO);

    /// Fresh for `fresh`, then stale for as long again. The equal length is a choice.
    #[must_use]
    pub const fn of(fresh: Duration) -> Self {
        Self { fresh, stale: fresh }
    }

    /// Scales both times by 0.9 to 1.1, as `part` goes from 0 to 1. With a random `part`, entries that were loaded
    /// together do not expire together. A tenth is a choice: it spreads their loads, and hardly changes how old a value
    /// may become.
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
    /// Versions of the data that the load has read itself. [`DependencyScope`](super::DependencyScope) adds those of
    /// the cache entries that the load has read.
    pub version_set: VersionSet,
    /// How long it may be served.
    pub ttl: Ttl,
    /// Estimated size in memory.
    pub bytes: usize,
    /// Where the load itself has read. If it has also read cache entries, the slowest source of all is reported.
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
    /// Whether it was computed with custom weights.
    pub custom: bool,
}

/// When a load started. Take it before reading the data, together with the versions.
#[derive(Debug, Clone, Copy)]
pub struct LoadStart {
    at: Moment,
    /// The moment of the state that the versions showed.
    versions_as_of: Moment,
}

impl LoadStart {
    /// A load that starts now.
    #[must_use]
    pub fn now(clock: &Clock, versions: &Versions) -> Self {
        let at = clock.moment();
        Self { at, versions_as_of: versions.as_of(at) }
    }

    /// The windows of the value that the load returns.
    #[must_use]
    pub fn validity(self, ttl: Ttl) -> Validity {
        Validity { oldest_part: self.versions_as_of, ..Validity::new(self.at, ttl) }
    }
}

/// When a value was created, and how long it may be served. The times are [`Moment`]s, so that setting the system clock
/// neither prolongs nor shortens the life of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When the load of the value started.
    pub created_at: Moment,
    /// When the load of the oldest value started, among this value and those that it is derived from. If a load started
    /// while the versions were unknown, the moment of the state that they show counts: the value carries them, so nothing
    /// tells which later changes it has.
    pub oldest_part: Moment,
    /// End of the fresh window.
    pub fresh_until: Moment,
    /// End of the stale window.
    pub stale_until: Moment,
}

impl Validity {
    /// The windows of a value whose load started at `created_at`.
    #[must_use]
    pub fn new(created_at: Moment, ttl: Ttl) -> Self {
        let fresh_until = created_at + ttl.fresh;
        Self { created_at, oldest_part: created_at, fresh_until, stale_until: fresh_until + ttl.stale }
    }

    /// Shortens both windows so that they end no later than those of `part`, a value that this one is derived from.
    #[must_use]
    pub fn min(self, part: &Self) -> Self {
        Self {
            created_at: self.created_at,
            oldest_part: self.oldest_part.min(part.oldest_part),
            fresh_until: self.fresh_until.min(part.fresh_until),
            stale_until: self.stale_until.min(part.stale_until),
        }
    }

    /// Time since creation.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.created_at)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_clock_that_is_set_changes_no_age() {
        let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
        let validity = Validity::new(clock.moment(), Ttl::of(Duration::from_mins(1)));
        for by in [TimeDelta::days(30), TimeDelta::days(-60)] {
            hand.set(by);
            assert_eq!(validity.age(clock.moment()), Duration::ZERO);
        }
        hand.advance(TimeDelta::seconds(7));
        assert_eq!(validity.age(clock.moment()), Duration::from_secs(7));
    }

    #[test]
    fn a_value_is_as_old_as_its_oldest_part() {
        let start = Clock::manual(DateTime::UNIX_EPOCH).0.moment();
        let at = |seconds| Validity::new(start + Duration::from_secs(seconds), Ttl::of(Duration::from_mins(1)));
        let value = at(8).min(&at(4).min(&at(0)));
        assert_eq!(value.created_at, at(8).created_at);
        assert_eq!(value.oldest_part, start);
        assert_eq!(value.fresh_until, at(0).fresh_until);
    }

    #[test]
    fn jitter_is_at_most_a_tenth() {
        let ttl = Ttl::of(Duration::from_secs(100));
        assert_eq!(ttl.jittered(0.0).fresh, Duration::from_secs(90));
        assert_eq!(ttl.jittered(1.0).fresh, Duration::from_secs(110));
    }
}
