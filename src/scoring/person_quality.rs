//! How much a person's record speaks for a movie that they worked on.

/// What a person did, over their distinct films by any credit. Counts of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonRecord {
    /// Memberships in lists; a film on three lists counts three.
    pub canonical: u32,
    /// Films rated 7 or better by either audience.
    pub well_rated: u32,
    /// Films.
    pub films: u32,
    /// Wins of their own, and those of their films that name nobody.
    pub wins: u32,
    /// Nominations of their own, and those of their films that name nobody.
    pub nominations: u32,
    /// Wins of their own, which thereby count twice.
    pub direct_wins: u32,
    /// Nominations of their own, which thereby count twice.
    pub direct_nominations: u32,
}

impl PersonRecord {
    /// The weighted count that [`person_quality`] puts on a scale.
    #[must_use]
    pub fn raw(self) -> f64 {
        10.0 * f64::from(self.canonical)
            + 3.0 * f64::from(self.well_rated)
            + f64::from(self.films)
            + 15.0 * f64::from(self.wins + self.direct_wins)
            + 5.0 * f64::from(self.nominations + self.direct_nominations)
    }
}

/// Quality of a person, 0 to 100: logarithmic, full at a raw count of 1,000.
#[must_use]
pub fn person_quality(raw: f64) -> f64 {
    let quality = 100.0 * (raw.max(0.0) + 1.0).log10() / 1001_f64.log10();
    quality.min(100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_from_nothing_to_full_marks() {
        assert!(person_quality(0.0).abs() < f64::EPSILON);
        assert!((person_quality(1000.0) - 100.0).abs() < 1e-9);
        assert!((person_quality(1e9) - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_nomination_of_ones_own_counts_twice() {
        let own = PersonRecord { nominations: 1, direct_nominations: 1, ..PersonRecord::default() };
        let shared = PersonRecord { nominations: 1, ..PersonRecord::default() };
        assert!((own.raw() - 2.0 * shared.raw()).abs() < f64::EPSILON);
    }
}
