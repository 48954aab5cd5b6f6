//! Decades, identified by a first year that is divisible by ten.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// A decade, identified by its first year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decade(i32);

impl Decade {
    /// The decade in progress, of which lists still gain movies. Validations cover only the decades before it.
    pub const CURRENT: Self = Self(2020);

    /// Last decade with four-digit years.
    pub const LAST: Self = Self(9990);

    /// First years of all valid decades. They have four digits, as the release year of any movie does.
    const FIRST_YEARS: std::ops::RangeInclusive<i32> = 1000..=Self::LAST.0;

    /// The decade that begins with `year`.
    ///
    /// # Errors
    /// [`DecadeError`] if `year` is not the first year of a decade, or does not have four digits.
    pub fn starting(year: i32) -> Result<Self, DecadeError> {
        if year % 10 == 0 && Self::FIRST_YEARS.contains(&year) { Ok(Self(year)) } else { Err(DecadeError(year)) }
    }

    /// The decade that `day` is in; `None` if its year does not have four digits.
    #[must_use]
    pub fn of(day: NaiveDate) -> Option<Self> {
        Self::starting(day.year() - day.year().rem_euclid(10)).ok()
    }

    /// First year.
    #[must_use]
    pub const fn year(self) -> i32 {
        self.0
    }

    /// First day.
    #[must_use]
    pub fn first_day(self) -> NaiveDate {
        first_of_january(self.0)
    }

    /// Exclusive end: the first day of the next decade.
    #[must_use]
    pub fn end(self) -> NaiveDate {
        first_of_january(self.0 + 10)
    }
}

fn first_of_january(year: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 1, 1).expect("a decade's years have four digits, five at its end")
}

impl fmt::Display for Decade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// The year does not start a decade, or does not have four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the first year of a decade, such as 1990 or 2020")]
pub struct DecadeError(pub i32);

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn decades_end_on_new_years_eve() {
        assert_eq!(Decade::of(day(2029, 12, 31)), Decade::starting(2020).ok());
        assert_eq!(Decade::of(day(2030, 1, 1)), Decade::starting(2030).ok());
        let twenties = Decade::starting(2020).unwrap();
        assert!(twenties.first_day() <= day(2029, 12, 31) && day(2029, 12, 31) < twenties.end());
        assert_eq!(twenties.end(), day(2030, 1, 1));
    }

    #[test]
    fn only_years_divisible_by_ten_start_a_decade() {
        for year in [1995, 0, -10, 990, 10_000, i32::MIN, i32::MAX] {
            assert_eq!(Decade::starting(year), Err(DecadeError(year)));
        }
        assert!(Decade::starting(9990).is_ok_and(|last| last.end().year() == 10_000));
    }
}
