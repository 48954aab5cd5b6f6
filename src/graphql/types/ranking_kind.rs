//! What movies are ranked by: the formula, or a learned ranking.

use async_graphql::Enum;

use crate::services::learned;

/// What movies are ranked by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
#[graphql(name = "Ranking", remote = "learned::RankingKind")]
pub(in crate::graphql) enum RankingKind {
    /// By the score of the formula, under a profile or weights. The default.
    #[default]
    Formula,
    /// By a model that was learned from the target list, with other lists among its inputs. While the list has no such
    /// model, by the formula under the default profile; the field `ranking` of the result says which, and `model` why.
    Learned,
    /// As `LEARNED`, without other lists among the inputs. It predicts future additions better, because recent movies are on
    /// few lists yet.
    LearnedWithoutLists,
}
