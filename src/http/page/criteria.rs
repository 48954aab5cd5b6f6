//! The five criteria on the page: their names, and their shares of a score.

use super::numbers::one_decimal;
use super::queries::Part;

/// A criterion on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Criterion {
    /// Name of its parameter in URLs, and of its colour.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// Name of its enum value in the API.
    pub(super) api: &'static str,
}

/// The five criteria, in their order.
pub(super) const CRITERIA: [Criterion; 5] = [
    Criterion { key: "popular", name: "Popular opinion", meaning: "What audiences rated it", api: "POPULAR_OPINION" },
    Criterion {
        key: "critical",
        name: "Critical acclaim",
        meaning: "What reviewers rated it",
        api: "CRITICAL_ACCLAIM",
    },
    Criterion {
        key: "industry",
        name: "Industry recognition",
        meaning: "Nominations and awards",
        api: "INDUSTRY_RECOGNITION",
    },
    Criterion { key: "cultural", name: "Cultural impact", meaning: "Lists and popularity", api: "CULTURAL_IMPACT" },
    Criterion {
        key: "people",
        name: "People quality",
        meaning: "Track record of its cast and crew",
        api: "PEOPLE_QUALITY",
    },
];

/// The segment of one criterion in the bar of a score. The bar is 100 points long, so `start` and `width` are both
/// points and percentages.
pub(super) struct Segment {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) start: String,
    pub(super) width: String,
    pub(super) points: String,
}

/// The segments of a score's bar, one after the other. Criteria that the breakdown lacks have no width.
pub(super) fn segments(breakdown: &[Part]) -> Vec<Segment> {
    let mut start = 0.0;
    let segment = |(Criterion { key, name, .. }, points): (Criterion, f64)| {
        let segment = Segment {
            key,
            name,
            start: format!("{start:.2}"),
            width: format!("{points:.2}"),
            points: one_decimal(points),
        };
        start += points;
        segment
    };
    let points = breakdown.iter().map(|part| part.contribution).chain(std::iter::repeat(0.0));
    CRITERIA.into_iter().zip(points).map(segment).collect()
}
