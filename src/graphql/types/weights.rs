//! Weights of the five criteria, as input and output.

use async_graphql::{Enum, InputObject, SimpleObject};

use crate::graphql::error::ApiError;
use crate::scoring::{self, Criterion, Weights, WeightsError};

/// How much each criterion shall count in the score. Each weight is from 0 to 1,000,000, and not all are 0. Any scale
/// works, such as percentages or the steps of a slider: the service divides each weight by the sum of the five.
#[derive(InputObject, Clone, Copy)]
pub(in crate::graphql) struct WeightsInput {
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
        // In the order of `Criterion::ALL`, which `Weights` has.
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

/// How much each criterion counts in the score: five shares that sum to 1.
#[derive(SimpleObject)]
#[graphql(name = "Weights")]
pub(in crate::graphql) struct WeightShares {
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

/// One of the five criteria that a score is computed from. A movie has a value from 0 to 1 for each.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "Criterion", remote = "scoring::Criterion")]
pub(in crate::graphql) enum CriterionName {
    /// Audience ratings: the mean of the TMDb and IMDb ratings; a missing rating counts as 0.
    PopularOpinion,
    /// Critics' ratings: the mean of Metascore and Tomatometer; a missing rating counts as 0.
    CriticalAcclaim,
    /// Awards: 0.2 per win plus 0.05 per nomination (wins included), capped at 1.
    IndustryRecognition,
    /// List memberships and popularity: 0.1 per list plus popularity on a logarithmic scale, capped at 1.
    CulturalImpact,
    /// Quality of the cast and crew: the mean `PersonQuality.score`, divided by 100, over all credits of people who have
    /// one.
    PeopleQuality,
}
