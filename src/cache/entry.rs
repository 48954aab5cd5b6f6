//! A cache entry: a value, the versions that it was derived from, and how long it may be served.

use std::sync::Arc;
use std::time::Duration;

use super::labels::DataSource;
use crate::clock::Moment;
use crate::versions::VersionSet;

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

/// When a value was created, and how long it may be served. In moments, so that setting the system clock neither keeps
/// an entry nor ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Start of its load.
    pub created_at: Moment,
    /// Start of the load of its oldest part.
    pub oldest_part: Moment,
    /// End of the fresh window.
    pub fresh_until: Moment,
    /// End of the stale window.
    pub stale_until: Moment,
}

impl Validity {
    /// The windows of a value created at `created_at`.
    #[must_use]
    pub fn new(created_at: Moment, ttl: Ttl) -> Self {
        let fresh_until = created_at + ttl.fresh;
        Self { created_at, oldest_part: created_at, fresh_until, stale_until: fresh_until + ttl.stale }
    }

    /// Ends both windows no later than those of `part`, which the value is derived from.
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
