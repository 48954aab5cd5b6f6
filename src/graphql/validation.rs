//! Schema types of validations: how well a ranking finds the listed movies of past decades.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::connection::{Connection, CountFields, CursorScope, Listed, page_of};
use super::context::{RankingParams, context};
use super::error::ApiError;
use super::movie::Movie;
use super::profile::Profile;
use crate::scoring::{self, Basis, DecadeReport, Era, Totals};
use crate::services::profiles::WeightSelection;
use crate::services::validation::{ProfileReport, Report};

/// Assumed number of decades of a validation, for the cost of queries that select all of them.
const DECADES: usize = 14;

/// Whether the target list's own labels (which movies are on it) count in the scores that a validation ranks by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
#[graphql(remote = "Basis")]
pub(super) enum ScoreBasis {
    /// The labels of the target list are hidden from the scores, so that the accuracy measures prediction. The default.
    #[default]
    Blind,
    /// The published formula. The labels of the target list leak into the scores and inflate the accuracy.
    AsPublished,
}

/// Parameters of a validation: the ranking, the list and the basis.
#[derive(Clone)]
pub(super) struct ValidationParams {
    pub(super) params: Arc<RankingParams>,
    pub(super) basis: ScoreBasis,
}

/// Accuracy of a ranking in past decades.
pub(super) struct Validation {
    pub(super) report: Report,
    pub(super) tested: ValidationParams,
}

/// Accuracy of a ranking in past decades.
#[Object]
impl Validation {
    /// All decades before the 2020s that have movies, in ascending order.
    #[graphql(complexity = "DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.tested)
    }

    /// Pooled result of all decades from the 1920s to the 2010s that have listed movies.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// Results of the same decades, pooled by era.
    async fn eras(&self) -> Vec<EraValidation> {
        Era::all().iter().map(|era| EraValidation::of(era, &self.report)).collect()
    }

    /// Basis of the scores.
    async fn basis(&self) -> ScoreBasis {
        self.tested.basis
    }

    /// When the score snapshot behind this validation was taken.
    async fn snapshot_at(&self) -> DateTime<Utc> {
        self.report.snapshot_at
    }
}

fn decades(report: &Report, tested: &ValidationParams) -> Vec<DecadeValidation> {
    let decade = |report: &DecadeReport| DecadeValidation { report: report.clone(), tested: tested.clone() };
    report.decades.iter().map(decade).collect()
}

/// Accuracy of a ranking in one decade.
pub(super) struct DecadeValidation {
    pub(super) report: DecadeReport,
    pub(super) tested: ValidationParams,
}

impl DecadeValidation {
    fn total(&self) -> ValidationTotal {
        self.report.totals().into()
    }

    fn page(
        &self,
        which: &str,
        movies: &[Listed],
        first: i32,
        after: Option<&str>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let decade = self.report.decade.to_string();
        let basis = format!("{:?}", Basis::from(self.tested.basis));
        let scope = CursorScope::of(&[which, &self.tested.params.key(), &decade, &basis]);
        page_of(movies, scope, first, after, RankedMovie)
    }
}

/// Accuracy of a ranking in one decade. The ranking contains the decade's fully imported movies (`import_status` =
/// `full`: complete enough to be ranked), listed or not. With N listed movies, its top N count as predicted.
#[Object]
impl DecadeValidation {
    /// First year of the decade.
    async fn decade(&self) -> i32 {
        self.report.decade.year()
    }

    /// N: movies of the decade on the list, fully imported or not.
    async fn listed(&self) -> usize {
        self.total().listed
    }

    /// Fully imported movies of the decade, all of which are ranked.
    async fn population(&self) -> usize {
        self.total().population
    }

    /// Listed movies in the top N.
    async fn hits(&self) -> usize {
        self.total().hits
    }

    /// `hits` / N, 0 to 1. Null if no movie is listed.
    async fn accuracy(&self) -> Option<f64> {
        self.total().accuracy
    }

    /// Wilson 95 % confidence interval of the accuracy. Null if no movie is listed.
    async fn interval(&self) -> Option<Interval> {
        self.total().interval
    }

    /// Expected hits of N movies chosen at random: N² / `population`. Null if `population` is 0.
    async fn expected_hits(&self) -> Option<f64> {
        self.total().expected_hits
    }

    /// `hits` / `expectedHits`. Null if no hits are expected.
    async fn lift(&self) -> Option<f64> {
        self.total().lift
    }

    /// Accuracy of a ranking by TMDb popularity alone. Null if no movie is listed.
    async fn baseline_accuracy(&self) -> Option<f64> {
        self.total().baseline_accuracy
    }

    /// Listed movies that no ranking can hit, because they are not fully imported.
    async fn unhittable(&self) -> usize {
        self.total().unhittable
    }

    /// Hits: listed movies in the top N, best first.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn hit_films(
        &self,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let movies: Vec<_> = self.report.hits.iter().copied().map(Listed::Ranked).collect();
        self.page("hits", &movies, first, after.as_deref())
    }

    /// Misses: listed movies outside the top N, best first. Movies that are not fully imported come last.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn missed_films(
        &self,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let missed = self.report.missed.iter().copied().map(Listed::Ranked);
        let movies: Vec<_> = missed.chain(self.report.unhittable.iter().copied().map(Listed::Unranked)).collect();
        self.page("missed", &movies, first, after.as_deref())
    }

    /// False positives: unlisted movies in the top N, best first.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn false_positives(
        &self,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let movies: Vec<_> = self.report.false_positives.iter().copied().map(Listed::Ranked).collect();
        self.page("false positives", &movies, first, after.as_deref())
    }
}

/// A movie in a validation's ranking.
pub(super) struct RankedMovie(Listed);

/// A movie in a validation's ranking.
#[Object]
impl RankedMovie {
    /// Rank among all fully imported movies of the decade, from 1. Null if the movie is not fully imported.
    async fn rank(&self) -> Option<usize> {
        match self.0 {
            Listed::Ranked(place) => Some(place.rank),
            Listed::Unranked(_) => None,
        }
    }

    /// Score on the requested basis, 0 to 100. Null if the movie is not fully imported.
    async fn score(&self) -> Option<f64> {
        match self.0 {
            Listed::Ranked(place) => Some(place.standing.score),
            Listed::Unranked(_) => None,
        }
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.0.id()).await
    }
}

/// Results of one or more decades, pooled.
#[derive(SimpleObject)]
pub(super) struct ValidationTotal {
    /// Movies on the list, fully imported or not.
    listed: usize,
    /// Fully imported movies, all of which are ranked.
    population: usize,
    /// Listed movies in the top N of their decade.
    hits: usize,
    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    accuracy: Option<f64>,
    /// Wilson 95 % confidence interval of the accuracy. Null if no movie is listed.
    interval: Option<Interval>,
    /// Expected hits of random choices, summed over the decades. Null if no decade has both listed and ranked movies.
    expected_hits: Option<f64>,
    /// `hits` / `expectedHits`. Null if no hits are expected.
    lift: Option<f64>,
    /// Accuracy of a ranking by TMDb popularity alone. Null if no movie is listed.
    baseline_accuracy: Option<f64>,
    /// Listed movies that no ranking can hit, because they are not fully imported.
    unhittable: usize,
}

impl From<Totals> for ValidationTotal {
    fn from(totals: Totals) -> Self {
        Self {
            listed: totals.accuracy.listed,
            population: totals.population,
            hits: totals.accuracy.hits,
            accuracy: totals.accuracy.share(),
            interval: totals.accuracy.interval().map(Into::into),
            expected_hits: totals.expected_hits,
            lift: totals.lift(),
            baseline_accuracy: totals.baseline_accuracy(),
            unhittable: totals.unhittable,
        }
    }
}

/// Bounds of a confidence interval, 0 to 1.
#[derive(SimpleObject)]
pub(super) struct Interval {
    /// Lower bound.
    low: f64,
    /// Upper bound.
    high: f64,
}

impl From<scoring::Interval> for Interval {
    fn from(interval: scoring::Interval) -> Self {
        Self { low: interval.low, high: interval.high }
    }
}

/// Accuracy in one era of film history.
#[derive(SimpleObject)]
pub(super) struct EraValidation {
    /// Name of the era.
    name: &'static str,
    /// First years of the era's decades.
    decades: Vec<i32>,
    /// Movies on the list, fully imported or not.
    listed: usize,
    /// Listed movies in the top N of their decade.
    hits: usize,
    /// `hits` / `listed`, 0 to 1. Null if no movie is listed.
    accuracy: Option<f64>,
}

impl EraValidation {
    fn of(era: &Era, report: &Report) -> Self {
        let within = report.decades.iter().filter(|decade| era.contains(decade.decade));
        let accuracy = Totals::pooled(within.map(DecadeReport::totals)).accuracy;
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
pub(super) struct ProfileComparison {
    pub(super) reports: Vec<ProfileReport>,
    pub(super) list: String,
    pub(super) basis: ScoreBasis,
}

/// Comparison of all active profiles by the accuracy of their rankings.
#[Object]
impl ProfileComparison {
    /// Active profiles, highest overall accuracy first, ties by name.
    async fn profiles(&self) -> Vec<ProfileValidation> {
        let validation = |one: &ProfileReport| {
            let selection = WeightSelection::of(&one.profile);
            let params = Arc::new(RankingParams { selection, custom: false, list: self.list.clone() });
            let tested = ValidationParams { params, basis: self.basis };
            ProfileValidation { profile: Profile(Arc::clone(&one.profile)), report: one.report.clone(), tested }
        };
        self.reports.iter().map(validation).collect()
    }

    /// The first of `profiles`. Null if there is none or no movie is listed, so that none is better than another.
    async fn best(&self) -> Option<Profile> {
        let best = self.reports.first().filter(|one| one.report.overall().accuracy.listed > 0)?;
        Some(Profile(Arc::clone(&best.profile)))
    }
}

/// Accuracy of the ranking under one profile.
pub(super) struct ProfileValidation {
    profile: Profile,
    report: Report,
    tested: ValidationParams,
}

/// Accuracy of the ranking under one profile.
#[Object]
impl ProfileValidation {
    /// The profile.
    async fn profile(&self) -> Profile {
        Profile(Arc::clone(&self.profile.0))
    }

    /// Pooled result of all decades from the 1920s to the 2010s that have listed movies.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// All decades before the 2020s that have movies, in ascending order.
    #[graphql(complexity = "DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.tested)
    }
}
