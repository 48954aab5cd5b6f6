//! Values common to all file formats: validation, and how errors show them.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use cinegraph_list_formats::tmdb_id;

use super::error::Problem;

/// How programs write that there is no value. Case matters: a character may be called Nan.
const PLACEHOLDERS: [&str; 16] = [
    r"\N",
    "NULL",
    "null",
    "Null",
    "nan",
    "NaN",
    "NAN",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "None",
    "none",
    "NONE",
    "undefined",
    "#VALUE!",
];

/// Formats of a time, beside that of RFC 3339.
const TIMES: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// Size of the database's text columns, in characters.
pub(super) const TEXT: usize = 255;
/// Maximum length of an invalid value in an error, in characters.
const SHOWN: usize = 40;

/// Parses a whole number within `min..=max`. `114.0` is one: programs write whole numbers so where others are missing.
pub(super) fn integer(value: &str, min: i32, max: i32) -> Result<i32, Problem> {
    // Wider than the column, to distinguish numbers out of range from invalid numbers.
    let wide: i128 =
        value.strip_suffix(".0").unwrap_or(value).parse().map_err(|_| Problem::NotAnInteger { value: shown(value) })?;
    let fits = i32::try_from(wide).ok().filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| Problem::IntegerOutOfRange { value: shown(value), min, max })
}

/// The TMDb id of a movie.
pub(super) fn movie_id(value: &str) -> Result<i32, Problem> {
    // The error of the number says what is wrong.
    tmdb_id(value).map_or_else(|| integer(value, 1, i32::MAX), Ok)
}

/// Parses a finite number.
pub(super) fn number(value: &str) -> Result<f64, Problem> {
    let number: f64 = value.parse().map_err(|_| Problem::NotANumber { value: shown(value) })?;
    match number {
        number if number.is_finite() => Ok(number),
        // "1e999" parses as infinity, as "inf" does, but is a number that is too large.
        _ if value.contains(|c: char| c.is_ascii_digit()) => Err(Problem::NumberOutOfRange { value: shown(value) }),
        _ => Err(Problem::NotANumber { value: shown(value) }),
    }
}

/// The number with a point, if it has one decimal comma and no point.
pub(super) fn with_decimal_point(value: &str) -> Option<String> {
    let (whole, fraction) = value.split_once(',')?;
    (!fraction.contains(',') && !value.contains('.')).then(|| format!("{whole}.{fraction}"))
}

/// Whether a value says that there is none.
pub(super) fn is_placeholder(value: &str) -> bool {
    PLACEHOLDERS.contains(&value)
}

/// Replaces control characters by spaces, and CRLF by LF. Keeps tabs and line feeds, which texts have, and the marks of
/// writing directions, which some titles need.
pub(super) fn without_control_characters(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
    // Most texts have none, which their bytes tell faster: C2 begins the characters U+0080 to U+00BF.
    let suspicious = |byte: u8| matches!(byte, 0..=0x08 | 0x0B..=0x1F | 0x7F | 0xC2);
    if !text.bytes().any(suspicious) || !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace(is_control, " "))
}

/// Whether a character is not seen, and changes nothing where no line is broken.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Parses a date or a time of ISO 8601. A time without an offset is UTC, a date is its midnight.
pub(super) fn time(value: &str) -> Result<NaiveDateTime, Problem> {
    let with_offset = || DateTime::parse_from_rfc3339(value).ok().map(|time| time.naive_utc());
    let without = || TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(value, format).ok());
    let day = || date(value).ok().map(|day| day.and_time(NaiveTime::MIN));
    let time = with_offset().or_else(without).or_else(day).filter(|time| (1..=9999).contains(&time.year()));
    time.ok_or_else(|| Problem::NotATime { value: shown(value) })
}

/// Parses a date as `1994-01-02`.
pub(super) fn date(value: &str) -> Result<NaiveDate, Problem> {
    let date: Option<NaiveDate> = value.parse().ok();
    // Chrono also accepts 1994-1-2, and year 0, which PostgreSQL lacks.
    let date = date.filter(|date| date.year() >= 1 && date.to_string() == value);
    date.ok_or_else(|| Problem::NotADate { value: shown(value) })
}

/// Truncates an invalid value for an error.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

/// Truncates a text to the size of its database column.
pub(super) fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_commas_are_read_and_groups_of_thousands_are_not() {
        assert_eq!(with_decimal_point("7,5").as_deref(), Some("7.5"));
        for value in ["7.5", "1.234,5", "1,234,567", "7"] {
            assert_eq!(with_decimal_point(value), None, "{value}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let read = |value| time(value).map(|time| time.to_string()).ok();
        assert_eq!(read("2026-11-28").as_deref(), Some("2026-11-28 00:00:00"));
        assert_eq!(read("2026-11-28T10:00:00Z").as_deref(), Some("2026-11-28 10:00:00"));
        assert_eq!(read("2026-11-28 10:00:00.5+02:00").as_deref(), Some("2026-11-28 08:00:00.500"));
        assert_eq!(read("2026-11-28T10:00").as_deref(), Some("2026-11-28 10:00:00"));
        for value in ["28.11.2026", "yesterday", "2026-11-31", "1764324000", ""] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn long_texts_are_truncated_at_character_boundaries() {
        assert_eq!(cut(&"é".repeat(TEXT + 1)), "é".repeat(TEXT));
        assert_eq!(cut("short"), "short");
    }

    proptest! {
        #[test]
        fn texts_have_no_control_characters_and_lose_nothing_else(text in "(\\PC|[\\x00-\\x1f\u{7f}-\u{9f}\u{200f}\u{202e}]){0,40}") {
            let clean = without_control_characters(&text);
            prop_assert!(!clean.contains(|c: char| c.is_control() && c != '\t' && c != '\n'));
            prop_assert_eq!(without_control_characters(&clean), Cow::Borrowed(&*clean));
            let visible = |text: &str| text.chars().filter(|c| !c.is_control() && *c != ' ').collect::<String>();
            prop_assert_eq!(visible(&clean), visible(&text));
        }
    }
}
