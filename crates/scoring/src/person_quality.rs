//! Person quality: how well a person's record speaks for their movies.

/// Record of a person. A movie counts once, however many credits the person has in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonRecord {
    /// List memberships; a movie on three lists counts as three.
    pub canonical: u32,
    /// Movies rated 7 or higher on TMDb or IMDb.
    pub well_rated: u32,
    /// Movies with a credit of the person.
    pub movies: u32,
    /// Wins of the person, and wins of their movies for which no nominee is named.
    pub wins: u32,
    /// Nominations, including wins, of the person, and those of their movies for which no nominee is named.
    pub nominations: u32,
    /// Wins of the person. [`Self::wins`] includes them, so they count twice.
    pub direct_wins: u32,
    /// Nominations of the person, including wins. [`Self::nominations`] includes them, so they count twice.
    pub direct_nominations: u32,
}

impl PersonRecord {
    /// The weighted count from which [`person_quality`] computes the quality. The weights are those of the published
    /// formula, version 1.
    #[must_use]
    pub fn raw(self) -> f64 {
        10.0 * f64::from(self.canonical)
            + 3.0 * f64::from(self.well_rated)
            + f64::from(self.movies)
            + 15.0 * f64::from(self.wins + self.direct_wins)
            + 5.0 * f64::from(self.nominations + self.direct_nominations)
    }
}

/// Person quality, 0 to 100, of a [raw count](PersonRecord::raw): logarithmic, and 100 from a count of 1,000 up. The
/// SQL function `cinegraph.person_quality` is the same formula.
#[must_use]
pub fn person_quality(raw: f64) -> f64 {
    let quality = 100.0 * (raw.max(0.0) + 1.0).log10() / 1001_f64.log10();
    quality.min(100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_ranges_from_0_to_100() {
        assert!(person_quality(0.0).abs() < f64::EPSILON);
        assert!((person_quality(1000.0) - 100.0).abs() < 1e-9);
        assert!((person_quality(1e9) - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn direct_nomination_counts_twice() {
        let own = PersonRecord { nominations: 1, direct_nominations: 1, ..PersonRecord::default() };
        let shared = PersonRecord { nominations: 1, ..PersonRecord::default() };
        assert!((own.raw() - 2.0 * shared.raw()).abs() < f64::EPSILON);
    }
}
