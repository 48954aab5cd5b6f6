//! Parts of a prediction: status, source of the score, and contributions of the criteria.

use async_graphql::{Enum, SimpleObject};

use super::weights::CriterionName;
use crate::scoring;
use crate::store::ColumnsSource;

/// Whether a movie is on the target list.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum PredictionStatus {
    /// Not on the target list. It has a rank if it is fully imported and has a release date.
    Candidate,
    /// On the target list.
    Listed,
}

/// Where the values of the criteria come from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "ColumnsSource")]
pub(in crate::graphql) enum ScoreSource {
    /// Read from the score table: computed earlier and stored.
    ScoreTable,
    /// Computed on demand from the base tables, because the score table has no current score or could not be read.
    DirectQuery,
}

/// Why a movie has no rank.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum UnrankedReason {
    /// The movie has no release date, so it belongs to no decade.
    NoReleaseDate,
    /// The movie is not fully imported: its data is not complete enough to be ranked.
    NotFull,
    /// The movie is already on the target list.
    Listed,
    /// The movie is new, and the learned ranking has not scored it yet.
    NotScored,
}

/// Contribution of one criterion to a score.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ScoreContribution {
    /// The criterion.
    criterion: CriterionName,
    /// The movie's value for the criterion, 0 to 1.
    value: f64,
    /// Weight of the criterion, 0 to 1. The five weights sum to 1. 0 for the criteria of
    /// `criteriaWithoutData`, unless none of the weighted criteria has data.
    weight: f64,
    /// Points that the criterion adds to the score: 100 × value × weight.
    contribution: f64,
}

/// How a movie compares in one criterion.
#[derive(SimpleObject)]
pub(in crate::graphql) struct CriterionStanding {
    /// The criterion.
    criterion: CriterionName,
    /// Share of the fully imported movies of the decade that have a lower value, 0 to 1.
    lower_share: f64,
}

impl CriterionStanding {
    /// The standings in all criteria, from the shares in their order.
    pub(super) fn all(lower_shares: [f64; scoring::Criterion::COUNT]) -> Vec<Self> {
        let standing =
            |(criterion, lower_share): (scoring::Criterion, f64)| Self { criterion: criterion.into(), lower_share };
        scoring::Criterion::ALL.into_iter().zip(lower_shares).map(standing).collect()
    }
}

impl From<scoring::Contribution> for ScoreContribution {
    fn from(part: scoring::Contribution) -> Self {
        Self { criterion: part.criterion.into(), value: part.value, weight: part.weight, contribution: part.points }
    }
}
