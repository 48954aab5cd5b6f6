//! Schema types of predictions, their breakdown and their weights.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::connection::{Connection, RankingFields};
use super::context::{RankingParams, RequestContext, context};
use super::error::ApiError;
use super::id::opaque;
use super::movie::Movie;
use super::profile::Profile;
use crate::scoring::{self, Criterion, Decade, Weights, WeightsError, likelihood};
use crate::services::predictions::ScoredMovie;
use crate::store::{self, ColumnsSource};

/// A page of predictions.
pub(super) type PredictionConnection = Connection<Prediction, RankingFields>;

/// Custom weights on any scale (fractions, percentages, slider steps): 0 to 1,000,000 each, not all 0. They are divided
/// by their sum.
#[derive(InputObject, Clone, Copy)]
pub(super) struct WeightsInput {
    /// Weight of `POPULAR_OPINION`: audience ratings.
    popular_opinion: f64,
    /// Weight of `CRITICAL_ACCLAIM`: critics' ratings.
    critical_acclaim: f64,
    /// Weight of `INDUSTRY_RECOGNITION`: award nominations and wins.
    industry_recognition: f64,
    /// Weight of `CULTURAL_IMPACT`: list memberships and popularity.
    cultural_impact: f64,
    /// Weight of `PEOPLE_QUALITY`: records of the cast and crew.
    people_quality: f64,
}

impl TryFrom<WeightsInput> for Weights {
    type Error = ApiError;

    fn try_from(input: WeightsInput) -> Result<Self, ApiError> {
        let raw = [
            input.popular_opinion,
            input.critical_acclaim,
            input.industry_recognition,
            input.cultural_impact,
            input.people_quality,
        ];
        Weights::normalised(raw).map_err(|error| {
            let field = match &error {
                WeightsError::OutOfRange { criterion, .. } => match criterion {
                    Criterion::PopularOpinion => "weights.popularOpinion",
                    Criterion::CriticalAcclaim => "weights.criticalAcclaim",
                    Criterion::IndustryRecognition => "weights.industryRecognition",
                    Criterion::CulturalImpact => "weights.culturalImpact",
                    Criterion::PeopleQuality => "weights.peopleQuality",
                },
                WeightsError::AllZero => "weights",
            };
            ApiError::bad_input(field, error.to_string())
        })
    }
}

/// How much each criterion counts in a score: shares that sum to 1.
#[derive(SimpleObject)]
#[graphql(name = "Weights")]
pub(super) struct WeightShares {
    /// Weight of `POPULAR_OPINION`: audience ratings.
    popular_opinion: f64,
    /// Weight of `CRITICAL_ACCLAIM`: critics' ratings.
    critical_acclaim: f64,
    /// Weight of `INDUSTRY_RECOGNITION`: award nominations and wins.
    industry_recognition: f64,
    /// Weight of `CULTURAL_IMPACT`: list memberships and popularity.
    cultural_impact: f64,
    /// Weight of `PEOPLE_QUALITY`: records of the cast and crew.
    people_quality: f64,
}

impl From<Weights> for WeightShares {
    fn from(weights: Weights) -> Self {
        let [popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality] =
            weights.shares();
        Self { popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality }
    }
}

/// An input of the score, 0 to 1.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "Criterion", remote = "scoring::Criterion")]
pub(super) enum CriterionName {
    /// Audience ratings: the mean of the TMDb and IMDb ratings; a missing rating counts as 0.
    PopularOpinion,
    /// Critics' ratings: the mean of Metascore and Tomatometer; a missing rating counts as 0.
    CriticalAcclaim,
    /// Awards: 0.2 per win plus 0.05 per nomination (wins included), capped at 1.
    IndustryRecognition,
    /// List memberships and popularity: 0.1 per list plus popularity on a logarithmic scale, capped at 1.
    CulturalImpact,
    /// Quality of the cast and crew: the mean over all credits whose person quality is known.
    PeopleQuality,
}

/// Whether a movie is on the target list.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum PredictionStatus {
    /// Not on the target list.
    Candidate,
    /// On the target list.
    Listed,
}

/// Source of a score.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "ColumnsSource")]
pub(super) enum ScoreSource {
    /// The score table: computed earlier and stored.
    ScoreTable,
    /// Computed from the base tables for this request, because no stored score was available.
    DirectQuery,
}

/// Why a movie has no rank.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnrankedReason {
    /// The movie has no release date, so it belongs to no decade.
    NoReleaseDate,
    /// The movie is not fully imported: its `import_status` is not `full`, so it is too incomplete to be ranked.
    NotFull,
    /// The movie is already on the target list.
    Listed,
}

/// Contribution of one criterion to a score.
#[derive(SimpleObject)]
pub(super) struct ScoreContribution {
    /// The criterion.
    criterion: CriterionName,
    /// The movie's value for the criterion, 0 to 1.
    value: f64,
    /// Share of the criterion in the weights, 0 to 1.
    weight: f64,
    /// Points: 100 × value × weight. The five contributions sum to the score.
    contribution: f64,
}

impl From<scoring::Contribution> for ScoreContribution {
    fn from(part: scoring::Contribution) -> Self {
        Self { criterion: part.criterion.into(), value: part.value, weight: part.weight, contribution: part.points }
    }
}

/// Score and rank of one movie for one list under one set of weights.
pub(super) struct Prediction {
    scored: ScoredMovie,
    unranked: Option<UnrankedReason>,
    params: Arc<RankingParams>,
}

impl Prediction {
    /// The prediction of a movie in its decade's ranking.
    pub(super) fn ranked(scored: ScoredMovie, params: Arc<RankingParams>) -> Self {
        let unranked = scored.listed.then_some(UnrankedReason::Listed);
        Self { scored, unranked, params }
    }

    /// The prediction of any movie: from its decade's ranking if it is in one, else computed from the base tables.
    pub(super) async fn of_movie(
        context: &RequestContext,
        movie: &store::Movie,
        params: Arc<RankingParams>,
    ) -> Result<Self, ApiError> {
        if let Some(decade) = movie.release_date.and_then(Decade::of) {
            let predictions = &context.services().predictions;
            let scored = predictions.movie(movie.id, decade, &params.list, params.selection.weights).await?;
            if let Some(scored) = scored {
                return Ok(Self::ranked(scored, params));
            }
        }
        let live = context.live_score(movie.id).await?;
        let listed = live.list_keys.contains(&params.list);
        let unranked = if !live.full {
            Some(UnrankedReason::NotFull)
        } else if live.release_date.and_then(Decade::of).is_none() {
            Some(UnrankedReason::NoReleaseDate)
        } else {
            listed.then_some(UnrankedReason::Listed)
        };
        let scored = ScoredMovie {
            id: movie.id,
            rank: None,
            score: live.vector.score(params.selection.weights),
            vector: live.vector,
            listed,
            coverage: live.coverage,
            computed_at: live.computed_at,
            source: ColumnsSource::DirectQuery,
        };
        Ok(Self { scored, unranked, params })
    }
}

/// How likely one movie is to join a target list, under one set of weights.
#[Object]
impl Prediction {
    /// ID of the prediction, the same for the same movie, list and weights. Not accepted by `node`.
    async fn id(&self) -> ID {
        opaque(format!("Prediction:{}:{}", self.scored.id, self.params.key()).as_bytes())
    }

    /// Rank among all candidates of the decade, from 1, regardless of the filter. Null if the movie is not a candidate.
    async fn rank(&self) -> Option<usize> {
        self.scored.rank
    }

    /// Why the movie has no rank. Null if it has one.
    async fn unranked(&self) -> Option<UnrankedReason> {
        self.unranked
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.scored.id).await
    }

    /// Weighted sum of the criteria, 0 to 100, unrounded.
    async fn score(&self) -> f64 {
        self.scored.score
    }

    /// The score on the published display scale, 0 to 100. Not a probability.
    async fn likelihood(&self) -> f64 {
        likelihood(self.scored.score)
    }

    /// Contributions of the five criteria to the score, in the order of `Criterion`.
    async fn breakdown(&self) -> Vec<ScoreContribution> {
        self.scored.vector.breakdown(self.params.selection.weights).map(Into::into).into()
    }

    /// Whether the movie is on the target list.
    async fn status(&self) -> PredictionStatus {
        if self.scored.listed { PredictionStatus::Listed } else { PredictionStatus::Candidate }
    }

    /// Number of known ratings, 0 to 4 (TMDb, IMDb, Metacritic, Rotten Tomatoes). A missing rating counts as 0 in the
    /// score.
    async fn coverage(&self) -> u8 {
        self.scored.coverage
    }

    /// When the criteria were computed.
    async fn computed_at(&self) -> DateTime<Utc> {
        self.scored.computed_at
    }

    /// Source of the criteria.
    async fn source(&self) -> ScoreSource {
        self.scored.source.into()
    }

    /// Profile that the score was computed under. Null for custom weights.
    async fn profile(&self) -> Option<Profile> {
        self.params.selection.profile.clone().map(Profile)
    }
}
