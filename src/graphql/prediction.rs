//! Predictions, their breakdown, and the weights behind them.

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

/// Pages of predictions.
pub(super) type PredictionConnection = Connection<Prediction, RankingFields>;

/// Weights of any scale (fractions, percents, slider steps): from 0 to 1,000,000, not all 0. They are divided by their
/// sum.
#[derive(InputObject, Clone, Copy)]
pub(super) struct WeightsInput {
    /// What audiences rated it.
    popular_opinion: f64,
    /// What reviewers rated it.
    critical_acclaim: f64,
    /// Nominations and wins.
    industry_recognition: f64,
    /// Lists that name it, and its popularity.
    cultural_impact: f64,
    /// The records of the people who made it.
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

/// How much each criterion counts: shares that sum to 1.
#[derive(SimpleObject)]
#[graphql(name = "Weights")]
pub(super) struct WeightShares {
    /// What audiences rated it.
    popular_opinion: f64,
    /// What reviewers rated it.
    critical_acclaim: f64,
    /// Nominations and wins.
    industry_recognition: f64,
    /// Lists that name it, and its popularity.
    cultural_impact: f64,
    /// The records of the people who made it.
    people_quality: f64,
}

impl From<Weights> for WeightShares {
    fn from(weights: Weights) -> Self {
        let [popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality] =
            weights.shares();
        Self { popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality }
    }
}

/// One side of a movie that a score weighs.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "Criterion", remote = "scoring::Criterion")]
pub(super) enum CriterionName {
    /// What audiences rated it: the mean of its TMDb and IMDb ratings.
    PopularOpinion,
    /// What reviewers rated it: the mean of its metascore and tomatometer.
    CriticalAcclaim,
    /// 0.2 for each award won and 0.05 for each nomination, won ones included, up to 1.
    IndustryRecognition,
    /// 0.1 for each list that names it, and its popularity on a logarithmic scale, up to 1.
    CulturalImpact,
    /// The mean record of the people credited for it.
    PeopleQuality,
}

/// Whether a movie is on the list.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum PredictionStatus {
    /// Not on the list.
    Candidate,
    /// On the list.
    Listed,
}

/// Where a score came from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "ColumnsSource")]
pub(super) enum ScoreSource {
    /// Computed earlier and stored.
    ScoreTable,
    /// Computed for this answer from the base tables, because the stored scores could not serve.
    DirectQuery,
}

/// Why a movie has no rank.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnrankedReason {
    /// It belongs to no decade.
    NoReleaseDate,
    /// It failed the catalogue's quality filter, so that only little is known of it.
    NotFull,
    /// It is on the list already.
    Listed,
}

/// What one criterion adds to a score.
#[derive(SimpleObject)]
pub(super) struct ScoreContribution {
    /// Which criterion.
    criterion: CriterionName,
    /// The movie's value, 0 to 1.
    value: f64,
    /// The criterion's share of the weights, 0 to 1.
    weight: f64,
    /// Points: 100 × value × weight. The five sum to the score.
    contribution: f64,
}

impl From<scoring::Contribution> for ScoreContribution {
    fn from(part: scoring::Contribution) -> Self {
        Self { criterion: part.criterion.into(), value: part.value, weight: part.weight, contribution: part.points }
    }
}

/// How one movie scores under one set of weights, for one list.
pub(super) struct Prediction {
    film: ScoredMovie,
    unranked: Option<UnrankedReason>,
    params: Arc<RankingParams>,
}

impl Prediction {
    /// Of a film of a decade's ranking.
    pub(super) fn ranked(film: ScoredMovie, params: Arc<RankingParams>) -> Self {
        let unranked = film.listed.then_some(UnrankedReason::Listed);
        Self { film, unranked, params }
    }

    /// Of any movie: from its decade's ranking if it is in one, else computed for it alone.
    pub(super) async fn of_movie(
        context: &RequestContext,
        movie: &store::Movie,
        params: Arc<RankingParams>,
    ) -> Result<Self, ApiError> {
        if let Some(decade) = movie.release_date.and_then(Decade::of) {
            let predictions = &context.services().predictions;
            let film = predictions.film(movie.id, decade, &params.list, params.selection.weights).await?;
            if let Some(film) = film {
                return Ok(Self::ranked(film, params));
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
        let film = ScoredMovie {
            id: movie.id,
            rank: None,
            score: live.vector.score(params.selection.weights),
            vector: live.vector,
            listed,
            coverage: live.coverage,
            computed_at: live.computed_at,
            source: ColumnsSource::DirectQuery,
        };
        Ok(Self { film, unranked, params })
    }
}

/// How likely one movie is to join a list, under one set of weights.
#[Object]
impl Prediction {
    /// The same for the same movie, list and weights.
    async fn id(&self) -> ID {
        opaque(format!("Prediction:{}:{}", self.film.id, self.params.key()).as_bytes())
    }

    /// Its place among all candidates of its decade, whatever the filter; null where it is no candidate.
    async fn rank(&self) -> Option<usize> {
        self.film.rank
    }

    /// Why it has no rank; null where it has one.
    async fn unranked(&self) -> Option<UnrankedReason> {
        self.unranked
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.film.id).await
    }

    /// 0 to 100, unrounded.
    async fn score(&self) -> f64 {
        self.film.score
    }

    /// The score on the published display scale, 0 to 100. Not a probability.
    async fn likelihood(&self) -> f64 {
        likelihood(self.film.score)
    }

    /// What each of the five criteria adds, in their order.
    async fn breakdown(&self) -> Vec<ScoreContribution> {
        self.film.vector.breakdown(self.params.selection.weights).map(Into::into).into()
    }

    /// Whether it is on the list.
    async fn status(&self) -> PredictionStatus {
        if self.film.listed { PredictionStatus::Listed } else { PredictionStatus::Candidate }
    }

    /// How many of the four ratings (TMDb, IMDb, Metacritic, Rotten Tomatoes) are known: 0 to 4.
    async fn coverage(&self) -> u8 {
        self.film.coverage
    }

    /// When its criteria were computed.
    async fn computed_at(&self) -> DateTime<Utc> {
        self.film.computed_at
    }

    /// Where its criteria came from.
    async fn source(&self) -> ScoreSource {
        self.film.source.into()
    }

    /// The profile that it was scored under; null for weights of your own.
    async fn profile(&self) -> Option<Profile> {
        self.params.selection.profile.clone().map(Profile)
    }
}
