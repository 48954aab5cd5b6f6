//! Time, passed in: the system's for the service, one that tests move by hand for the rest.
//!
//! `clippy.toml` forbids reading the time anywhere else, so that what depends on it can be tested exactly.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// What time it is, for whoever was given it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// A clock that stands still until its hand is moved.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> (Self, ClockHand) {
        let offset = Arc::new(AtomicI64::new(0));
        let hand = ClockHand(Arc::clone(&offset));
        let now = move || start + TimeDelta::milliseconds(offset.load(Ordering::SeqCst));
        (Self(Arc::new(now)), hand)
    }

    /// The time now, UTC.
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
    /// Moves the clock forward; a step below a millisecond is lost.
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}
