//! Values that the files of every format have: what they must be, and how an error shows them.

use super::error::Problem;

/// Length of the database's text columns.
pub(super) const TEXT: usize = 255;
/// How much of a bad value an error shows.
const SHOWN: usize = 40;

/// A whole number that fits.
pub(super) fn integer(value: &str, min: i32, max: i32) -> Result<i32, Problem> {
    // Wider than the column, so that a number too large is told from what is no number.
    let wide: i128 = value.parse().map_err(|_| Problem::NotAnInteger { value: shown(value) })?;
    let fits = i32::try_from(wide).ok().filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| Problem::IntegerOutOfRange { value: shown(value), min, max })
}

/// A number that is finite, or says that it is not.
pub(super) fn number(value: &str) -> Result<f64, Problem> {
    let number: f64 = value.parse().map_err(|_| Problem::NotANumber { value: shown(value) })?;
    // Infinity is written in letters; from digits it is an overflow.
    if number.is_infinite() && value.contains(|c: char| c.is_ascii_digit()) {
        return Err(Problem::NumberOutOfRange { value: shown(value) });
    }
    Ok(number)
}

/// As much of a bad value as an error shows.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
