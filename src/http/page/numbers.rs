//! Numbers as the page shows them.

use serde::Deserialize;

/// A confidence interval of a share.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    pub(super) fn text(self) -> String {
        format!("{:.0}–{:.0} %", self.low * 100.0, self.high * 100.0)
    }
}

/// The x coordinate of a share on a chart of width 100.
pub(super) fn chart_x(share: Option<f64>) -> Option<String> {
    share.map(|share| format!("{:.1}", share * 100.0))
}

/// A number with one decimal.
pub(super) fn one_decimal(number: f64) -> String {
    format!("{number:.1}")
}

/// A share as a percentage; a dash for `None`.
pub(super) fn percent(share: Option<f64>) -> String {
    or_dash(share.map(|share| format!("{:.0} %", share * 100.0)))
}

/// The shares of `weights` as whole percentages that sum to 100: the largest remainders are rounded up. All 0 if the
/// weights sum to 0 or are too large to add up.
pub(super) fn whole_percentages(weights: &[f64]) -> Vec<u32> {
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return vec![0; weights.len()];
    }
    let exact: Vec<f64> = weights.iter().map(|weight| weight / sum * 100.0).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "percentages; casts saturate")]
    let mut shares: Vec<u32> = exact.iter().map(|share| share.floor() as u32).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|one, other| exact[*other].fract().total_cmp(&exact[*one].fract()));
    let missing = 100_u32.saturating_sub(shares.iter().fold(0, |sum: u32, share| sum.saturating_add(*share)));
    for index in order.into_iter().take(missing as usize) {
        shares[index] += 1;
    }
    shares
}

/// A value as text; a dash for `None`.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// A number of points with its sign.
pub(super) fn signed(points: f64) -> String {
    match format!("{:.1}", points.abs()) {
        zero if zero == "0.0" => zero,
        // A typographic minus has the width of the plus.
        size => format!("{}{size}", if points < 0.0 { '\u{2212}' } else { '+' }),
    }
}

/// A probability as a percentage. No number is closer to certainty than the model's calibration can tell.
pub(super) fn probability(value: f64) -> String {
    match value * 100.0 {
        percent if percent < 1.0 => "under 1 %".to_owned(),
        percent if percent > 99.0 => "over 99 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_percentages_sum_to_100() {
        assert_eq!(whole_percentages(&[100.0, 20.0, 20.0, 20.0, 20.0]), [56, 11, 11, 11, 11]);
        assert_eq!(whole_percentages(&[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(whole_percentages(&[0.0, 3.0]), [0, 100]);
        assert_eq!(whole_percentages(&[0.0, 0.0]), [0, 0]);
    }
}
