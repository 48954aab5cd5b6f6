//! Additive boosting: each round adds one split of one feature, so that the score is a sum of one table per feature.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::bins::{MIN_ROWS, MISSING, code, edges};
use super::features::Direction;
use super::random::{happens, hash};
use crate::accuracy::count;

/// Sum of second derivatives that each side of a split must have.
const MIN_HESSIAN: f64 = 1.0;

/// Rounds for which a sample of rows is kept.
const ROUNDS_PER_SAMPLE: u32 = 4;

/// Settings of a fit. The defaults are those with which the method was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Rounds, each of which splits one feature.
    pub rounds: u32,
    /// Share of each round's best change that is made.
    pub learning_rate: f64,
    /// Penalty of large changes.
    pub lambda: f64,
    /// Share of the features that each round looks at.
    pub feature_share: f64,
    /// Share of the rows that each round looks at.
    pub row_share: f64,
    /// Seed of the samples. The same rows, settings and seed give the same model to the bit.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rounds: 700, learning_rate: 0.05, lambda: 5.0, feature_share: 0.1, row_share: 0.8, seed: 1 }
    }
}

/// Training stopped because its caller asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("training was interrupted")]
pub struct Interrupted;

/// Rows to fit, as columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Movie ids: rows are sampled by them. The numbers of the rows that a fit uses must be sorted by them.
    pub(super) ids: Vec<i64>,
    pub(super) listed: Vec<bool>,
    /// How many rows of the catalogue each row stands for.
    pub(super) weights: Vec<f64>,
    /// Values per feature; NaN is missing.
    pub(super) columns: Vec<Vec<f32>>,
}

/// A row's number, in half the memory.
pub(super) fn row_number(row: usize) -> u32 {
    u32::try_from(row).expect("a training set has fewer than 2^32 rows")
}

/// What one feature adds to the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Inclusive upper bounds of all bins but the last, ascending.
    pub edges: Vec<f32>,
    /// Log-odds for a missing value, and then for each bin.
    pub scores: Vec<f64>,
}

/// A fitted sum of shapes, one for each column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub(super) intercept: f64,
    pub(super) shapes: Vec<Shape>,
}

/// Fits the rows with these numbers. `progress` is called every few rounds with the share that is done.
pub(super) fn fit(
    rows: &Rows,
    used: &[u32],
    directions: &[Direction],
    settings: &Settings,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Fit, Interrupted> {
    let mut work = Boosting::of(rows, used, directions, settings);
    for round in 0..settings.rounds {
        if round % ROUNDS_PER_SAMPLE == 0 {
            if progress(f64::from(round) / f64::from(settings.rounds)).is_break() {
                return Err(Interrupted);
            }
            work.sample_rows(u64::from(round / ROUNDS_PER_SAMPLE));
        }
        work.round(u64::from(round));
    }
    Ok(work.finish())
}

/// State of a fit.
struct Boosting<'a> {
    settings: &'a Settings,
    directions: &'a [Direction],
    ids: Vec<u64>,
    target: Vec<f64>,
    weights: Vec<f64>,
    /// Codes per feature.
    codes: Vec<Vec<u8>>,
    /// Features with more than one bin.
    usable: Vec<usize>,
    shapes: Vec<Shape>,
    intercept: f64,
    scores: Vec<f64>,
    sampled: Vec<u32>,
}

/// Sums over the rows of a bin or of a side of a split.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    hessian: f64,
    rows: usize,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
            rows: self.rows + other.rows,
        }
    }

    fn change(self, lambda: f64) -> f64 {
        -self.gradient / (self.hessian + lambda)
    }

    fn gain(self, lambda: f64) -> f64 {
        self.gradient * self.gradient / (self.hessian + lambda)
    }

    fn is_enough(self) -> bool {
        self.rows >= MIN_ROWS && self.hessian >= MIN_HESSIAN
    }
}

/// A split of a feature's bins in two sides.
#[derive(Debug, Clone, Copy)]
struct Split {
    feature: usize,
    /// The last bin of the lower side; 0 if only the missing values are on it.
    last: usize,
    missing_is_low: bool,
    low: f64,
    high: f64,
    gain: f64,
}

impl<'a> Boosting<'a> {
    fn of(rows: &Rows, used: &[u32], directions: &'a [Direction], settings: &'a Settings) -> Self {
        let at = |row: &u32| *row as usize;
        let target: Vec<f64> = used.iter().map(|row| f64::from(u8::from(rows.listed[at(row)]))).collect();
        let weights: Vec<f64> = used.iter().map(|row| rows.weights[at(row)]).collect();
        let (mut codes, mut shapes, mut usable) = (vec![], vec![], vec![]);
        for (feature, values) in rows.columns.iter().enumerate() {
            let edges = edges(values, used, &rows.listed, &rows.weights);
            let column: Vec<u8> = used.iter().map(|row| code(&edges, values[at(row)])).collect();
            if column.iter().any(|code| *code != column[0]) {
                usable.push(feature);
            }
            shapes.push(Shape { scores: vec![0.0; edges.len() + 2], edges });
            codes.push(column);
        }
        let total: f64 = weights.iter().sum();
        let listed: f64 = weights.iter().zip(&target).map(|(weight, target)| weight * target).sum();
        // Half a row on each side keeps the logarithm finite for a list without members, or without others.
        let intercept = ((listed + 0.5) / (total - listed + 0.5)).ln();
        Self {
            settings,
            directions,
            ids: used.iter().map(|row| rows.ids[at(row)].cast_unsigned()).collect(),
            scores: vec![intercept; target.len()],
            target,
            weights,
            codes,
            usable,
            shapes,
            intercept,
            sampled: vec![],
        }
    }

    fn sample_rows(&mut self, sample: u64) {
        let seed = hash(self.settings.seed, sample);
        let ids = self.ids.iter().enumerate();
        let sampled = ids.filter(|(_, id)| happens(self.settings.row_share, seed, **id)).map(|(row, _)| row);
        self.sampled = sampled.map(row_number).collect();
    }

    fn round(&mut self, round: u64) {
        let derivatives: Vec<(f64, f64)> = self
            .sampled
            .iter()
            .map(|row| {
                let row = *row as usize;
                let probability = 1.0 / (1.0 + (-self.scores[row]).exp());
                let weight = self.weights[row];
                (weight * (probability - self.target[row]), weight * probability * (1.0 - probability))
            })
            .collect();
        let splits =
            self.sample_features(round).into_iter().filter_map(|feature| self.best_split(feature, &derivatives));
        // The first of equal gains wins: the order of the sample is part of the seed's result.
        let best = splits.reduce(|best, split| if split.gain > best.gain { split } else { best });
        if let Some(split) = best {
            self.apply(split);
        }
    }

    /// Samples the features that a round looks at, at least one.
    fn sample_features(&self, round: u64) -> Vec<usize> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let wanted = (self.settings.feature_share * count(self.usable.len())).round() as usize;
        // The features with the lowest hashes. The complement of the seed makes them independent of the sample of rows.
        let seed = hash(!self.settings.seed, round);
        let mut features: Vec<(u64, usize)> =
            self.usable.iter().map(|feature| (hash(seed, *feature as u64), *feature)).collect();
        features.sort_unstable();
        features.into_iter().take(wanted.max(1)).map(|(_, feature)| feature).collect()
    }

    fn best_split(&self, feature: usize, derivatives: &[(f64, f64)]) -> Option<Split> {
        let codes = &self.codes[feature];
        let mut bins = vec![Sums::default(); self.shapes[feature].scores.len()];
        for (row, (gradient, hessian)) in self.sampled.iter().zip(derivatives) {
            let bin = &mut bins[usize::from(codes[*row as usize])];
            bin.gradient += gradient;
            bin.hessian += hessian;
            bin.rows += 1;
        }
        let missing = bins[usize::from(MISSING)];
        let all = bins.iter().copied().fold(Sums::default(), Sums::plus);
        let known = bins[1..].iter().copied().fold(Sums::default(), Sums::plus);
        let mut best: Option<Split> = None;
        let mut below = Sums::default();
        for (last, bin) in bins[..bins.len() - 1].iter().enumerate() {
            if last > 0 {
                below = below.plus(*bin);
            }
            let above = Sums {
                gradient: known.gradient - below.gradient,
                hessian: known.hessian - below.hessian,
                rows: known.rows - below.rows,
            };
            for missing_is_low in [true, false] {
                // Nothing is below the first bin: there, the split parts missing from known values.
                if last == 0 && !missing_is_low {
                    continue;
                }
                let (low, high) =
                    if missing_is_low { (below.plus(missing), above) } else { (below, above.plus(missing)) };
                let gain =
                    low.gain(self.settings.lambda) + high.gain(self.settings.lambda) - all.gain(self.settings.lambda);
                let (down, up) = (low.change(self.settings.lambda), high.change(self.settings.lambda));
                let refused = last > 0 && self.directions[feature] == Direction::Up && down > up;
                if low.is_enough() && high.is_enough() && !refused && gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(Split { feature, last, missing_is_low, low: down, high: up, gain });
                }
            }
        }
        best
    }

    fn apply(&mut self, split: Split) {
        let scores = &mut self.shapes[split.feature].scores;
        let changes: Vec<f64> = (0..scores.len())
            .map(|bin| {
                let is_low = if bin == usize::from(MISSING) { split.missing_is_low } else { bin <= split.last };
                self.settings.learning_rate * if is_low { split.low } else { split.high }
            })
            .collect();
        scores.iter_mut().zip(&changes).for_each(|(score, change)| *score += change);
        let rows = self.scores.iter_mut().zip(&self.codes[split.feature]);
        rows.for_each(|(score, code)| *score += changes[usize::from(*code)]);
    }

    /// Centres the shapes, so that a contribution compares with the average row. A bin without rows adds nothing.
    fn finish(mut self) -> Fit {
        let total: f64 = self.weights.iter().sum();
        for feature in &self.usable {
            let (shape, codes) = (&mut self.shapes[*feature], &self.codes[*feature]);
            let each = codes.iter().zip(&self.weights);
            let mean = each.map(|(code, weight)| weight * shape.scores[usize::from(*code)]).sum::<f64>() / total;
            shape.scores.iter_mut().for_each(|score| *score -= mean);
            if !codes.contains(&MISSING) {
                shape.scores[usize::from(MISSING)] = 0.0;
            }
            self.intercept += mean;
        }
        Fit { intercept: self.intercept, shapes: self.shapes }
    }
}
