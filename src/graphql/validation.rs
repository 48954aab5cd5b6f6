//! Validation: how well the ranking would have found the listed films of earlier decades.

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

/// Decades of a validation, roughly: what a query that asks for all of them costs.
const DECADES: usize = 14;

/// Which scores a validation ranks by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
#[graphql(remote = "Basis")]
pub(super) enum ScoreBasis {
    /// The target list's own labels are hidden from the score: honest, and the default.
    #[default]
    Blind,
    /// The published arithmetic, in which the list's labels leak into the score.
    AsPublished,
}

/// A validation's question: which ranking is tested against which list.
#[derive(Clone)]
pub(super) struct ValidationParams {
    pub(super) params: Arc<RankingParams>,
    pub(super) basis: ScoreBasis,
}

/// How well a ranking would have found the listed films of earlier decades.
pub(super) struct Validation {
    pub(super) report: Report,
    pub(super) tested: ValidationParams,
}

/// How well a ranking would have found the listed films of earlier decades.
#[Object]
impl Validation {
    /// Each decade before the 2020s that has a film, in order.
    #[graphql(complexity = "DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.tested)
    }

    /// All decades from the 1920s to the 2010s that have listed films, pooled.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// The same decades by era.
    async fn eras(&self) -> Vec<EraValidation> {
        Era::all().iter().map(|era| EraValidation::of(era, &self.report)).collect()
    }

    /// Which scores were ranked by.
    async fn basis(&self) -> ScoreBasis {
        self.tested.basis
    }

    /// When the snapshot of scores was taken that this reads.
    async fn snapshot_at(&self) -> DateTime<Utc> {
        self.report.snapshot_at
    }
}

fn decades(report: &Report, tested: &ValidationParams) -> Vec<DecadeValidation> {
    let decade = |report: &DecadeReport| DecadeValidation { report: report.clone(), tested: tested.clone() };
    report.decades.iter().map(decade).collect()
}

/// How well a ranking would have found the listed films of one decade.
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
        films: &[Listed],
        first: i32,
        after: Option<&str>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let decade = self.report.decade.to_string();
        let basis = format!("{:?}", Basis::from(self.tested.basis));
        let context = CursorScope::of(&[which, &self.tested.params.key(), &decade, &basis]);
        page_of(films, context, first, after, RankedMovie)
    }
}

/// How well a ranking would have found the listed films of one decade.
#[Object]
impl DecadeValidation {
    /// First year of the decade.
    async fn decade(&self) -> i32 {
        self.report.decade.year()
    }

    /// N: films of the decade on the list, full or not.
    async fn listed(&self) -> usize {
        self.total().listed
    }

    /// Full films of the decade: what was ranked.
    async fn population(&self) -> usize {
        self.total().population
    }

    /// Listed films among the top N.
    async fn hits(&self) -> usize {
        self.total().hits
    }

    /// Hits divided by N; null where nothing is listed.
    async fn accuracy(&self) -> Option<f64> {
        self.total().accuracy
    }

    /// Wilson's 95 % interval of the accuracy.
    async fn interval(&self) -> Option<Interval> {
        self.total().interval
    }

    /// Hits that a random choice of N films would have: N² / population.
    async fn expected_hits(&self) -> Option<f64> {
        self.total().expected_hits
    }

    /// Hits divided by expected hits.
    async fn lift(&self) -> Option<f64> {
        self.total().lift
    }

    /// Accuracy of ranking by TMDb popularity alone.
    async fn baseline_accuracy(&self) -> Option<f64> {
        self.total().baseline_accuracy
    }

    /// Listed films that are not full, so that no ranking can find them.
    async fn unhittable(&self) -> usize {
        self.total().unhittable
    }

    /// Listed films among the top N, best first.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn hit_films(
        &self,
        #[graphql(desc = "Films at most, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor of the last film of the page before")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let films: Vec<_> = self.report.hits.iter().copied().map(Listed::Ranked).collect();
        self.page("hits", &films, first, after.as_deref())
    }

    /// Listed films that the top N lacks: best first, those that are not full at the end.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn missed_films(
        &self,
        #[graphql(desc = "Films at most, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor of the last film of the page before")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let missed = self.report.missed.iter().copied().map(Listed::Ranked);
        let films: Vec<_> = missed.chain(self.report.unhittable.iter().copied().map(Listed::Unranked)).collect();
        self.page("missed", &films, first, after.as_deref())
    }

    /// Films among the top N that are not listed, best first.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn false_positives(
        &self,
        #[graphql(desc = "Films at most, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor of the last film of the page before")] after: Option<String>,
    ) -> Result<Connection<RankedMovie, CountFields>, ApiError> {
        let films: Vec<_> = self.report.false_positives.iter().copied().map(Listed::Ranked).collect();
        self.page("false positives", &films, first, after.as_deref())
    }
}

/// A film of a validation.
pub(super) struct RankedMovie(Listed);

/// A film of a validation.
#[Object]
impl RankedMovie {
    /// Its place among all full films of the decade; null where it is not full.
    async fn rank(&self) -> Option<usize> {
        match self.0 {
            Listed::Ranked(place) => Some(place.rank),
            Listed::Unranked(_) => None,
        }
    }

    /// Its score on the basis asked for, 0 to 100; null where it is not full.
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

/// Numbers of several decades, pooled.
#[derive(SimpleObject)]
pub(super) struct ValidationTotal {
    /// Films on the list, full or not.
    listed: usize,
    /// Full films ranked.
    population: usize,
    /// Listed films found.
    hits: usize,
    /// Hits divided by listed films; null where nothing is listed.
    accuracy: Option<f64>,
    /// Wilson's 95 % interval of the accuracy.
    interval: Option<Interval>,
    /// Hits that random choices would have: the sum over the decades.
    expected_hits: Option<f64>,
    /// Hits divided by expected hits.
    lift: Option<f64>,
    /// Accuracy of ranking by TMDb popularity alone.
    baseline_accuracy: Option<f64>,
    /// Listed films that are not full.
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

/// Two shares that the accuracy lies between.
#[derive(SimpleObject)]
pub(super) struct Interval {
    /// The lower one.
    low: f64,
    /// The upper one.
    high: f64,
}

impl From<scoring::Interval> for Interval {
    fn from(interval: scoring::Interval) -> Self {
        Self { low: interval.low, high: interval.high }
    }
}

/// Accuracy within one era of film history.
#[derive(SimpleObject)]
pub(super) struct EraValidation {
    /// What the era is called.
    name: &'static str,
    /// First years of its decades.
    decades: Vec<i32>,
    /// Films on the list, full or not.
    listed: usize,
    /// Listed films found.
    hits: usize,
    /// Hits divided by listed films; null where nothing is listed.
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

/// All active profiles, by how well they would have done.
pub(super) struct ProfileComparison {
    pub(super) reports: Vec<ProfileReport>,
    pub(super) list: String,
    pub(super) basis: ScoreBasis,
}

/// All active profiles, by how well they would have done.
#[Object]
impl ProfileComparison {
    /// Best overall accuracy first, ties by name.
    async fn profiles(&self) -> Vec<ProfileValidation> {
        let validation = |one: &ProfileReport| {
            let selection = WeightSelection::of(&one.profile);
            let params = Arc::new(RankingParams { selection, custom: false, list: self.list.clone() });
            let tested = ValidationParams { params, basis: self.basis };
            ProfileValidation { profile: Profile(Arc::clone(&one.profile)), report: one.report.clone(), tested }
        };
        self.reports.iter().map(validation).collect()
    }

    /// The first of them; null where nothing is listed, so that none is better than another.
    async fn best(&self) -> Option<Profile> {
        let best = self.reports.first().filter(|one| one.report.overall().accuracy.listed > 0)?;
        Some(Profile(Arc::clone(&best.profile)))
    }
}

/// How well one profile would have done.
pub(super) struct ProfileValidation {
    profile: Profile,
    report: Report,
    tested: ValidationParams,
}

/// How well one profile would have done.
#[Object]
impl ProfileValidation {
    /// The profile.
    async fn profile(&self) -> Profile {
        Profile(Arc::clone(&self.profile.0))
    }

    /// All decades from the 1920s to the 2010s that have listed films, pooled.
    async fn overall(&self) -> ValidationTotal {
        self.report.overall().into()
    }

    /// Each decade before the 2020s that has a film, in order.
    #[graphql(complexity = "DECADES * child_complexity")]
    async fn decades(&self) -> Vec<DecadeValidation> {
        decades(&self.report, &self.tested)
    }
}
