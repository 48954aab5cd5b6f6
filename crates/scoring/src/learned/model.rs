//! Models: the shapes of all features, what they add for a movie, and the bytes in which a trained ranking is stored.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::bins::{MAX_BINS, MISSING, code};
use super::boosting::{Settings, Shape};
use super::calibration::Platt;
use super::decade_features::DecadeFeatures;
use super::features::{Direction, FEATURE_VERSION, Feature, Group, Measure};
use super::inputs::OTHER_LISTS;
use super::validation::Validation;
use crate::Decade;

/// Length of the checksum before the body.
const CHECKSUM_BYTES: usize = 32;

/// Code of the lowest known values.
const FIRST_BIN: u8 = MISSING + 1;

/// Whether other lists are inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Other lists are inputs.
    WithLists,
    /// No list is an input. Predicts future additions better, because recent movies are on few lists yet.
    WithoutLists,
}

impl Variant {
    /// Both variants.
    pub const ALL: [Self; 2] = [Self::WithLists, Self::WithoutLists];
}

/// A sum of one shape per feature. A score is in log-odds: uncalibrated as [`super::TrainingSet::fit`] gives it, calibrated
/// in a [`LearnedRanking`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedModel {
    /// Whether other lists are inputs. The shapes are those of [`Feature::of_variant`], in its order.
    pub variant: Variant,
    /// Score of the average movie.
    pub intercept: f64,
    /// What each feature adds.
    pub shapes: Vec<Shape>,
}

impl LearnedModel {
    /// The features and their shapes.
    pub fn features(&self) -> impl Iterator<Item = (&'static Feature, &Shape)> {
        Feature::of_variant(self.variant).zip(&self.shapes)
    }

    /// Codes of the movies of a decade: all that scores and reasons need.
    #[must_use]
    pub fn codes(&self, features: &DecadeFeatures<'_>) -> DecadeCodes {
        let column = |(feature, shape): (&Feature, &Shape)| {
            let codes = features.column(feature).into_iter().map(|value| code(&shape.edges, value));
            CodeColumn::of(&codes.collect::<Vec<_>>())
        };
        DecadeCodes { movies: features.len(), columns: self.features().map(column).collect() }
    }

    /// Score of a movie. A code without a bin counts as 0.
    #[must_use]
    pub fn score(&self, codes: &[u8]) -> f64 {
        self.shapes.iter().zip(codes).fold(self.intercept, |sum, (shape, code)| sum + shape.score_of(*code))
    }

    /// Scores of the movies of a decade. Each is [`Self::score`] of the movie's codes, to the bit.
    #[must_use]
    pub fn scores(&self, codes: &DecadeCodes) -> Vec<f64> {
        let mut scores = vec![self.intercept; codes.movies];
        for (shape, column) in self.shapes.iter().zip(&codes.columns) {
            scores.iter_mut().zip(column.codes(codes.movies)).for_each(|(score, code)| *score += shape.score_of(code));
        }
        scores
    }

    /// What each group adds to the score, in log-odds, in the order of [`Group::ALL`].
    #[must_use]
    pub fn contributions(&self, codes: &[u8]) -> [f64; Group::ALL.len()] {
        let mut sums = [0.0; Group::ALL.len()];
        for ((feature, shape), code) in self.features().zip(codes) {
            sums[feature.group as usize] += shape.score_of(*code);
        }
        sums
    }

    /// Whether anything is known of each group, in the order of [`Group::ALL`]. Of awards and other lists, only what is
    /// on record counts: that there is none is said of every movie without one.
    #[must_use]
    pub fn known_groups(&self, codes: &[u8]) -> [bool; Group::ALL.len()] {
        let mut known = [false; Group::ALL.len()];
        for ((feature, _), code) in self.features().zip(codes) {
            known[feature.group as usize] |= *code >= lowest_known(feature);
        }
        known
    }

    /// Number of groups of which anything is known about each movie of a decade, as by [`Self::known_groups`].
    #[must_use]
    pub fn count_known_groups(&self, codes: &DecadeCodes) -> Vec<u8> {
        let mut known = vec![0_u16; codes.movies];
        for ((feature, _), column) in self.features().zip(&codes.columns) {
            let (group, lowest) = (1 << feature.group as u16, lowest_known(feature));
            for (known, code) in known.iter_mut().zip(column.codes(codes.movies)) {
                *known |= if code >= lowest { group } else { 0 };
            }
        }
        known.into_iter().map(|groups| u8::try_from(groups.count_ones()).unwrap_or(u8::MAX)).collect()
    }

    /// Number of groups that the model has.
    #[must_use]
    pub fn total_groups(&self) -> usize {
        Group::ALL.iter().filter(|group| self.features().any(|(feature, _)| feature.group == **group)).count()
    }

    /// The model with calibrated scores: contributions still sum to them.
    fn calibrated(mut self, platt: Platt) -> Self {
        self.intercept = platt.log_odds(self.intercept);
        self.shapes.iter_mut().flat_map(|shape| &mut shape.scores).for_each(|score| *score *= platt.slope);
        self
    }

    fn is_sound(&self) -> bool {
        let features = Feature::of_variant(self.variant).count();
        let rises = |shape: &Shape| shape.scores[1..].is_sorted();
        self.intercept.is_finite()
            && self.shapes.len() == features
            && self.shapes.iter().all(Shape::is_sound)
            && self.features().all(|(feature, shape)| feature.direction == Direction::Free || rises(shape))
    }
}

/// The lowest code with which a feature tells something about a movie.
fn lowest_known(feature: &Feature) -> u8 {
    match (feature.group, feature.measure) {
        // The year is known of every movie, and tells nothing of its own about one.
        (_, Measure::YearOfDecade) => u8::MAX,
        (_, Measure::Place(..) | Measure::BestPosition) => MISSING + 1,
        // The first bin of a count holds 0.
        (Group::Awards | Group::Lists, _) => FIRST_BIN + 1,
        _ => MISSING + 1,
    }
}

/// The bins of a decade's movies, one for each movie and feature. Most features have few bins, so that their codes take less
/// than a byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecadeCodes {
    movies: usize,
    /// By feature.
    columns: Vec<CodeColumn>,
}

impl DecadeCodes {
    /// The codes of `movies` movies as they were stored; `None` if there are not equally many for each movie.
    #[must_use]
    pub fn from_bytes(movies: usize, bytes: &[u8]) -> Option<Self> {
        let columns = bytes.chunks(movies.max(1)).map(CodeColumn::of);
        bytes.len().is_multiple_of(movies.max(1)).then(|| Self { movies, columns: columns.collect() })
    }

    /// What to store: one byte for each movie and feature, feature by feature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.columns.iter().flat_map(|column| column.codes(self.movies)).collect()
    }

    /// Codes of the movie in this place of the decade, in the order of the features; empty if there is none.
    #[must_use]
    pub fn of(&self, row: usize) -> Vec<u8> {
        if row >= self.movies {
            return vec![];
        }
        self.columns.iter().map(|column| column.code(row)).collect()
    }

    /// Memory in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.columns.iter().map(|column| size_of::<CodeColumn>() + column.packed.capacity()).sum()
    }
}

/// Codes of one feature, each in 2, 4 or 8 bits: as many as the largest one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CodeColumn {
    bits: u8,
    packed: Vec<u8>,
}

impl CodeColumn {
    fn of(codes: &[u8]) -> Self {
        let bits: u8 = match codes.iter().max() {
            None | Some(0..4) => 2,
            Some(4..16) => 4,
            Some(16..) => 8,
        };
        let byte = |codes: &[u8]| codes.iter().rev().fold(0, |byte: u8, code| byte.unbounded_shl(bits.into()) | code);
        Self { bits, packed: codes.chunks(usize::from(8 / bits)).map(byte).collect() }
    }

    fn code(&self, row: usize) -> u8 {
        let bits = usize::from(self.bits);
        let in_byte = 8 / bits;
        (self.packed[row / in_byte] >> (bits * (row % in_byte))) & (u8::MAX >> (8 - self.bits))
    }

    fn codes(&self, movies: usize) -> impl Iterator<Item = u8> {
        (0..movies).map(|row| self.code(row))
    }
}

impl Shape {
    /// Log-odds of a code; 0 for a code without a bin.
    #[must_use]
    pub fn score_of(&self, code: u8) -> f64 {
        self.scores.get(usize::from(code)).copied().unwrap_or(0.0)
    }

    fn is_sound(&self) -> bool {
        self.edges.len() < MAX_BINS
            && self.edges.iter().all(|edge| edge.is_finite())
            && self.edges.is_sorted_by(|a, b| a < b)
            && self.scores.len() == self.edges.len() + 2
            && self.scores.iter().all(|score| score.is_finite())
    }
}

/// A trained ranking as it is stored and served: a model for each decade that never saw this decade's labels, and one
/// for the other decades, which saw all. So a listed movie's own label never counts in its score, listed movies and
/// candidates have scores of one kind, and the validation holds for the ranking that is served. (Of the probabilities, see
/// [`Validation::leave_one_decade_out`].)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedRanking {
    feature_version: u32,
    /// Keys of the other lists, in the order of their features.
    pub lists: Vec<String>,
    /// Settings of the fits.
    pub settings: Settings,
    /// The model of all decades.
    all: LearnedModel,
    /// The models without one decade, by this decade.
    decades: Vec<(Decade, LearnedModel)>,
}

/// Stored bytes are no model that this version can serve.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are not those that were written.
    #[error("the stored model is damaged: its checksum does not match")]
    Checksum,
    /// The bytes are no model.
    #[error("the stored model cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// The model has other features.
    #[error("the stored model has features of version {found}, this program those of version {FEATURE_VERSION}")]
    FeatureVersion {
        /// Version of the stored model's features.
        found: u32,
    },
    /// Numbers that no training writes.
    #[error("the model contradicts itself")]
    Unsound,
    /// The movies' other lists are not those of the model, or in another order.
    #[error("the movies were prepared with other lists than the model")]
    OtherLists,
}

impl LearnedRanking {
    /// Puts the models of a training together, calibrated as in their validation: `all` was fitted to all decades, the
    /// others without the one that they stand beside.
    #[must_use]
    pub fn new(
        lists: Vec<String>,
        settings: Settings,
        all: LearnedModel,
        decades: Vec<(Decade, LearnedModel)>,
        validation: &Validation,
    ) -> Self {
        let platt = |own: Decade| {
            let found = validation.decades.iter().find(|(decade, _, _)| *decade == own);
            found.map_or(validation.platt, |(_, platt, _)| *platt)
        };
        let mut decades: Vec<_> = decades.into_iter().map(|(own, model)| (own, model.calibrated(platt(own)))).collect();
        decades.sort_by_key(|(decade, _)| *decade);
        let all = all.calibrated(validation.platt);
        Self { feature_version: FEATURE_VERSION, lists, settings, all, decades }
    }

    /// Whether other lists are inputs.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.all.variant
    }

    /// The model that ranks a decade.
    #[must_use]
    pub fn for_decade(&self, decade: Decade) -> &LearnedModel {
        let found = self.decades.iter().find(|(own, _)| *own == decade);
        found.map_or(&self.all, |(_, model)| model)
    }

    /// Codes of the movies of a decade for the model that ranks it.
    ///
    /// # Errors
    /// [`ModelError::OtherLists`] if other lists are inputs and [`super::DecadeInputs::lists`] are not [`Self::lists`].
    pub fn codes(&self, features: &DecadeFeatures<'_>) -> Result<DecadeCodes, ModelError> {
        if self.variant() == Variant::WithLists && features.lists() != self.lists {
            return Err(ModelError::OtherLists);
        }
        Ok(self.for_decade(features.decade()).codes(features))
    }

    /// The model of all decades, whose shapes a model card shows.
    #[must_use]
    pub fn overall(&self) -> &LearnedModel {
        &self.all
    }

    /// The bytes to store: SHA-256 of the body, then the body.
    ///
    /// # Errors
    /// [`ModelError::Unsound`] if it holds what [`Self::from_bytes`] would refuse, such as one decade twice.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        if !self.is_sound() {
            return Err(ModelError::Unsound);
        }
        let body = serde_json::to_vec(self)?;
        Ok([Sha256::digest(&body).as_slice(), &body].concat())
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`ModelError`] if they are damaged, of another feature version, or no model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Version {
            feature_version: u32,
        }
        let (checksum, body) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or(ModelError::Checksum)?;
        if Sha256::digest(body).as_slice() != checksum {
            return Err(ModelError::Checksum);
        }
        // Read first, because another version may have other fields.
        let Version { feature_version: found } = serde_json::from_slice(body)?;
        if found != FEATURE_VERSION {
            return Err(ModelError::FeatureVersion { found });
        }
        let ranking: Self = serde_json::from_slice(body)?;
        if ranking.is_sound() { Ok(ranking) } else { Err(ModelError::Unsound) }
    }

    fn is_sound(&self) -> bool {
        let fits = |model: &LearnedModel| model.is_sound() && model.variant == self.variant();
        fits(&self.all)
            && self.decades.iter().all(|(_, model)| fits(model))
            && self.decades.is_sorted_by(|a, b| a.0 < b.0)
            && self.lists.len() <= OTHER_LISTS
    }
}
