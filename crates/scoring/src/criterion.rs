//! The five criteria of a score, in the order in which they are summed.

use std::fmt;

/// One of the five criteria of a score. Its value for a movie is from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Criterion {
    /// Audience ratings.
    PopularOpinion,
    /// Critics' ratings.
    CriticalAcclaim,
    /// Nominations and wins.
    IndustryRecognition,
    /// List memberships and popularity.
    CulturalImpact,
    /// Records of the credited people.
    PeopleQuality,
}

impl Criterion {
    /// Number of criteria.
    pub const COUNT: usize = 5;

    /// All criteria, in declaration order: `criterion as usize` is the index in arrays with one item per criterion.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PopularOpinion,
        Self::CriticalAcclaim,
        Self::IndustryRecognition,
        Self::CulturalImpact,
        Self::PeopleQuality,
    ];

    /// Lower-case name for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PopularOpinion => "popular opinion",
            Self::CriticalAcclaim => "critical acclaim",
            Self::IndustryRecognition => "industry recognition",
            Self::CulturalImpact => "cultural impact",
            Self::PeopleQuality => "people quality",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which criteria have data. The others cannot tell candidates apart, and their weight would only lower every score; [`Weights::among`](crate::Weights::among) leaves them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriteriaWithData([bool; Criterion::COUNT]);

impl CriteriaWithData {
    /// All criteria.
    pub const ALL: Self = Self([true; Criterion::COUNT]);

    /// From whether each criterion has data, in criterion order. If none has data, as before the first scores are
    /// computed, nothing is known, and all of them count.
    #[must_use]
    pub fn new(has_data: [bool; Criterion::COUNT]) -> Self {
        if has_data.contains(&true) { Self(has_data) } else { Self::ALL }
    }

    /// Whether `criterion` has data.
    #[must_use]
    pub fn contains(self, criterion: Criterion) -> bool {
        self.0[criterion as usize]
    }

    /// The criteria without data.
    pub fn missing(self) -> impl Iterator<Item = Criterion> {
        Criterion::ALL.into_iter().filter(move |criterion| !self.contains(*criterion))
    }
}
