//! What movies are ranked by.

use crate::scoring::learned::Variant;

/// What movies are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RankingKind {
    /// Scores of the formula under some weights.
    #[default]
    Formula,
    /// A ranking learned from the list and from other lists.
    Learned,
    /// A ranking learned from the list without other lists. It predicts future additions better, because recent movies are
    /// on few lists yet.
    LearnedWithoutLists,
}

impl RankingKind {
    /// The variant of a learned ranking; `None` for the formula.
    #[must_use]
    pub fn variant(self) -> Option<Variant> {
        match self {
            Self::Formula => None,
            Self::Learned => Some(Variant::WithLists),
            Self::LearnedWithoutLists => Some(Variant::WithoutLists),
        }
    }

    /// The kind of a learned ranking.
    #[must_use]
    pub fn of(variant: Variant) -> Self {
        match variant {
            Variant::WithLists => Self::Learned,
            Variant::WithoutLists => Self::LearnedWithoutLists,
        }
    }
}
