//! Results of validations, pooled over decades.

use async_graphql::{Enum, SimpleObject};

use crate::scoring::{self, Baseline, Totals};

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
    /// Accuracy of a ranking by TMDb popularity alone, for comparison; by the number of votes in decades without any
    /// popularity. Null if no movie is listed, or the data has neither.
    pub(super) baseline_accuracy: Option<f64>,
    /// Accuracies of simple rankings, for comparison.
    pub(super) baselines: Vec<BaselineAccuracy>,
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
            baseline_accuracy: totals.baseline(Baseline::Popularity),
            baselines: BaselineAccuracy::all(&totals),
            unhittable: totals.unhittable,
        }
    }
}

/// A simple ranking, with which the accuracy of a ranking is compared.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Baseline")]
pub(in crate::graphql) enum BaselineKind {
    /// By TMDb popularity; by the number of votes in decades without any popularity.
    Popularity,
    /// By the number of votes: IMDb's, or TMDb's of a movie that has none of IMDb.
    Votes,
    /// By rating × number of votes.
    RatedVotes,
}

/// Accuracy of a simple ranking.
#[derive(SimpleObject)]
pub(in crate::graphql) struct BaselineAccuracy {
    /// What the ranking ranks by.
    kind: BaselineKind,
    /// Its accuracy, 0 to 1. Null if no movie is listed, or the data lacks what it ranks by.
    accuracy: Option<f64>,
}

impl BaselineAccuracy {
    pub(super) fn all(totals: &Totals) -> Vec<Self> {
        Baseline::ALL.map(|kind| Self { kind: kind.into(), accuracy: totals.baseline(kind) }).into()
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
