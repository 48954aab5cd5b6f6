//! The times of day at which tasks run.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A time of day, UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Daily {
    pub(super) hour: u32,
    pub(super) minute: u32,
}

/// When person quality is computed: off-peak for most clients.
pub(super) const PERSON_QUALITY_AT: Daily = Daily { hour: 2, minute: 30 };

/// When scores are checked: off-peak for most clients, and after person quality, because its changes would otherwise
/// require a second refresh.
pub(super) const SCORE_REFRESH_AT: Daily = Daily { hour: 3, minute: 30 };

/// When learned rankings are trained: off-peak for most clients, and after the scores.
pub(super) const MODEL_TRAIN_AT: Daily = Daily { hour: 4, minute: 30 };

/// The last time, at `now` or before, at which all learned rankings were due for training.
pub(super) fn last_training(now: DateTime<Utc>) -> DateTime<Utc> {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let today = midnight + HOUR * MODEL_TRAIN_AT.hour + MINUTE * MODEL_TRAIN_AT.minute;
    if today > now { today - DAY } else { today }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trainings_are_due_at_a_time_of_day() {
        let at = |time: &str| format!("2026-03-01T{time}Z").parse::<DateTime<Utc>>().unwrap();
        assert_eq!(last_training(at("04:29:59")), at("04:30:00") - DAY);
        assert_eq!(last_training(at("04:30:00")), at("04:30:00"));
        assert_eq!(last_training(at("23:00:00")), at("04:30:00"));
    }
}
