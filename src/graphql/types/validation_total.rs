//! Results of validations, pooled over decades.

use async_graphql::SimpleObject;

use crate::scoring::{self, Totals};

/// Result of a validation over one or more decades: counts are summed, and ratios are computed from the sums.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ValidationTotal {
    /// Number of movies of these decades that are on the list, fully imported or not.
    pub(super) listed: usize,
    /// Number of fully imported movies of these decades. The rankings contain all of them.
    pub(super) population: usize,
    /// Number of hits: listed movies in the top N of their decade's ranking.
    pub(super) hits: usize,
    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    pub(super) accuracy: Option<f64>,
    /// 95 % confidence interval of the accuracy (Wilson score interval). Null if no movie is listed.
    pub(super) interval: Option<Interval>,
    /// Number of hits to expect of random rankings, summed over the decades. Null if no decade has both listed and
    /// ranked movies.
    pub(super) expected_hits: Option<f64>,
    /// Lift: `hits` / `expectedHits`. 1 is as good as a random ranking. Null if `expectedHits` is null or 0.
    pub(super) lift: Option<f64>,
    /// Accuracy of a ranking by TMDb popularity alone, for comparison. Null if no movie is listed.
    pub(super) baseline_accuracy: Option<f64>,
    /// Number of unhittable movies: on the list, but not fully imported, so that no ranking contains them.
    pub(super) unhittable: usize,
}

impl From<Totals> for ValidationTotal {
    fn from(totals: Totals) -> Self {
        Self {
            listed: totals.accuracy.listed,
            population: totals.population,
            hits: totals.accuracy.hits,
            accuracy: totals.accuracy.share(),
            interval: totals.accuracy.interval().map(Into::into),
            expected_hits: totals.expected_hits,
            lift: totals.lift(),
            baseline_accuracy: totals.baseline_accuracy(),
            unhittable: totals.unhittable,
        }
    }
}

/// Bounds of a confidence interval, 0 to 1.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Interval {
    /// Lower bound.
    low: f64,
    /// Upper bound.
    high: f64,
}

impl From<scoring::Interval> for Interval {
    fn from(interval: scoring::Interval) -> Self {
        Self { low: interval.low, high: interval.high }
    }
}
