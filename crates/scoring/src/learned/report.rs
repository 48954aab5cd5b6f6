//! What is kept of a training beside the model: how well the ranking did, and whether it may be served.

use serde::{Deserialize, Serialize};

use super::judgement::{Baselines, NotLearnable, judge};
use super::leak::Leak;
use super::validation::Validation;

/// The report of one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Seed of the fits.
    pub seed: u64,
    /// Duration of the training, in seconds.
    pub seconds: f64,
    /// Fully imported movies of the decades that count.
    pub movies: usize,
    /// Listed movies among them.
    pub members: usize,
    /// Keys of the other lists that are inputs.
    pub lists: Vec<String>,
    /// Leave-one-decade-out validation.
    pub validation: Validation,
    /// Validation of the decades from 2000 on by a model of those before; `None` if there are no listed movies on both
    /// sides.
    pub temporal: Option<Validation>,
    /// The rankings that the learned one is compared with.
    pub baselines: Baselines,
    /// Listed movies that a random ranking would find among the top N, on average.
    pub random_hits: f64,
    /// Result of the leak check.
    pub leak: Leak,
    /// Why the ranking is not served; `None` if it may be.
    pub refusal: Option<String>,
}

impl TrainingReport {
    /// Judges the ranking, and keeps the reason against it, if there is one.
    #[must_use]
    pub fn judged(self) -> Self {
        let judged: Result<(), NotLearnable> = judge(&self.validation, &self.baselines, self.leak);
        Self { refusal: judged.err().map(|reason| reason.to_string()), ..self }
    }
}
