//! Validation of a learned ranking: its scores of movies whose labels it never saw, compared with the list.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::calibration::{Platt, probability};
use super::decade_features::DecadeFeatures;
use super::random::hash;
use crate::accuracy::count;
use crate::{Accuracy, Decade, MovieId};

/// Number of bins of probabilities, of equal width.
const CALIBRATION_BINS: usize = 15;

/// Seed that orders movies with equal scores: their ids say when they were added, which a list may follow.
const TIES_SEED: u64 = 0x0056_414C;

/// Smallest probability of a label whose logarithm is taken.
const MIN_PROBABILITY: f64 = 1e-15;

/// A movie and the score that it got from a model which never saw its decade's labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredMovie {
    /// The movie.
    pub id: MovieId,
    /// Whether it is on the target list.
    pub listed: bool,
    /// Uncalibrated score, in log-odds.
    pub score: f64,
}

/// All fully imported movies of one decade with their scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredDecade {
    /// The decade.
    pub decade: Decade,
    /// The movies, in any order; [`super::LeakCheck`] needs that of the features.
    pub movies: Vec<ScoredMovie>,
    /// Listed movies that are not fully imported. They count as listed and are never found.
    pub unhittable: usize,
}

impl ScoredDecade {
    /// The movies of a decade with the scores of a model that never saw its labels, in the same order.
    #[must_use]
    pub fn of(features: &DecadeFeatures<'_>, scores: &[f64], members: &HashSet<MovieId>, unhittable: usize) -> Self {
        let scored = features.ids().zip(scores);
        let movies = scored.map(|(id, score)| ScoredMovie { id, listed: members.contains(&id), score: *score });
        Self { decade: features.decade(), movies: movies.collect(), unhittable }
    }
}

/// How well a ranking finds the listed movies of one decade, or of several. N is the number of listed movies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Number of ranked movies.
    pub population: usize,
    /// Listed movies among them: those that are fully imported.
    pub members: usize,
    /// Listed movies among the top N.
    pub at_n: Accuracy,
    /// Listed movies among the top 1.5 N, rounded up.
    pub at_1_5_n: Accuracy,
    /// Listed movies among the top 2 N.
    pub at_2_n: Accuracy,
    /// Listed movies among the top N/2; `listed` is N/2, rounded down, so that the share is a precision.
    pub top_half: Accuracy,
    /// Area under the curve of precision and recall, as the mean precision at each listed movie.
    pub pr_auc: f64,
    /// Mean −ln(probability of the label).
    pub log_loss: f64,
    /// Mean squared difference of probability and label.
    pub brier: f64,
    /// Expected calibration error: mean difference of probability and share listed in 15 bins, weighted by movies.
    pub ece: f64,
    /// The same of each decade's top 2 N alone.
    pub top_ece: f64,
    /// What [`Self::top_ece`] would be by chance if all probabilities were right.
    pub top_ece_by_chance: f64,
}

/// Movies of similar probability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Number of movies.
    pub movies: usize,
    /// Their mean probability.
    pub probability: f64,
    /// Share of them that is listed.
    pub listed: f64,
}

/// Performance of all decades, and the calibrations that they were measured with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Performance of each decade, with the calibration of its probabilities.
    pub decades: Vec<(Decade, Platt, Performance)>,
    /// Performance of all decades. Those without listed movies have no hits, but their probabilities count.
    pub pooled: Performance,
    /// All movies by probability, from the lowest.
    pub bins: Vec<CalibrationBin>,
    /// Calibration on all decades, for a decade that is not among them.
    pub platt: Platt,
}

impl Validation {
    /// Validates scores that models without the movie's decade gave (leave one decade out). The probabilities of a
    /// decade are calibrated on the other decades' scores. The two numbers of this calibration are not strictly blind:
    /// these scores come from models that saw this decade's labels. The ranking is, for it uses no calibration.
    #[must_use]
    pub fn leave_one_decade_out(decades: &[ScoredDecade]) -> Self {
        let fit = |own: Option<Decade>| {
            let others = decades.iter().filter(move |other| Some(other.decade) != own);
            Platt::fit(others.flat_map(|other| &other.movies).map(|movie| (movie.score, movie.listed)))
        };
        Self::with(decades, fit(None), |decade| fit(Some(decade)))
    }

    /// Validates scores as they are, such as those of decades after the ones that the model was trained on.
    #[must_use]
    pub fn uncalibrated(decades: &[ScoredDecade]) -> Self {
        Self::with(decades, Platt::IDENTITY, |_| Platt::IDENTITY)
    }

    fn with(decades: &[ScoredDecade], platt: Platt, of: impl Fn(Decade) -> Platt) -> Self {
        let (mut measured, mut all, mut top) = (vec![], vec![], vec![]);
        for scored in decades {
            let platt = of(scored.decade);
            let mut ranked: Vec<Ranked> =
                scored.movies.iter().map(|movie| (platt.log_odds(movie.score), movie.id, movie.listed)).collect();
            let listed = ranked.iter().filter(|movie| movie.2).count() + scored.unhittable;
            measured.push((scored.decade, platt, Performance::of(&mut ranked, listed)));
            top.extend_from_slice(top_of(&ranked, 2 * listed));
            all.append(&mut ranked);
        }
        let listed = measured.iter().map(|(_, _, measures)| measures.at_n.listed).sum();
        // The hits of the decades are summed, because each decade's ranking is one of its own.
        let [mut at_n, mut at_1_5_n, mut at_2_n, mut top_half] = [Accuracy::default(); 4];
        for (_, _, decade) in &measured {
            at_n += decade.at_n;
            at_1_5_n += decade.at_1_5_n;
            at_2_n += decade.at_2_n;
            top_half += decade.top_half;
        }
        let (top_ece, top_ece_by_chance) = calibration_error(&top);
        let all_movies = Performance::of(&mut all, listed);
        let pooled = Performance { at_n, at_1_5_n, at_2_n, top_half, top_ece, top_ece_by_chance, ..all_movies };
        Self { decades: measured, pooled, bins: calibration_bins(&all), platt }
    }
}

/// Calibrated log-odds, id, and whether listed.
type Ranked = (f64, MovieId, bool);

impl Performance {
    /// Ranks the movies, equal ones by a hash of their ids, and measures them.
    fn of(movies: &mut [Ranked], listed: usize) -> Self {
        let tie = |id: MovieId| hash(TIES_SEED, id.0.cast_unsigned());
        movies.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| tie(a.1).cmp(&tie(b.1))));
        let hits = |top: usize| top_of(movies, top).iter().filter(|movie| movie.2).count();
        let at = |top: usize| Accuracy { hits: hits(top), listed };
        let mut found = 0.0;
        let mut precisions = 0.0;
        for (at, _) in movies.iter().enumerate().filter(|(_, movie)| movie.2) {
            found += 1.0;
            precisions += found / count(at + 1);
        }
        let mean = |of: &dyn Fn(f64, f64) -> f64| {
            let each = movies.iter().map(|movie| of(probability(movie.0), f64::from(u8::from(movie.2))));
            each.sum::<f64>() / count(movies.len().max(1))
        };
        let (top_ece, top_ece_by_chance) = calibration_error(top_of(movies, 2 * listed));
        Self {
            population: movies.len(),
            members: hits(movies.len()),
            at_n: at(listed),
            at_1_5_n: at((3 * listed).div_ceil(2)),
            at_2_n: at(2 * listed),
            top_half: Accuracy { hits: hits(listed / 2), listed: listed / 2 },
            pr_auc: precisions / count(listed.max(1)),
            log_loss: mean(&|p, label| -(1.0 - (p - label).abs()).max(MIN_PROBABILITY).ln()),
            brier: mean(&|p, label| (p - label).powi(2)),
            ece: calibration_error(movies).0,
            top_ece,
            top_ece_by_chance,
        }
    }
}

fn top_of(ranked: &[Ranked], top: usize) -> &[Ranked] {
    &ranked[..top.min(ranked.len())]
}

/// Expected calibration error, and what it would be by chance if the probabilities were right: the mean absolute error
/// of a share, by the normal approximation.
fn calibration_error(movies: &[Ranked]) -> (f64, f64) {
    let (mut error, mut by_chance) = (0.0, 0.0);
    for bin in calibration_bins(movies) {
        let share = count(bin.movies) / count(movies.len().max(1));
        error += share * (bin.probability - bin.listed).abs();
        let variance = bin.probability * (1.0 - bin.probability) / count(bin.movies.max(1));
        by_chance += share * (variance * std::f64::consts::FRAC_2_PI).sqrt();
    }
    (error, by_chance)
}

fn calibration_bins(movies: &[Ranked]) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); CALIBRATION_BINS];
    for (log_odds, _, listed) in movies {
        let probability = probability(*log_odds);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability times 15")]
        let bin = &mut bins[((probability * count(CALIBRATION_BINS)) as usize).min(CALIBRATION_BINS - 1)];
        bin.movies += 1;
        bin.probability += probability;
        bin.listed += f64::from(u8::from(*listed));
    }
    for bin in bins.iter_mut().filter(|bin| bin.movies > 0) {
        bin.probability /= count(bin.movies);
        bin.listed /= count(bin.movies);
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(year: i32, scores: &[(f64, bool)], unhittable: usize) -> ScoredDecade {
        let movies = scores.iter().zip(1..).map(|((score, listed), id)| ScoredMovie {
            id: MovieId(id),
            listed: *listed,
            score: *score,
        });
        ScoredDecade { decade: Decade::starting(year).unwrap(), movies: movies.collect(), unhittable }
    }

    #[test]
    fn measures_are_those_of_a_hand_computed_ranking() {
        // Ranked: listed, not, listed, not, listed.
        let movies = [(2.0, true), (1.0, false), (0.5, true), (0.4, false), (-1.0, true)];
        let validation = Validation::uncalibrated(&[scored(1990, &movies, 1)]);
        let measures = validation.pooled;
        assert_eq!(measures.at_n, Accuracy { hits: 2, listed: 4 });
        assert_eq!(measures.at_1_5_n, Accuracy { hits: 3, listed: 4 });
        assert_eq!(measures.top_half, Accuracy { hits: 1, listed: 2 });
        assert!((measures.pr_auc - (1.0 + 2.0 / 3.0 + 3.0 / 5.0) / 4.0).abs() < 1e-12);
        let losses = [(2.0, 1.0), (1.0, -1.0), (0.5, 1.0), (0.4, -1.0), (-1.0, 1.0)];
        let loss = losses.map(|(score, sign)| -probability(score * sign).ln()).iter().sum::<f64>() / 5.0;
        assert!((measures.log_loss - loss).abs() < 1e-12);
        assert_eq!((measures.population, measures.members), (5, 3));
        // The top 8 are all movies.
        assert_eq!(measures.top_ece.to_bits(), measures.ece.to_bits());
        assert!(measures.top_ece_by_chance > 0.0);
    }

    #[test]
    fn pooled_hits_are_those_of_the_decades_and_probabilities_count_in_decades_without_members_too() {
        let decades = [
            scored(1980, &[(1.0, true), (0.0, false)], 0),
            scored(1990, &[(9.0, false), (8.0, true)], 0),
            scored(2000, &[(9.0, false)], 0),
        ];
        let pooled = Validation::leave_one_decade_out(&decades).pooled;
        assert_eq!(pooled.at_n, Accuracy { hits: 1, listed: 2 });
        assert_eq!((pooled.population, pooled.members), (5, 2));
        let loss = |decades: &[ScoredDecade]| Validation::uncalibrated(decades).pooled.log_loss;
        assert!(loss(&decades) > loss(&decades[..2]));
    }

    #[test]
    fn the_calibration_of_a_decade_uses_the_scores_and_labels_of_the_others() {
        let own = |listed: bool| scored(1990, &[(1.0, listed), (0.0, !listed)], 0);
        let other = scored(1980, &[(1.0, true), (0.0, false), (0.5, false)], 0);
        let platt = |listed| Validation::leave_one_decade_out(&[other.clone(), own(listed)]).decades[1].1;
        assert_eq!(platt(true), platt(false));
    }
}
