//! Charts of the model card, as coordinates of inline SVG.

use std::fmt::Write as _;

use serde::Deserialize;

use super::numbers::percent;

/// Side of the square in which the calibration is drawn. The dots may leave it by their radius.
const SIDE: f64 = 200.0;

/// Radius of the dot of one movie, and what a tenfold number of movies adds: their numbers differ by a factor of thousands,
/// so that dots of proportional area would hide all but one.
const DOT_RADIUS: f64 = 2.0;
const DOT_GROWTH: f64 = 1.6;

/// Size of a step chart. It is stretched to the width of its column.
const STEPS_WIDTH: f64 = 100.0;
const STEPS_HEIGHT: f64 = 30.0;

/// Values of a feature that add the same points.
#[derive(Deserialize)]
pub(super) struct FeatureBin {
    pub(super) points: f64,
}

/// Movies of similar probability.
#[derive(Deserialize)]
pub(super) struct CalibrationBin {
    pub(super) movies: usize,
    pub(super) probability: f64,
    pub(super) listed: f64,
}

/// Movies of similar probability in the calibration plot.
pub(super) struct Dot {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) radius: String,
}

/// Dots of a calibration plot: the share that is listed above the predicted probability.
pub(super) fn calibration_dots(bins: &[CalibrationBin]) -> Vec<Dot> {
    let dot = |bin: &CalibrationBin| Dot {
        x: coordinate(bin.probability * SIDE),
        y: coordinate((1.0 - bin.listed) * SIDE),
        radius: coordinate(DOT_RADIUS + DOT_GROWTH * count(bin.movies.max(1)).log10()),
    };
    bins.iter().map(dot).collect()
}

/// The shape of a feature: a step for each range of values, from the lowest, all of equal width.
pub(super) struct StepChart {
    /// Path of the steps.
    pub(super) path: String,
    /// y coordinate of 0 points.
    pub(super) zero: String,
}

impl StepChart {
    /// Draws `bins` between `lowest` and `highest` points.
    pub(super) fn new(bins: &[FeatureBin], lowest: f64, highest: f64) -> Self {
        let range = (highest - lowest).max(f64::MIN_POSITIVE);
        let y = |points: f64| coordinate((highest - points) / range * STEPS_HEIGHT);
        let width = STEPS_WIDTH / count(bins.len().max(1));
        let mut path = String::new();
        for (at, bin) in bins.iter().enumerate() {
            let command = if at == 0 { format!("M0 {}", y(bin.points)) } else { format!("V{}", y(bin.points)) };
            // Writing to a string cannot fail.
            let _ = write!(path, "{command}H{}", coordinate(width * count(at + 1)));
        }
        Self { path, zero: y(0.0) }
    }
}

/// The x coordinate of a share on a chart of width 100; 0 if it is unknown.
pub(super) fn reach(share: Option<f64>) -> String {
    coordinate(share.unwrap_or_default() * 100.0)
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

impl CalibrationBin {
    pub(super) fn probability(&self) -> String {
        percent(Some(self.probability))
    }

    pub(super) fn listed(&self) -> String {
        percent(Some(self.listed))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of movies")]
pub(super) fn count(movies: usize) -> f64 {
    movies as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_from_the_lowest_to_the_highest_values() {
        let bins = [-10.0, 0.0, 20.0].map(|points| FeatureBin { points });

        let chart = StepChart::new(&bins, -10.0, 20.0);

        assert_eq!(chart.path, "M0 30.0H33.3V20.0H66.7V0.0H100.0");
        assert_eq!(chart.zero, "20.0");
    }

    #[test]
    fn a_calibrated_bin_is_on_the_diagonal() {
        let dots = calibration_dots(&[CalibrationBin { movies: 100, probability: 0.25, listed: 0.25 }]);

        let dot = &dots[0];
        assert_eq!((dot.x.as_str(), dot.y.as_str(), dot.radius.as_str()), ("50.0", "150.0", "5.2"));
    }
}
