//! The decades over which validations are pooled: all that count in the overall accuracy, and eras of them.

use std::ops::RangeInclusive;

use super::Decade;

/// Whether a decade counts in the overall accuracy: 1920s to 2010s. Earlier decades have too few listed movies, and the
/// list of the current one is still growing.
#[must_use]
pub fn pooled_decade(decade: Decade) -> bool {
    (1920..=2010).contains(&decade.year())
}

/// A named period of movie history, over which the decades are pooled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Era {
    /// Display name.
    pub name: &'static str,
    /// From the first year of its first decade to the first year of its last.
    years: RangeInclusive<i32>,
}

impl Era {
    /// The four eras, earliest first. Together they cover the decades of [`pooled_decade`].
    #[must_use]
    pub fn all() -> [Self; 4] {
        [
            Self { name: "Early Cinema", years: 1920..=1940 },
            Self { name: "Golden Age", years: 1950..=1960 },
            Self { name: "New Hollywood", years: 1970..=1980 },
            Self { name: "Modern Era", years: 1990..=2010 },
        ]
    }

    /// First years of the era's decades.
    pub fn decades(&self) -> impl Iterator<Item = i32> {
        self.years.clone().step_by(10)
    }

    /// Whether the decade belongs to the era.
    #[must_use]
    pub fn contains(&self, decade: Decade) -> bool {
        self.years.contains(&decade.year())
    }
}
