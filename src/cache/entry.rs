//! One kept value: what it was made of, and how long it may be served.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::store::{Currency, Stamp, Versions};
use crate::telemetry::Source;

/// A key is refreshed because of soft changes at most this often, and counts as fresh in between: a catalogue that changes
/// all day must not turn the cache off.
const SOFT_WINDOW: TimeDelta = TimeDelta::seconds(5);

/// How long a value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// As if it had just been made.
    pub fresh: Duration,
    /// After that, while its successor is being made.
    pub stale: Duration,
}

impl Lifetime {
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
pub struct Made<V> {
    /// The value.
    pub value: V,
    /// What it was made of, besides the cached values that the load has asked for.
    pub stamp: Stamp,
    /// How long it may be served.
    pub lifetime: Lifetime,
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
    pub stamp: Stamp,
    /// When it was made, and until when it may be served.
    pub times: Times,
    /// About how much memory it takes.
    pub bytes: usize,
}

/// When a value was made, and until when it may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Made at.
    pub made: DateTime<Utc>,
    /// Fresh until.
    pub fresh_until: DateTime<Utc>,
    /// Not to be served from then on.
    pub stale_until: DateTime<Utc>,
}

impl Times {
    /// Of what is made at `made`.
    #[must_use]
    pub fn new(made: DateTime<Utc>, lifetime: Lifetime) -> Self {
        let after = |time: DateTime<Utc>, by: Duration| {
            TimeDelta::from_std(by).ok().and_then(|by| time.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        let fresh_until = after(made, lifetime.fresh);
        Self { made, fresh_until, stale_until: after(fresh_until, lifetime.stale) }
    }

    /// Not longer than what it was made of.
    #[must_use]
    pub fn within(self, part: &Self) -> Self {
        Self {
            made: self.made,
            fresh_until: self.fresh_until.min(part.fresh_until),
            stale_until: self.stale_until.min(part.stale_until),
        }
    }

    /// Time since it was made.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.made).to_std().unwrap_or_default()
    }
}

/// Whether a kept value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
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
pub fn judge(times: &Times, stamp: &Stamp, versions: &Versions, now: DateTime<Utc>) -> Verdict {
    match versions.judge(stamp) {
        Currency::Forbidden => Verdict::Invalidated,
        // Whether it is the latest nobody can say, and a successor cannot be made either: better old than nothing.
        Currency::Unknown => Verdict::Stale,
        _ if now >= times.stale_until => Verdict::Expired,
        _ if now >= times.fresh_until => Verdict::Stale,
        Currency::Behind if now - times.made >= SOFT_WINDOW => Verdict::Stale,
        Currency::Behind | Currency::Current => Verdict::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_fresh_then_stale_then_gone() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Times::new(start, Lifetime::of(Duration::from_mins(1)));
        let at = |seconds| judge(&times, &Stamp::default(), &versions, start + TimeDelta::seconds(seconds));
        assert_eq!([at(0), at(59)], [Verdict::Fresh; 2]);
        assert_eq!([at(60), at(119)], [Verdict::Stale; 2]);
        assert_eq!(at(120), Verdict::Expired);
    }

    #[test]
    fn in_doubt_a_value_is_stale_however_new_or_old_it_is() {
        let (versions, start) = (Versions::default(), DateTime::<Utc>::UNIX_EPOCH);
        let times = Times::new(start, Lifetime::of(Duration::from_mins(1)));
        versions.doubt();
        for seconds in [0, 60, 120, 1_000_000] {
            let verdict = judge(&times, &Stamp::default(), &versions, start + TimeDelta::seconds(seconds));
            assert_eq!(verdict, Verdict::Stale, "after {seconds} s");
        }
    }

    #[test]
    fn jitter_is_a_tenth_at_most() {
        let lifetime = Lifetime::of(Duration::from_secs(100));
        assert_eq!(lifetime.jittered(0.0).fresh, Duration::from_secs(90));
        assert_eq!(lifetime.jittered(1.0).fresh, Duration::from_secs(110));
    }
}
