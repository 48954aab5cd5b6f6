//! Whether a trained ranking may be served, or the list is not learnable from this data.

use std::collections::HashSet;

use super::inputs::{DecadeInputs, MovieInputs};
use super::leak::Leak;
use super::random::hash;
use super::validation::Validation;
use crate::{Accuracy, MovieId};

/// Fewest listed movies.
const MIN_MEMBERS: usize = 50;

/// Fewest decades with listed movies.
const MIN_DECADES: usize = 4;

/// Highest expected calibration error.
const MAX_ECE: f64 = 0.03;

/// How much higher the expected calibration error of the top 2 N may be than right probabilities would have it. Nearly all
/// movies of a catalogue are sure not to be listed, so that the error over all movies is small whatever the top is like.
const MAX_TOP_ECE: f64 = 0.05;

/// Highest result of the leak check.
const MAX_LEAK_AUC: f64 = 0.65;

/// A ranking that needs no training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntrainedRanking {
    /// The best profile of the formula.
    BestProfile,
    /// IMDb votes.
    Votes,
    /// √(IMDb votes) × (IMDb rating − 5).
    VotesAndRating,
}

impl std::fmt::Display for UntrainedRanking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BestProfile => "the best profile of the formula",
            Self::Votes => "sorting by votes",
            Self::VotesAndRating => "sorting by votes and rating",
        })
    }
}

/// Seed that orders movies with equal values: their ids say when they were added, which a list may follow.
const TIES_SEED: u64 = 0x0042_4153;

/// Accuracy of the rankings that a learned one has to beat, over the validated decades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Baselines {
    /// [`UntrainedRanking::BestProfile`]: blind, of the profile with the most hits. The caller knows the formula's rankings.
    pub best_profile: Accuracy,
    /// [`UntrainedRanking::Votes`].
    pub votes: Accuracy,
    /// [`UntrainedRanking::VotesAndRating`].
    pub votes_and_rating: Accuracy,
}

impl Baselines {
    /// The baselines before any decade is added, with the hits of the best profile in all decades.
    #[must_use]
    pub fn new(best_profile: Accuracy) -> Self {
        Self { best_profile, votes: Accuracy::default(), votes_and_rating: Accuracy::default() }
    }

    /// Adds the hits of the baselines by votes in a decade. Movies without votes rank last, and without a rating too where
    /// it counts; equal ones rank by a hash of their ids.
    pub fn add(&mut self, decade: &DecadeInputs, members: &HashSet<MovieId>, unhittable: usize) {
        let positive = |value: Option<f32>| value.filter(|value| *value > 0.0 && value.is_finite()).map(f64::from);
        let votes = |movie: &MovieInputs| positive(movie.imdb.votes).unwrap_or(f64::MIN);
        let rated = |movie: &MovieInputs| match positive(movie.imdb.average) {
            Some(average) if votes(movie) > 0.0 => votes(movie).sqrt() * (average - 5.0),
            _ => f64::MIN,
        };
        let hits = |score: &dyn Fn(&MovieInputs) -> f64| {
            let tie = |id: MovieId| hash(TIES_SEED, id.0.cast_unsigned());
            let mut ranked: Vec<(f64, MovieId)> = decade.movies.iter().map(|movie| (score(movie), movie.id)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| tie(a.1).cmp(&tie(b.1))));
            let listed = ranked.iter().filter(|(_, id)| members.contains(id)).count() + unhittable;
            Accuracy { hits: ranked.iter().take(listed).filter(|(_, id)| members.contains(id)).count(), listed }
        };
        self.votes += hits(&votes);
        self.votes_and_rating += hits(&rated);
    }

    fn all(&self) -> [(UntrainedRanking, Accuracy); 3] {
        [
            (UntrainedRanking::BestProfile, self.best_profile),
            (UntrainedRanking::Votes, self.votes),
            (UntrainedRanking::VotesAndRating, self.votes_and_rating),
        ]
    }
}

/// Why a list is not learnable.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NotLearnable {
    /// The list has too few movies to learn from.
    #[error(
        "the list has {members} fully imported movies in {decades} decades; at least {MIN_MEMBERS} in {MIN_DECADES} \
         decades are needed"
    )]
    TooFewMembers {
        /// Listed movies that are fully imported.
        members: usize,
        /// Decades that have any.
        decades: usize,
    },
    /// Listed movies can be told by how the data was collected, or are of a country of whose movies more is known.
    #[error(
        "which values are missing, and how old they are, tells listed movies from others that are as well known \
         (AUC {auc:.2}, at most {MAX_LEAK_AUC}): import all movies from the same sources; a list of one country's movies \
         looks the same and cannot be learned"
    )]
    Leak {
        /// [`Leak::collection`].
        auc: f64,
    },
    /// Listed movies can be told by votes that were counted at other times.
    #[error(
        "the votes of listed movies do not fit those on other sources (AUC {auc:.2}, at most {MAX_LEAK_AUC}): import \
         the votes of all movies at the same time"
    )]
    LeakOfVotes {
        /// [`Leak::votes`].
        auc: f64,
    },
    /// The probabilities are wrong.
    #[error("the probabilities are off by {ece:.3} on average; at most {MAX_ECE} is accepted")]
    Uncalibrated {
        /// Expected calibration error.
        ece: f64,
    },
    /// The probabilities of the movies that matter are wrong.
    #[error(
        "the probabilities of the highest ranked movies are off by {ece:.3} on average; at most {at_most:.3} is accepted"
    )]
    UncalibratedTop {
        /// [`super::Performance::top_ece`].
        ece: f64,
        /// The highest that is accepted for as many movies.
        at_most: f64,
    },
    /// A ranking that needs no training is as good.
    #[error(
        "the learned ranking finds {:.1} % of the listed movies, at least {:.1} % with 95 % confidence, which is not \
         more than the {:.1} % of {baseline}", 100.0 * found, 100.0 * low, 100.0 * by_baseline
    )]
    NotBetter {
        /// The ranking.
        baseline: UntrainedRanking,
        /// Its recall at N.
        by_baseline: f64,
        /// The learned ranking's recall at N.
        found: f64,
        /// Lower bound of its 95 % interval.
        low: f64,
    },
}

/// Judges a trained ranking.
///
/// # Errors
/// [`NotLearnable`] with the first reason against it: then the formula is served.
pub fn judge(validation: &Validation, baselines: &Baselines, leak: Leak) -> Result<(), NotLearnable> {
    let members = validation.decades.iter().map(|(_, _, measures)| measures.members);
    let decades = members.clone().filter(|members| *members > 0).count();
    let members = members.sum();
    let pooled = &validation.pooled;
    let (found, Some(interval)) = (pooled.at_n.share().unwrap_or(0.0), pooled.at_n.interval()) else {
        return Err(NotLearnable::TooFewMembers { members, decades });
    };
    if members < MIN_MEMBERS || decades < MIN_DECADES {
        return Err(NotLearnable::TooFewMembers { members, decades });
    }
    // What cannot be measured is no reason against the ranking.
    if let Some(auc) = leak.collection.filter(|auc| *auc > MAX_LEAK_AUC) {
        return Err(NotLearnable::Leak { auc });
    }
    if let Some(auc) = leak.votes.filter(|auc| *auc > MAX_LEAK_AUC) {
        return Err(NotLearnable::LeakOfVotes { auc });
    }
    let best = baselines.all().into_iter().map(|(baseline, accuracy)| (baseline, accuracy.share().unwrap_or(0.0)));
    // The strongest baseline is the one worth naming.
    let best = best.reduce(|best, next| if next.1 > best.1 { next } else { best });
    if let Some((baseline, by_baseline)) = best.filter(|(_, by_baseline)| interval.low <= *by_baseline) {
        return Err(NotLearnable::NotBetter { baseline, by_baseline, found, low: interval.low });
    }
    if pooled.ece > MAX_ECE {
        return Err(NotLearnable::Uncalibrated { ece: pooled.ece });
    }
    let (ece, at_most) = (pooled.top_ece, pooled.top_ece_by_chance + MAX_TOP_ECE);
    if ece > at_most { Err(NotLearnable::UncalibratedTop { ece, at_most }) } else { Ok(()) }
}
