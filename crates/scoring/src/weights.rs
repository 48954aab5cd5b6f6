//! Weights: how much each criterion counts in a movie's score.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{CriteriaWithData, Criterion};

/// Upper bound of a raw weight. Far above any scale a client uses, and low enough that five of them add up to a finite
/// number.
const WEIGHT_MAX: f64 = 1e6;

/// How far a sum of shares may be from 1. Normalised shares sum to 1 only up to the rounding errors of five divisions
/// and eight additions; a test normalises random shares twice to show that the tolerance is large enough.
const SUM_TOLERANCE: f64 = 4.0 * f64::EPSILON;

/// One share per [`Criterion`], in criterion order. The shares sum to 1, up to rounding errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights([f64; Criterion::COUNT]);

impl Weights {
    /// Normalises raw numbers of any scale (fractions, percentages, slider steps) to shares. Numbers that sum to 1
    /// already are returned unchanged, to the bit, so that a client that reads weights and sends them back gets the
    /// same weights.
    ///
    /// # Errors
    /// [`WeightsError`] if a value is NaN, negative or above one million, or if all are 0.
    pub fn normalised(raw: [f64; Criterion::COUNT]) -> Result<Self, WeightsError> {
        for (criterion, value) in Criterion::ALL.into_iter().zip(raw) {
            // No range contains NaN, so this check rejects it as well.
            if !(0.0..=WEIGHT_MAX).contains(&value) {
                return Err(WeightsError::OutOfRange { criterion, value });
            }
        }
        match raw.iter().sum::<f64>() {
            0.0 => Err(WeightsError::AllZero),
            sum if (sum - 1.0).abs() <= SUM_TOLERANCE => Ok(Self(raw)),
            sum => Ok(Self(raw.map(|value| value / sum))),
        }
    }

    /// Reads weights from the `category_weights` JSON of a stored profile, which the host application may have written.
    /// Accepts all sets of keys that it ever used: those of 2025, of the renaming in March 2026, and those after it. No
    /// criterion corresponds to box office (`financial`); the published formula adds half of it to cultural impact.
    ///
    /// # Errors
    /// As [`Weights::normalised`].
    pub fn from_categories(categories: &Value) -> Result<Self, WeightsError> {
        let nothing = Map::new();
        let categories = categories.as_object().unwrap_or(&nothing);
        let number = |key: &str| categories.get(key).and_then(Value::as_f64);
        if LENSES.iter().flatten().any(|lens| categories.contains_key(*lens)) {
            let [mob, critics, festivals, time_machine, auteurs, box_office] =
                LENSES.map(|[lens, before]| number(lens).or_else(|| number(before)).unwrap_or(0.0));
            return Self::normalised([mob, critics, festivals, time_machine + box_office / 2.0, auteurs]);
        }
        // The defaults are those of the published formula. It has none for the keys of 2026.
        let ratings = number("popular_opinion").or_else(|| number("ratings")).unwrap_or(0.4);
        let awards = number("awards").unwrap_or(0.2);
        let financial = number("financial").unwrap_or(0.0);
        let cultural = number("cultural").unwrap_or(0.2);
        let people = number("people").unwrap_or(0.2);
        Self::normalised([ratings / 2.0, ratings / 2.0, awards, cultural + financial / 2.0, people])
    }

    /// Category weights with the keys of 2025. These have one weight for the two ratings, so [`Self::from_categories`]
    /// returns the mean for both popular opinion and critical acclaim.
    #[must_use]
    pub fn to_categories(self) -> Value {
        let [popular, critical, awards, cultural, people] = self.0;
        json!({ "ratings": popular + critical, "awards": awards, "financial": 0.0, "cultural": cultural, "people": people })
    }

    /// Category weights with the keys of 2026, which map back to the same weights.
    #[must_use]
    pub fn to_lenses(self) -> Value {
        let names = LENSES.map(|[name, _]| name.to_owned());
        // The sixth key, box office, has no criterion.
        let values = self.0.into_iter().chain([0.0]);
        names.into_iter().zip(values.map(Value::from)).collect::<Map<_, _>>().into()
    }

    /// The share of one criterion.
    #[must_use]
    pub fn of(self, criterion: Criterion) -> f64 {
        self.0[criterion as usize]
    }

    /// These weights without the criteria that have no data, whose shares the others take over in proportion. Unchanged,
    /// to the bit, if all criteria with a share have data, or none of them has.
    #[must_use]
    pub fn among(self, with_data: CriteriaWithData) -> Self {
        let kept = Criterion::ALL.map(|criterion| if with_data.contains(criterion) { self.of(criterion) } else { 0.0 });
        if kept == self.0 { self } else { Self::normalised(kept).unwrap_or(self) }
    }

    /// Fingerprint of the weights: the first 16 hexadecimal digits of the SHA-256 of the shares' bits.
    #[must_use]
    pub fn fingerprint(self) -> String {
        let bits: Vec<u8> = self.0.iter().flat_map(|share| share.to_bits().to_be_bytes()).collect();
        let hash = Sha256::digest(bits);
        format!("{:016x}", hash.first_chunk().copied().map_or(0, u64::from_be_bytes))
    }

    /// All shares, in criterion order.
    #[must_use]
    pub fn shares(self) -> [f64; Criterion::COUNT] {
        self.0
    }
}

/// The keys of 2026, which the host application calls lenses: in criterion order, box office last. Each is followed by
/// the key that was used in its place during the renaming in March 2026.
const LENSES: [[&str; 2]; 6] = [
    ["mob", "mob"],
    ["critics", "ivory_tower"],
    ["festival_recognition", "industry_recognition"],
    ["time_machine", "cultural_impact"],
    ["auteurs", "people_quality"],
    ["box_office", "financial_performance"],
];

/// Why weights were rejected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A weight is out of range.
    #[error("the weight of {criterion} is {value}, expected 0 to {max}", max = WEIGHT_MAX)]
    OutOfRange {
        /// The criterion.
        criterion: Criterion,
        /// The given value.
        value: f64,
    },
    /// All weights are 0, which would make every score 0.
    #[error("all weights are 0, so no criterion would count")]
    AllZero,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScoreVector;
    use proptest::prelude::*;

    fn shares(categories: &Value) -> [f64; 5] {
        Weights::from_categories(categories).unwrap().shares()
    }

    #[track_caller]
    fn assert_close(got: [f64; 5], expected: [f64; 5]) {
        let close = got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-12);
        assert!(close, "{got:?}, expected {expected:?}");
    }

    #[test]
    fn category_weights_of_every_period_are_mapped() {
        let balanced = [0.2, 0.2, 0.2, 0.2, 0.2];
        assert_close(shares(&json!({"ratings": 0.4, "awards": 0.2, "cultural": 0.2, "people": 0.2})), balanced);
        assert_close(shares(&json!({"popular_opinion": 0.4, "awards": 0.2, "cultural": 0.2, "people": 0.2})), balanced);
        assert_close(
            shares(
                &json!({"mob": 2, "critics": 2, "festival_recognition": 2, "time_machine": 1, "auteurs": 2, "box_office": 2}),
            ),
            balanced,
        );
        assert_close(
            shares(&json!({"mob": 2, "ivory_tower": 2, "industry_recognition": 2, "cultural_impact": 1,
                           "people_quality": 2, "financial_performance": 2})),
            balanced,
        );
        assert_close(
            shares(&json!({"ratings": 0.4, "awards": 0.1, "financial": 0.1, "cultural": 0.35, "people": 0.05})),
            [0.2, 0.2, 0.1, 0.4, 0.05].map(|weight| weight / 0.95),
        );
    }

    #[test]
    fn missing_and_non_numeric_keys_take_their_defaults() {
        assert_close(shares(&json!({"ratings": "lots", "financial": null})), [0.2; 5]);
        assert_close(shares(&json!(null)), [0.2; 5]);
        assert_close(shares(&json!({"mob": 1, "auteurs": "none"})), [1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn invalid_weights_are_rejected() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e6 + 1.0] {
            let result = Weights::normalised([1.0, 1.0, bad, 1.0, 1.0]);
            assert!(matches!(result, Err(WeightsError::OutOfRange { criterion: Criterion::IndustryRecognition, .. })));
        }
        assert_eq!(Weights::normalised([0.0; 5]), Err(WeightsError::AllZero));
    }

    #[test]
    fn criteria_without_data_leave_their_share_to_the_others() {
        let with_data = CriteriaWithData::new([true, false, false, true, true]);
        let weights = Weights::normalised([0.2; 5]).unwrap();
        assert_close(weights.among(with_data).shares(), [1.0 / 3.0, 0.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(weights.among(CriteriaWithData::ALL), weights);
        assert_eq!(CriteriaWithData::new([false; 5]), CriteriaWithData::ALL);
        let critics = Weights::normalised([0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(critics.among(with_data), critics, "nothing would be left");
    }

    proptest! {
        #[test]
        fn leaving_out_criteria_without_data_keeps_the_order_of_scores(
            values in prop::array::uniform2(prop::array::uniform5(0.0..=1.0_f64)),
            raw in prop::array::uniform5(0.0..=10.0_f64),
            has_data in prop::array::uniform5(any::<bool>()),
        ) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let with_data = CriteriaWithData::new(has_data);
            let weights = Weights::normalised(raw).unwrap();
            let vectors = values.map(|movie| {
                ScoreVector(Criterion::ALL.map(|one| if with_data.contains(one) { movie[one as usize] } else { 0.0 }))
            });
            let [a, b] = vectors.map(|vector| vector.score(weights));
            let [c, d] = vectors.map(|vector| vector.score(weights.among(with_data)));
            prop_assert!((a - b).abs() < 1e-9 || (a > b) == (c > d));
            prop_assert!(c >= a - 1e-9, "scores do not fall");
        }

        #[test]
        fn written_categories_map_back_to_the_same_weights(raw in prop::array::uniform5(0.0..=1e6_f64)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let weights = Weights::normalised(raw).unwrap();
            assert_close(shares(&weights.to_lenses()), weights.shares());
            let [popular, critical, rest @ ..] = weights.shares();
            let [first, second, others @ ..] = shares(&weights.to_categories());
            // The older keys have one weight for both ratings.
            prop_assert!((first - second).abs() < 1e-12 && (first + second - popular - critical).abs() < 1e-12);
            prop_assert!(others.iter().zip(rest).all(|(other, weight)| (other - weight).abs() < 1e-12));
        }

        #[test]
        fn shares_sum_to_one(raw in prop::array::uniform5(0.0..=1e6_f64)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let sum: f64 = Weights::normalised(raw).unwrap().shares().iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }

        #[test]
        fn normalising_shares_returns_the_same_shares(raw in prop::array::uniform5(0.0..=1e6_f64)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let weights = Weights::normalised(raw).unwrap();
            prop_assert_eq!(Weights::normalised(weights.shares()), Ok(weights));
        }
    }
}
