//! The five criteria on the page: their names, and their shares of a score.

use super::numbers::one_decimal;
use super::queries::Part;

/// Key, name and meaning of the five criteria, in their order.
pub(super) const CRITERIA: [(&str, &str, &str); 5] = [
    ("popular", "Popular opinion", "What audiences rated it"),
    ("critical", "Critical acclaim", "What reviewers rated it"),
    ("industry", "Industry recognition", "Nominations and awards"),
    ("cultural", "Cultural impact", "Lists and popularity"),
    ("people", "People quality", "Track record of its cast and crew"),
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
    let segment = |((key, name, _), points): ((_, _, _), f64)| {
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
