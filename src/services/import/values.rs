//! Values common to all file formats: validation, and how errors show them.

use chrono::{Datelike, NaiveDate};

use super::error::Problem;

/// Size of the database's text columns, in characters.
pub(super) const TEXT: usize = 255;
/// Maximum length of an invalid value in an error, in characters.
const SHOWN: usize = 40;

/// Parses a whole number within `min..=max`.
pub(super) fn integer(value: &str, min: i32, max: i32) -> Result<i32, Problem> {
    // Wider than the column, to distinguish numbers out of range from invalid numbers.
    let wide: i128 = value.parse().map_err(|_| Problem::NotAnInteger { value: shown(value) })?;
    let fits = i32::try_from(wide).ok().filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| Problem::IntegerOutOfRange { value: shown(value), min, max })
}

/// Parses a number; accepts NaN and infinity if written as words.
pub(super) fn number(value: &str) -> Result<f64, Problem> {
    let number: f64 = value.parse().map_err(|_| Problem::NotANumber { value: shown(value) })?;
    // Infinity in digits is an overflow.
    if number.is_infinite() && value.contains(|c: char| c.is_ascii_digit()) {
        return Err(Problem::NumberOutOfRange { value: shown(value) });
    }
    Ok(number)
}

/// Checks that a value is a date as `1994-01-02`.
pub(super) fn date(value: &str) -> Result<(), Problem> {
    let date: Option<NaiveDate> = value.parse().ok();
    // Chrono also accepts 1994-1-2, and year 0, which PostgreSQL lacks.
    match date {
        Some(date) if date.year() >= 1 && date.to_string() == value => Ok(()),
        _ => Err(Problem::NotADate { value: shown(value) }),
    }
}

/// Truncates an invalid value for an error.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
