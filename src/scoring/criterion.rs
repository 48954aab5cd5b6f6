//! The five criteria of a score, in the order in which they are always added.

use std::fmt;

/// One side of a movie that a score weighs; each is 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Criterion {
    /// What audiences rated it.
    PopularOpinion,
    /// What reviewers rated it.
    CriticalAcclaim,
    /// Nominations and wins.
    IndustryRecognition,
    /// Lists that name it, and its popularity.
    CulturalImpact,
    /// The records of the people who made it.
    PeopleQuality,
}

impl Criterion {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PopularOpinion,
        Self::CriticalAcclaim,
        Self::IndustryRecognition,
        Self::CulturalImpact,
        Self::PeopleQuality,
    ];

    /// Its name in words.
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
