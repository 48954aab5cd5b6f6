//! From a movie's inputs to its criteria, and from criteria and weights to its score.
//!
//! The view `cinegraph.movie_scores_live` is the same formula in SQL. Both perform the same operations in the same
//! order, because only then are their results equal to the last bit.

use super::{Criterion, Weights};

/// Version of the formula below, to be raised with each change. Stored scores of another version are not served.
pub const FORMULA_VERSION: i32 = 1;

/// Inputs with a smaller absolute value count as 0: PostgreSQL raises an error when a product underflows, as half of
/// the smallest double does. The value is far below any rating, and far enough above the smallest normal double
/// (2e-308) that no product in the criteria underflows.
const SMALLEST_INPUT: f64 = 1e-300;

/// Inputs of one movie's criteria. A missing or NaN input counts as 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// `TMDb`'s average rating, 0 to 10.
    pub tmdb_rating: Option<f64>,
    /// `IMDb`'s average rating, 0 to 10.
    pub imdb_rating: Option<f64>,
    /// Metacritic's metascore, 0 to 100.
    pub metascore: Option<f64>,
    /// Rotten Tomatoes' tomatometer, 0 to 100.
    pub tomatometer: Option<f64>,
    /// `TMDb`'s popularity, without upper bound.
    pub popularity: Option<f64>,
    /// Nominations, including wins.
    pub nominations: u32,
    /// Nominations that were won.
    pub wins: u32,
    /// Lists that the movie is on.
    pub lists: u32,
    /// Person quality, 0 to 100, for each credit whose person has one, in the order of the credits.
    pub people: Vec<f64>,
}

/// The values of the five criteria for one movie, each 0 to 1, in criterion order. They do not depend on weights.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScoreVector(pub [f64; Criterion::COUNT]);

/// Contribution of one criterion to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// The criterion.
    pub criterion: Criterion,
    /// The movie's value, 0 to 1.
    pub value: f64,
    /// Weight of the criterion, 0 to 1.
    pub weight: f64,
    /// Points of the score, 0 to 100.
    pub points: f64,
}

impl ScoreVector {
    /// Computes the criteria by the published formula, version 1. Popular opinion and critical acclaim are the mean of
    /// two ratings each, where a missing rating counts as 0. The factors of the others are part of that formula; a
    /// popularity of 1,000 alone gives a cultural impact of 1.
    #[must_use]
    pub fn of(inputs: &Inputs) -> Self {
        let popular = 0.5 * input_or_zero(inputs.tmdb_rating) / 10.0 + 0.5 * input_or_zero(inputs.imdb_rating) / 10.0;
        let critical = 0.5 * input_or_zero(inputs.metascore) / 100.0 + 0.5 * input_or_zero(inputs.tomatometer) / 100.0;
        let industry = 0.2 * f64::from(inputs.wins) + 0.05 * f64::from(inputs.nominations);
        let popularity = input_or_zero(inputs.popularity).max(0.0);
        let cultural = 0.1 * f64::from(inputs.lists) + (popularity + 1.0).ln() / 1001_f64.ln();
        Self([popular, critical, industry, cultural, mean(&inputs.people) / 100.0].map(clamp_to_criterion))
    }

    /// The value of one criterion.
    #[must_use]
    pub fn value(self, criterion: Criterion) -> f64 {
        self.0[criterion as usize]
    }

    /// Score, 0 to 100, unrounded. The sum has the order of the SQL view, since another order may change the last bits.
    #[must_use]
    pub fn score(self, weights: Weights) -> f64 {
        let [w0, w1, w2, w3, w4] = weights.shares();
        let [c0, c1, c2, c3, c4] = self.0;
        100.0 * (w0 * c0 + w1 * c1 + w2 * c2 + w3 * c3 + w4 * c4)
    }

    /// Contribution of each criterion, in criterion order. The points sum to the score, up to rounding errors.
    #[must_use]
    pub fn breakdown(self, weights: Weights) -> [Contribution; Criterion::COUNT] {
        Criterion::ALL.map(|criterion| {
            let (value, weight) = (self.value(criterion), weights.of(criterion));
            Contribution { criterion, value, weight, points: 100.0 * (weight * value) }
        })
    }
}

/// The input; 0 if it is missing, NaN or below [`SMALLEST_INPUT`].
fn input_or_zero(input: Option<f64>) -> f64 {
    // NaN fails this comparison, so the same check rejects it.
    input.filter(|value| value.abs() >= SMALLEST_INPUT).unwrap_or(0.0)
}

/// Clamps a value to the range from 0 to 1. NaN, the sum of infinite inputs of opposite signs, counts as 0;
/// `f64::clamp` would return it.
fn clamp_to_criterion(raw: f64) -> f64 {
    if raw > 0.0 { raw.min(1.0) } else { 0.0 }
}

/// Mean of the values that are not NaN; 0 if there are none. They are summed in the given order, as in SQL.
fn mean(values: &[f64]) -> f64 {
    let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if known.is_empty() {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a movie has far fewer than 2^52 credits")]
    let count = known.len() as f64;
    known.iter().sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood;
    use proptest::prelude::*;

    fn worked_example() -> Inputs {
        Inputs {
            tmdb_rating: Some(7.5),
            imdb_rating: Some(7.9),
            metascore: Some(86.0),
            tomatometer: Some(93.0),
            popularity: Some(60.0),
            nominations: 10,
            wins: 2,
            lists: 1,
            people: vec![50.0, 60.0],
        }
    }

    fn balanced() -> Weights {
        Weights::normalised([0.2; 5]).unwrap()
    }

    #[test]
    fn worked_example_matches_the_published_scores() {
        let vector = ScoreVector::of(&worked_example());
        for (got, expected) in vector.0.iter().zip([0.770, 0.895, 0.900, 0.695, 0.550]) {
            assert!((got - expected).abs() < 5e-4, "{got}, expected {expected}");
        }
        let score = vector.score(balanced());
        assert!((score - 76.2).abs() < 0.05 && (likelihood(score) - 79.3).abs() < 0.05, "{score}");

        let uncriticised = Inputs { metascore: None, tomatometer: None, ..worked_example() };
        let score = ScoreVector::of(&uncriticised).score(balanced());
        assert!((score - 58.3).abs() < 0.05 && (likelihood(score) - 52.5).abs() < 0.05, "{score}");
    }

    #[test]
    fn missing_nan_and_extreme_inputs_stay_in_range() {
        assert_eq!(ScoreVector::of(&Inputs::default()).0, [0.0; 5]);
        let extreme = Inputs {
            tmdb_rating: Some(f64::NAN),
            imdb_rating: Some(-3.0),
            metascore: Some(f64::INFINITY),
            tomatometer: Some(f64::NEG_INFINITY),
            popularity: Some(f64::NAN),
            nominations: 400,
            people: vec![f64::NAN, 4000.0],
            ..Inputs::default()
        };
        assert_eq!(ScoreVector::of(&extreme).0, [0.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn missing_or_negative_popularity_adds_nothing() {
        for popularity in [None, Some(0.0), Some(-5.0)] {
            let inputs = Inputs { popularity, lists: 2, ..Inputs::default() };
            assert!((ScoreVector::of(&inputs).value(Criterion::CulturalImpact) - 0.2).abs() < f64::EPSILON);
        }
    }

    proptest! {
        #[test]
        fn a_better_movie_never_scores_lower(
            low in prop::array::uniform5(0.0..=1.0_f64),
            gain in prop::array::uniform5(0.0..=1.0_f64),
            raw in prop::array::uniform5(0.0..=1e6_f64),
        ) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let weights = Weights::normalised(raw).unwrap();
            let high = std::array::from_fn(|i| (low[i] + gain[i]).min(1.0));
            prop_assert!(ScoreVector(low).score(weights) <= ScoreVector(high).score(weights));
        }

        #[test]
        fn points_sum_to_the_score(values in prop::array::uniform5(0.0..=1.0_f64), raw in prop::array::uniform5(0.0..=10.0_f64)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let weights = Weights::normalised(raw).unwrap();
            let vector = ScoreVector(values);
            let sum: f64 = vector.breakdown(weights).iter().map(|part| part.points).sum();
            prop_assert!((sum - vector.score(weights)).abs() < 1e-9);
        }
    }
}
