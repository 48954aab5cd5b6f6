//! Numbers as the page shows them.

/// A number with one decimal.
pub(super) fn one_decimal(number: f64) -> String {
    format!("{number:.1}")
}

/// A share as a percentage; a dash for `None`.
pub(super) fn percent(share: Option<f64>) -> String {
    or_dash(share.map(|share| format!("{:.0} %", share * 100.0)))
}

/// A value as text; a dash for `None`.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
