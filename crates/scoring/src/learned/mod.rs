//! Learned rankings: which movies join a list, learned from the list and the user's own data, with probabilities and
//! additive reasons.
//!
//! A model is a sum of one shape per feature ([`LearnedModel`]). Its features use no label of the target list: only
//! numbers of the movie, ranks within its decade, people's other works and, in one [`Variant`], other lists. Shapes of
//! most features can only rise ([`Direction`]).
//!
//! # Inputs
//! The caller fills [`DecadeInputs`], decade by decade: all fully imported movies of the decade with the numbers in
//! [`MovieInputs`]. Three of these need the whole catalogue:
//! - [`PersonWorks`] of each director and of each of the five first billed actors: sums over all their movies, and the two
//!   best qualities. [`PersonWorks::without`] leaves out the movie itself, and [`OtherWorks::and`] joins the people of a
//!   movie, so that two [`OtherWorks`] per movie remain. A person's works as director and as actor are counted apart.
//! - [`other_lists`] chooses the lists that are inputs: never the target list or an edition of it. [`Work::lists`] counts
//!   memberships of these lists alone, and [`OnList::position`] is `None` where the list is not ordered by merit.
//! - [`TrainingSet::new`] takes the numbers of members and movies, because it samples unlisted movies.
//!
//! Labels are used in two of these: a list that shares most members with the target list is left out, which withholds
//! information and gives none; and the sampling rate depends on the number of members in all decades, which says nothing
//! about any one movie.
//!
//! # Training and validation
//! Memory: one decade's inputs (about 300 bytes a movie), and 360 bytes for each row of the training set (at most 101 rows
//! for each member), 100 more while it is fitted.
//! 1. For each decade that counts ([`crate::pooled_decade`]): [`TrainingSet::add`], [`Baselines::add`].
//! 2. [`TrainingSet::fit`] once without each decade, and once with all. The fits are independent of each other and may
//!    run in parallel: each is a function of the used rows, settings and seed, to the bit, in whatever order the rows were
//!    added (on one platform: the exponential function belongs to it). A fit without a decade does not read its labels.
//! 3. For each decade, its scores by the model that never saw it: [`LearnedModel::codes`], [`LearnedModel::scores`],
//!    [`ScoredDecade::of`], [`LeakCheck::add`].
//! 4. [`Validation::leave_one_decade_out`], [`LeakCheck::check`], and [`judge`]: whether to serve it, or why not. The
//!    ranking is blind. The calibration of a decade is not strictly so: it is fitted to the other decades' scores, which
//!    come from models that saw this decade's labels (all but the own decade of each). It is two numbers.
//! 5. [`LearnedRanking::new`] calibrates the models; [`LearnedRanking::to_bytes`] is what to store.
//!
//! The temporal validation, which asks how the ranking would have done in 2000, needs a training of its own:
//! 1. [`DecadeInputs`] once more, in which [`PersonWorks`] count only works before 2000 (a later movie's own work is then
//!    not among its people's, so that it is not taken out either).
//! 2. A second [`TrainingSet`] of these, and [`TrainingSet::fit`] with `|decade| decade.year() < 2000`.
//! 3. The later decades' scores by this model, and [`Validation::uncalibrated`].
//!
//! Other numbers, such as votes and lists, remain those of today.
//!
//! # Serving
//! [`LearnedRanking::from_bytes`], [`LearnedRanking::for_decade`], and for each decade at load: [`DecadeFeatures::of`],
//! [`LearnedRanking::codes`] (77 or 89 bytes a movie), [`LearnedModel::scores`]. Here [`DecadeInputs::lists`] are
//! [`LearnedRanking::lists`], as they were at training: [`other_lists`] may choose others by now. A score is calibrated
//! log-odds: [`points`] and [`probability`] display it, and [`LearnedRanking::explain`] gives reasons from a movie's codes.
//! A decade's model never saw this decade's labels, so that listed movies have honest scores too.
//!
//! # Differences from the usual method
//! Bins hold equal weight, where members weigh as much as all others together. Pairs of features are left out: what they gained was within the noise of the seed.

mod awards;
mod bins;
mod boosting;
mod calibration;
mod decade_features;
mod features;
mod inputs;
mod judgement;
mod leak;
mod model;
mod random;
mod reasons;
mod report;
#[cfg(test)]
mod tests;
mod training;
mod validation;

pub use awards::{Award, CategoryGroup, Organization};
pub use bins::MISSING;
pub use boosting::{Interrupted, Settings, Shape};
pub use calibration::{Platt, points, probability};
pub use decade_features::DecadeFeatures;
pub use features::{
    By, Direction, FEATURE_VERSION, FEATURES, Feature, Group, Measure, MovieValue, PersonRecord, Role, Within,
};
pub use inputs::{
    Ages, DecadeInputs, GENRES, ListSize, MovieInputs, OTHER_LISTS, OnList, OtherWorks, PersonWorks, Rating, Work,
    genre_bits, is_ordered_by_merit, other_lists, work_quality,
};
pub use judgement::{Baselines, NotLearnable, UntrainedRanking, judge};
pub use leak::{Leak, LeakCheck};
pub use model::{DecadeCodes, LearnedModel, LearnedRanking, ModelError, Variant};
pub use reasons::{Explanation, Reason, ReasonContext};
pub use report::TrainingReport;
pub use training::TrainingSet;
pub use validation::{CalibrationBin, Performance, ScoredDecade, ScoredMovie, Validation};
