//! The model card of a learned ranking.

use std::sync::Arc;

use async_graphql::{Enum, Object, SimpleObject};

use super::date::Timestamp;
use super::ranking_kind::RankingKind;
use super::reason::FeatureGroup;
use super::validation_total::Interval;
use crate::graphql::complexity;
use crate::scoring::learned::{
    self, Direction, Feature, LearnedRanking, Measure, Performance, Shape, TrainingReport, Within, points,
};
use crate::scoring::{Accuracy, Decade};
use crate::services::learned::ModelState;
use crate::store::ModelVersion;

/// The learned ranking of a list.
pub(in crate::graphql) struct Model {
    pub(in crate::graphql) list: String,
    pub(in crate::graphql) ranking: RankingKind,
    pub(in crate::graphql) state: Arc<ModelState>,
    /// The served model.
    pub(in crate::graphql) model: Option<Arc<LearnedRanking>>,
}

impl Model {
    /// The version that the card describes: the served one, or else the last training.
    fn version(&self) -> &ModelVersion {
        self.state.served.as_ref().unwrap_or(&self.state.latest)
    }

    fn report(&self) -> &TrainingReport {
        &self.version().report
    }
}

/// Model card of a learned ranking. It describes the served version, or, if none is served, the last training.
#[Object]
impl Model {
    /// Key of the target list.
    async fn list(&self) -> &str {
        &self.list
    }

    /// Which learned ranking.
    async fn ranking(&self) -> RankingKind {
        self.ranking
    }

    /// Whether it is served. If not, `ranking: LEARNED` ranks by the formula.
    async fn served(&self) -> bool {
        self.model.is_some()
    }

    /// Version that the card describes.
    async fn version_number(&self) -> i64 {
        self.version().id
    }

    /// Why the last training was not accepted: the list cannot be learned from the data. Also why an accepted one is not
    /// served. Null if it was accepted and is served.
    async fn refusal(&self) -> Option<&str> {
        let is_damaged = self.state.served.is_some() && self.model.is_none();
        let damage = "its stored model is damaged or of another release; the next training replaces it";
        self.state.latest.report.refusal.as_deref().or(is_damaged.then_some(damage))
    }

    /// When the version was trained.
    async fn trained_at(&self) -> Timestamp {
        Timestamp(self.version().trained_at)
    }

    /// Duration of the training in seconds.
    async fn training_seconds(&self) -> f64 {
        self.report().seconds
    }

    /// Seed of the samples. The same data and seed give the same model.
    async fn seed(&self) -> String {
        self.report().seed.to_string()
    }

    /// Number of fully imported movies of the validated decades.
    async fn movies(&self) -> usize {
        self.report().movies
    }

    /// Number of them that are on the list.
    async fn members(&self) -> usize {
        self.report().members
    }

    /// Keys of the other lists that are inputs.
    async fn other_lists(&self) -> &[String] {
        &self.report().lists
    }

    /// Performance over the decades from the 1920s to the 2010s. Each decade was ranked by a model that never saw which of its
    /// movies are on the list (leave one decade out).
    async fn validation(&self) -> ModelPerformance {
        ModelPerformance::of(None, &self.report().validation.pooled)
    }

    /// The same of each decade.
    #[graphql(complexity = "complexity::DECADES * child_complexity")]
    async fn decades(&self) -> Vec<ModelPerformance> {
        let decades = self.report().validation.decades.iter();
        decades.map(|(decade, _, performance)| ModelPerformance::of(Some(*decade), performance)).collect()
    }

    /// Performance of a model of the movies before 2000 in the decades from 2000 on. Null if the list has no movies before or
    /// after that.
    async fn temporal(&self) -> Option<ModelPerformance> {
        Some(ModelPerformance::of(None, &self.report().temporal.as_ref()?.pooled))
    }

    /// Rankings that need no training, in the same decades.
    async fn baselines(&self) -> Vec<ModelBaseline> {
        let baselines = &self.report().baselines;
        [
            (ModelBaselineKind::BestProfile, baselines.best_profile),
            (ModelBaselineKind::Votes, baselines.votes),
            (ModelBaselineKind::VotesAndRating, baselines.votes_and_rating),
        ]
        .map(|(kind, accuracy)| ModelBaseline::of(kind, accuracy))
        .into()
    }

    /// Number of listed movies that a random ranking would find among the top N, on average.
    async fn random_hits(&self) -> f64 {
        self.report().random_hits
    }

    /// Result of the leak check: whether the data tells listed movies by how it was collected.
    async fn leak_check(&self) -> LeakCheck {
        let learned::Leak { collection, votes } = self.report().leak;
        LeakCheck { collection, votes }
    }

    /// Calibration of the probabilities: movies in 15 bins of equal width, from the lowest. Bins without movies are left out.
    #[graphql(complexity = "complexity::DECADES * child_complexity")]
    async fn calibration(&self) -> Vec<CalibrationBin> {
        let bins = self.report().validation.bins.iter().filter(|bin| bin.movies > 0);
        bins.map(|bin| CalibrationBin { movies: bin.movies, probability: bin.probability, listed: bin.listed })
            .collect()
    }

    /// What each feature adds, in the model of all decades, strongest first. Null if no version is served.
    #[graphql(complexity = "complexity::FEATURES * child_complexity")]
    async fn features(&self) -> Option<Vec<ModelFeature>> {
        let model = self.model.as_ref()?;
        let features = model.overall().features();
        let mut features: Vec<_> = features.filter_map(|one| ModelFeature::of(one, &model.lists)).collect();
        features.sort_by(|a, b| b.range().total_cmp(&a.range()));
        Some(features)
    }
}

/// How well a learned ranking finds the listed movies. N is the number of listed movies of a decade.
#[derive(SimpleObject)]
struct ModelPerformance {
    /// First year of the decade. Null over all decades.
    decade: Option<i32>,
    /// Number of ranked movies.
    population: usize,
    /// N: the number of movies on the list, fully imported or not.
    listed: usize,
    /// Number of listed movies among the top N.
    hits: usize,
    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    recall: Option<f64>,
    /// 95 % confidence interval of the recall (Wilson score interval). Null if no movie is listed.
    interval: Option<Interval>,
    /// Share of the listed movies that is among the top 1.5 N. Null if no movie is listed.
    recall_at_one_and_a_half: Option<f64>,
    /// Share of the listed movies that is among the top 2 N. Null if no movie is listed.
    recall_at_double: Option<f64>,
    /// Share of the top N/2 that is on the list. Null if fewer than two movies are listed.
    precision_at_half: Option<f64>,
    /// Area under the curve of precision and recall, 0 to 1.
    pr_auc: f64,
    /// Log loss of the probabilities: mean −ln of the probability of what is the case.
    log_loss: f64,
    /// Brier score: mean squared error of the probabilities.
    brier: f64,
    /// Expected calibration error: by how much the probabilities are off, on average.
    expected_calibration_error: f64,
}

impl ModelPerformance {
    fn of(decade: Option<Decade>, performance: &Performance) -> Self {
        Self {
            decade: decade.map(Decade::year),
            population: performance.population,
            listed: performance.at_n.listed,
            hits: performance.at_n.hits,
            recall: performance.at_n.share(),
            interval: performance.at_n.interval().map(Interval::from),
            recall_at_one_and_a_half: performance.at_1_5_n.share(),
            recall_at_double: performance.at_2_n.share(),
            precision_at_half: performance.top_half.share(),
            pr_auc: performance.pr_auc,
            log_loss: performance.log_loss,
            brier: performance.brier,
            expected_calibration_error: performance.ece,
        }
    }
}

/// A ranking that needs no training, with which a learned one is compared.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum ModelBaselineKind {
    /// By the formula, under the active profile with the most hits; blind.
    BestProfile,
    /// By IMDb's votes.
    Votes,
    /// By √votes × (rating − 5) of IMDb.
    VotesAndRating,
}

/// Recall of a ranking that needs no training.
#[derive(SimpleObject)]
struct ModelBaseline {
    /// What it ranks by.
    kind: ModelBaselineKind,
    /// Share of the listed movies among the top N, 0 to 1. Null if no movie is listed.
    recall: Option<f64>,
    /// 95 % confidence interval. Null if no movie is listed.
    interval: Option<Interval>,
}

impl ModelBaseline {
    fn of(kind: ModelBaselineKind, accuracy: Accuracy) -> Self {
        Self { kind, recall: accuracy.share(), interval: accuracy.interval().map(Interval::from) }
    }
}

/// Result of a leak check: probabilities that a listed movie is told from an unlisted one of about the same standing by how
/// the data was collected. 0.5 without a leak; above 0.65, the ranking is not served.
#[derive(SimpleObject)]
struct LeakCheck {
    /// By which values are missing, and how old the others are. Null if it cannot be measured.
    collection: Option<f64>,
    /// By ratios of votes on different sources. Null if it cannot be measured.
    votes: Option<f64>,
}

/// Movies of similar probability.
#[derive(SimpleObject)]
struct CalibrationBin {
    /// Number of movies.
    movies: usize,
    /// Their mean probability, 0 to 1.
    probability: f64,
    /// Share of them that is listed, 0 to 1.
    listed: f64,
}

/// What a feature adds to the score of a learned ranking.
struct ModelFeature {
    feature: &'static Feature,
    name: String,
    shape: Shape,
}

impl ModelFeature {
    /// `lists` are the keys of the other lists, in the order of their features. `None` for a feature of a list that the model
    /// does not have.
    fn of((feature, shape): (&'static Feature, &Shape), lists: &[String]) -> Option<Self> {
        let name = feature.name;
        let name = match feature.measure {
            Measure::OnList(list) => format!("on {}", lists.get(usize::from(list))?),
            Measure::Share(_) => format!("{name}, compared with its decade"),
            Measure::Place(_, Within::Year) => format!("{name} of its year"),
            Measure::Place(_, Within::Decade) => format!("{name} of its decade"),
            Measure::Place(_, Within::Language) => format!("{name} of its decade in its language"),
            Measure::Place(_, Within::Genre) => format!("{name} of its decade in one of its genres"),
            _ => name.to_owned(),
        };
        Some(Self { feature, name, shape: shape.clone() })
    }

    /// Difference of the highest and the lowest points of known values.
    fn range(&self) -> f64 {
        let known = &self.shape.scores[1..];
        let highest = known.iter().copied().fold(f64::MIN, f64::max);
        points(highest - known.iter().copied().fold(f64::MAX, f64::min))
    }
}

/// What a feature adds to the score of a learned ranking.
#[Object]
impl ModelFeature {
    /// Stable key.
    async fn key(&self) -> &str {
        self.feature.key
    }

    /// Name.
    async fn name(&self) -> &str {
        &self.name
    }

    /// Group that the feature belongs to.
    async fn group(&self) -> FeatureGroup {
        self.feature.group.into()
    }

    /// Whether more of it can only raise the score.
    async fn monotone(&self) -> bool {
        self.feature.direction == Direction::Up
    }

    /// Points of a movie of which the value is not known.
    async fn missing_points(&self) -> f64 {
        points(self.shape.scores.first().copied().unwrap_or_default())
    }

    /// Points of known values, from the lowest.
    async fn bins(&self) -> Vec<FeatureBin> {
        let mut bins: Vec<FeatureBin> = vec![];
        for (at, score) in self.shape.scores.iter().skip(1).enumerate() {
            let up_to = self.shape.edges.get(at).map(|edge| f64::from(*edge));
            match bins.last_mut() {
                // Neighbours that add the same are one to a reader.
                Some(last) if last.points == points(*score) => last.up_to = up_to,
                last => {
                    let above = last.and_then(|last| last.up_to);
                    bins.push(FeatureBin { above, up_to, points: points(*score) });
                }
            }
        }
        bins
    }
}

/// Values of a feature that add the same points.
#[derive(SimpleObject)]
struct FeatureBin {
    /// Exclusive lower bound. Null for the lowest values.
    above: Option<f64>,
    /// Inclusive upper bound. Null for the highest values.
    up_to: Option<f64>,
    /// Points.
    points: f64,
}
