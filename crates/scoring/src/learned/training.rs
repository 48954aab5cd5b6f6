//! The training set: sampled rows of all decades, and the fit without one of them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::boosting::{Fit, Interrupted, Rows, Settings, fit, row_number};
use super::decade_features::DecadeFeatures;
use super::features::{Direction, Feature};
use super::model::{LearnedModel, Variant};
use super::random::happens;
use crate::accuracy::count;
use crate::{Decade, MovieId};

/// Unlisted movies that are kept for each listed one. More cost time and gain nothing.
const OTHERS_PER_MEMBER: f64 = 100.0;

/// Sampling is by id with a seed of its own, so that all models of a training see the same rows.
const SAMPLING_SEED: u64 = 0x005A_4D50;

/// Rows of all decades with their labels. Listed movies are all in it; of the others a sample, each row of which weighs
/// as much as the movies that it stands for.
#[derive(Debug)]
pub struct TrainingSet {
    variant: Variant,
    kept: f64,
    rows: Rows,
    decades: Vec<Decade>,
}

impl TrainingSet {
    /// An empty set for a list with `members` of `movies` fully imported movies in the decades that will be added.
    #[must_use]
    pub fn new(variant: Variant, members: usize, movies: usize) -> Self {
        let others = count(movies.saturating_sub(members).max(1));
        let kept = (OTHERS_PER_MEMBER * count(members) / others).min(1.0);
        let columns = Feature::of_variant(variant).map(|_| vec![]).collect();
        Self { variant, kept, rows: Rows { columns, ..Rows::default() }, decades: vec![] }
    }

    /// Adds the movies of a decade. `members` are the target list's.
    pub fn add(&mut self, features: &DecadeFeatures<'_>, members: &HashSet<MovieId>) {
        let ids: Vec<MovieId> = features.ids().collect();
        let keep = |id: &MovieId| members.contains(id) || happens(self.kept, SAMPLING_SEED, id.0.cast_unsigned());
        let taken: Vec<usize> = (0..ids.len()).filter(|row| keep(&ids[*row])).collect();
        for row in &taken {
            let listed = members.contains(&ids[*row]);
            self.rows.ids.push(ids[*row].0);
            self.rows.listed.push(listed);
            self.rows.weights.push(if listed { 1.0 } else { 1.0 / self.kept });
            self.decades.push(features.decade());
        }
        for (column, feature) in self.rows.columns.iter_mut().zip(Feature::of_variant(self.variant)) {
            let values = features.column(feature);
            column.extend(taken.iter().map(|row| values[*row]));
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.ids.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.ids.is_empty()
    }

    /// Fits a model to the decades for which `uses` is true. The model is not calibrated. `progress` is called every few
    /// rounds with the share of the fit that is done; it may stop the fit.
    ///
    /// # Errors
    /// [`Interrupted`] if `progress` breaks.
    pub fn fit(
        &self,
        uses: impl Fn(Decade) -> bool,
        settings: &Settings,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<LearnedModel, Interrupted> {
        let mut used: Vec<u32> = (0..self.len()).filter(|row| uses(self.decades[*row])).map(row_number).collect();
        // Sums depend on the order of the rows, and the result must not.
        used.sort_unstable_by_key(|row| self.rows.ids[*row as usize]);
        let features: Vec<&'static Feature> = Feature::of_variant(self.variant).collect();
        let directions: Vec<Direction> = features.iter().map(|feature| feature.direction).collect();
        let Fit { intercept, shapes } = fit(&self.rows, &used, &directions, settings, progress)?;
        Ok(LearnedModel { variant: self.variant, intercept, shapes })
    }
}
