//! Which reasons of an outage are logged already: every request and poll meets the same error, and one line tells it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An outage ends when its error has not occurred for this long. Longer than the intervals of the polls that notice an
/// outage, and those of the circuit breakers.
const QUIET: Duration = Duration::from_mins(1);

/// Maximum number of reasons that are remembered. Texts of errors could differ in every line; then some lines repeat.
const REASONS_MAX: usize = 100;

/// The reasons that have occurred lately, by text.
#[derive(Debug, Default)]
pub(crate) struct OutageLog(Mutex<HashMap<String, Instant>>);

impl OutageLog {
    /// Records that an error with this text has occurred at `now`. Returns whether it is to be logged: it has not
    /// occurred in the minute before.
    pub(crate) fn is_new(&self, reason: &str, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.duration_since(*at) < QUIET);
        if let Some(at) = last.get_mut(reason) {
            *at = now;
            return false;
        }
        if last.len() == REASONS_MAX {
            last.clear();
        }
        last.insert(reason.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_new_once_per_outage() {
        let (log, start) = (OutageLog::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(log.is_new("refused", start));
        for second in 1..300 {
            assert!(!log.is_new("refused", after(second)), "after {second} s");
        }
        assert!(log.is_new("too many connections", after(300)));
        assert!(!log.is_new("refused", after(301)));
        assert!(log.is_new("refused", after(301 + 60)));
    }

    #[test]
    fn the_number_of_remembered_reasons_is_bounded() {
        let (log, now) = (OutageLog::default(), Instant::now());
        for n in 0..10 * REASONS_MAX {
            assert!(log.is_new(&n.to_string(), now));
        }
        assert!(log.0.lock().unwrap().len() <= REASONS_MAX);
    }
}
