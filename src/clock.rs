//! Injected time: the system clock in the service, a manual clock in tests.
//!
//! `clippy.toml` forbids `Utc::now` anywhere else, so that code that depends on the time can be tested exactly.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// A source of the current time. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The system clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// A clock that starts at `start` and moves only when its [`ClockHand`] advances it.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> (Self, ClockHand) {
        let offset = Arc::new(AtomicI64::new(0));
        let hand = ClockHand(Arc::clone(&offset));
        let now = move || start + TimeDelta::milliseconds(offset.load(Ordering::SeqCst));
        (Self(Arc::new(now)), hand)
    }

    /// The current time, UTC.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Moves a manual [`Clock`].
#[derive(Debug, Clone)]
pub struct ClockHand(Arc<AtomicI64>);

impl ClockHand {
    /// Moves the clock forward by `by`, cut to whole milliseconds.
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}
