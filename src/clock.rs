//! Injected time: the service uses the clocks of the system, tests use manual clocks.
//!
//! A [`Clock`] is two clocks: [`Clock::now`] returns the date and time, which an operator or NTP may set forward or
//! back; [`Clock::moment`] is monotonic and measures durations. `clippy.toml` forbids `Utc::now` anywhere else, so that
//! tests control the time of all code that depends on it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A source of the current time. Clones share it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's clocks; moments count from this instant.
    System(Instant),
    /// The date and time at the start, and the hand, which knows how far it has moved each clock since.
    Manual(DateTime<Utc>, ClockHand),
}

/// A point in time on a monotonic clock. Only comparable with moments of the same [`Clock`].
///
/// It is the time since the start of the clock: negative if a longer duration was subtracted, which `Instant` may not
/// be able to represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(TimeDelta);

impl Moment {
    /// The time from `earlier` to this moment; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        Self(self.0.checked_add(&by).unwrap_or(TimeDelta::MAX))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        Self(self.0.checked_sub(&by).unwrap_or(TimeDelta::MIN))
    }
}

impl Clock {
    /// The system's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// Clocks that start at `start` and move only when their [`ClockHand`] moves them.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> (Self, ClockHand) {
        let hand = ClockHand::default();
        (Self(Source::Manual(start, hand.clone())), hand)
    }

    /// The current date and time, UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System(_) => Utc::now(),
            Source::Manual(start, hand) => *start + milliseconds(&hand.elapsed) + milliseconds(&hand.set_by),
        }
    }

    /// The current moment.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(match &self.0 {
            Source::System(start) => TimeDelta::from_std(start.elapsed()).unwrap_or(TimeDelta::MAX),
            Source::Manual(_, hand) => milliseconds(&hand.elapsed),
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Moves a manual [`Clock`].
#[derive(Debug, Clone, Default)]
pub struct ClockHand {
    /// Milliseconds by which both clocks have advanced.
    elapsed: Arc<AtomicI64>,
    /// Milliseconds by which the date and time alone has been set.
    set_by: Arc<AtomicI64>,
}

impl ClockHand {
    /// Advances both clocks by `by`, cut to whole milliseconds.
    pub fn advance(&self, by: TimeDelta) {
        self.elapsed.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    /// Sets the date and time forward by `by`, or back if `by` is negative. Moments do not change, as on a real system.
    pub fn set(&self, by: TimeDelta) {
        self.set_by.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

fn milliseconds(count: &AtomicI64) -> TimeDelta {
    TimeDelta::milliseconds(count.load(Ordering::SeqCst))
}
