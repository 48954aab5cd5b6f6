//! Validations of all decades, under one set of weights or under every active profile.

use std::sync::Arc;

use async_graphql::{Object, SimpleObject};

use super::date::Timestamp;
use super::decade_validation::{DecadeValidation, ScoreBasis, ValidationParams};
use super::hit_rate::HitRate;
use super::profile::Profile;
use super::validation_total::ValidationTotal;
use crate::graphql::complexity;
use crate::graphql::context::RankingParams;
use crate::scoring::{DecadeReport, Era, Totals};
use crate::services::learned::RankingKind;
use crate::services::profiles::WeightSelection;
use crate::services::validation::{ProfileReport, Report};

/// Accuracy of a ranking in past decades.
pub(in crate::graphql) struct Validation {
    pub(in crate::graphql) report: Report,
    pub(in crate::graphql) params: ValidationParams,
}

/// How accurately a ranking predicts the target list in all decades before the 2020s.
#[Object]
impl Validation {
    /// All decades before the 2020s that have movies, in ascending order.
    #[graphql(complexity = "complexity::DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.params)
    }

    /// Result over all decades from the 1920s to the 2010s that have listed movies.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// How often movies of each rank were on the list, in ascending order of ranks. Over the same decades as `overall`.
    async fn hit_rates(&self) -> Vec<HitRate> {
        self.report.rank_bands().into_iter().map(Into::into).collect()
    }

    /// Results over the decades of each era.
    async fn eras(&self) -> Vec<EraValidation> {
        Era::all().iter().map(|era| EraValidation::of(era, &self.report)).collect()
    }

    /// What ranked the movies: `FORMULA` also if no learned ranking of the list is served.
    async fn ranking(&self) -> super::ranking_kind::RankingKind {
        self.params.ranking.ranked_by().into()
    }

    /// The scores that the ranking is based on.
    async fn basis(&self) -> ScoreBasis {
        self.params.basis
    }

    /// When the scores were copied to the snapshot that this validation reads.
    async fn snapshot_at(&self) -> Timestamp {
        Timestamp(self.report.snapshot_at)
    }
}

fn decades(report: &Report, params: &ValidationParams) -> Vec<DecadeValidation> {
    let decade = |report: &Arc<DecadeReport>| DecadeValidation { report: Arc::clone(report), params: params.clone() };
    report.decades.iter().map(decade).collect()
}

/// How accurately a ranking predicts the target list in one era of cinema, which has several decades.
#[derive(SimpleObject)]
pub(in crate::graphql) struct EraValidation {
    /// Name of the era, such as "New Hollywood".
    name: &'static str,
    /// First years of the era's decades.
    decades: Vec<i32>,
    /// Number of movies of these decades that are on the list, fully imported or not.
    listed: usize,
    /// Number of hits: listed movies in the top N of their decade's ranking.
    hits: usize,
    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    accuracy: Option<f64>,
}

impl EraValidation {
    fn of(era: &Era, report: &Report) -> Self {
        let within = report.decades.iter().filter(|decade| era.contains(decade.decade));
        let accuracy = Totals::pooled(within.map(|decade| decade.totals())).accuracy;
        Self {
            name: era.name,
            decades: era.decades().collect(),
            listed: accuracy.listed,
            hits: accuracy.hits,
            accuracy: accuracy.share(),
        }
    }
}

/// Comparison of all active profiles by the accuracy of their rankings.
pub(in crate::graphql) struct ProfileComparison {
    /// Highest overall accuracy first, ties by name.
    pub(in crate::graphql) reports: Vec<ProfileReport>,
    pub(in crate::graphql) list: String,
    pub(in crate::graphql) basis: ScoreBasis,
}

/// The accuracy of the rankings under all active profiles.
#[Object]
impl ProfileComparison {
    /// Active profiles, highest overall accuracy first, ties by name.
    async fn profiles(&self) -> Vec<ProfileValidation> {
        let validation = |one: &ProfileReport| {
            let selection =
                WeightSelection { weights: one.weights, profile: Some(Arc::clone(&one.profile)), model: None };
            let ranking = Arc::new(RankingParams {
                selection,
                custom: false,
                list: self.list.clone(),
                ranking: RankingKind::Formula,
            });
            let params = ValidationParams { ranking, basis: self.basis };
            ProfileValidation { profile: Profile(Arc::clone(&one.profile)), report: one.report.clone(), params }
        };
        self.reports.iter().map(validation).collect()
    }

    /// The profile with the highest overall accuracy. Null if there is no active profile or no listed movie.
    async fn best(&self) -> Option<Profile> {
        let best = self.reports.first().filter(|one| one.report.overall().accuracy.listed > 0)?;
        Some(Profile(Arc::clone(&best.profile)))
    }
}

/// Accuracy of the ranking under one profile.
pub(in crate::graphql) struct ProfileValidation {
    profile: Profile,
    report: Report,
    params: ValidationParams,
}

/// Accuracy of the ranking under one profile.
#[Object]
impl ProfileValidation {
    /// The profile.
    async fn profile(&self) -> Profile {
        Profile(Arc::clone(&self.profile.0))
    }

    /// Result over all decades from the 1920s to the 2010s that have listed movies.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// All decades before the 2020s that have movies, in ascending order.
    #[graphql(complexity = "complexity::DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.params)
    }
}
