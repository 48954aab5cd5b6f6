//! Validation: how many listed movies of a decade the ranking would have found.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::accuracy::count;
use super::{Accuracy, Basis, Decade, Membership, MovieId, Place, Ranking, SnapshotColumns, Weights};

/// Result of comparing one decade's ranking with a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecadeReport {
    /// The decade.
    pub decade: Decade,
    /// Number of ranked movies: all fully imported movies of the decade.
    pub population: usize,
    /// Listed movies among the top N, best first. N is the number of listed movies, including unhittable ones.
    pub hits: Vec<Place>,
    /// Fully imported listed movies below the top N, best first.
    pub missed: Vec<Place>,
    /// Unlisted movies among the top N, best first.
    pub false_positives: Vec<Place>,
    /// Listed movies that are not fully imported, so that no ranking contains them.
    pub unhittable: Vec<MovieId>,
    /// Hits of the popularity baseline: listed movies among the N most popular.
    pub baseline_hits: usize,
}

impl DecadeReport {
    /// Ranks the movies of a decade and compares the top N with the list.
    #[must_use]
    pub fn of(decade: Decade, columns: &SnapshotColumns, list_key: &str, weights: Weights, basis: Basis) -> Self {
        let scores = columns.scores(basis);
        let on_list = scores.on_list(list_key);
        let listed: Vec<usize> = (0..scores.len()).filter(|row| on_list(*row)).collect();
        let n = listed.len() + columns.unhittable.len();

        let ranking = Ranking::of(scores, weights, Membership::Any);
        let (hits, false_positives): (Vec<_>, Vec<_>) =
            ranking.top(n).into_iter().partition(|place| on_list(place.row));
        let found: HashSet<usize> = hits.iter().map(|place| place.row).collect();
        let missed = ranking.places_of(listed.into_iter().filter(|row| !found.contains(row)));
        let most_popular = Ranking::by(scores, columns.popularity()).top(n);
        Self {
            decade,
            population: scores.len(),
            hits,
            missed,
            false_positives,
            unhittable: columns.unhittable.clone(),
            baseline_hits: most_popular.iter().filter(|place| on_list(place.row)).count(),
        }
    }

    /// Totals of this decade.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let listed = self.hits.len() + self.missed.len() + self.unhittable.len();
        Totals {
            accuracy: Accuracy { hits: self.hits.len(), listed },
            population: self.population,
            expected_hits: (self.population > 0).then(|| count(listed) * count(listed) / count(self.population)),
            baseline_hits: self.baseline_hits,
            unhittable: self.unhittable.len(),
        }
    }
}

/// Totals of one decade or of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Hits and listed movies.
    pub accuracy: Accuracy,
    /// Number of ranked movies.
    pub population: usize,
    /// Mean number of hits of a random selection of N movies: listed² / population; `None` if no movie is ranked.
    pub expected_hits: Option<f64>,
    /// Hits of the popularity baseline.
    pub baseline_hits: usize,
    /// Number of listed movies that are not fully imported.
    pub unhittable: usize,
}

impl Totals {
    /// Sums the decades that have listed movies. The others have no accuracy, and would only enlarge the population.
    pub fn pooled(decades: impl IntoIterator<Item = Self>) -> Self {
        let members = decades.into_iter().filter(|decade| decade.accuracy.listed > 0);
        members.fold(Self::default(), |sum, decade| Self {
            accuracy: Accuracy {
                hits: sum.accuracy.hits + decade.accuracy.hits,
                listed: sum.accuracy.listed + decade.accuracy.listed,
            },
            population: sum.population + decade.population,
            // `None` is the start of the sum, or a decade without ranked movies.
            expected_hits: match (sum.expected_hits, decade.expected_hits) {
                (Some(a), Some(b)) => Some(a + b),
                (one, other) => one.or(other),
            },
            baseline_hits: sum.baseline_hits + decade.baseline_hits,
            unhittable: sum.unhittable + decade.unhittable,
        })
    }

    /// Hits divided by expected hits; `None` if no hits are expected.
    #[must_use]
    pub fn lift(&self) -> Option<f64> {
        self.expected_hits.filter(|expected| *expected > 0.0).map(|expected| count(self.accuracy.hits) / expected)
    }

    /// Accuracy of the popularity baseline.
    #[must_use]
    pub fn baseline_accuracy(&self) -> Option<f64> {
        Accuracy { hits: self.baseline_hits, listed: self.accuracy.listed }.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScoreVector, SnapshotColumnsBuilder, SnapshotRow};

    const LIST: &str = "a list";

    fn movie(id: i64, popular: f64, listed: bool) -> SnapshotRow<'static> {
        SnapshotRow {
            id: MovieId(id),
            published: ScoreVector([popular, 0.0, 0.0, 0.0, 0.0]),
            blind_cultural_impact: 0.0,
            blind_people_quality: 0.0,
            popularity: 1.0 - popular,
            list_keys: if listed { vec![LIST] } else { vec![] },
        }
    }

    fn report(movies: Vec<SnapshotRow<'_>>, unhittable: &[i64]) -> DecadeReport {
        let mut columns = SnapshotColumnsBuilder::default();
        for movie in movies {
            columns.push(movie);
        }
        let columns = columns.finish(unhittable.iter().copied().map(MovieId).collect());
        let weights = Weights::normalised([1.0; 5]).unwrap();
        DecadeReport::of(Decade::starting(1990).unwrap(), &columns, LIST, weights, Basis::Blind)
    }

    fn ids(places: &[Place]) -> Vec<(i64, usize)> {
        places.iter().map(|place| (place.standing.id.0, place.rank)).collect()
    }

    #[test]
    fn the_top_n_are_hits_or_false_positives_and_the_rest_of_the_list_is_missed() {
        let movies = vec![movie(1, 0.9, true), movie(2, 0.8, false), movie(3, 0.1, true), movie(4, 0.5, false)];
        let report = report(movies, &[]);
        assert_eq!(ids(&report.hits), [(1, 1)]);
        assert_eq!(ids(&report.false_positives), [(2, 2)]);
        assert_eq!(ids(&report.missed), [(3, 4)]);
        let totals = report.totals();
        assert_eq!(totals.accuracy.share(), Some(0.5));
        assert_eq!(totals.expected_hits, Some(1.0));
        assert_eq!(totals.lift(), Some(1.0));
        // Popularity ranks in reverse order: 3 leads, then 4.
        assert_eq!(report.baseline_hits, 1);
    }

    #[test]
    fn tie_at_the_cutoff_goes_to_the_lower_id() {
        let report = report(vec![movie(1, 0.5, false), movie(2, 0.5, true), movie(3, 0.5, true)], &[]);
        assert_eq!(ids(&report.hits), [(2, 2)]);
        assert_eq!(ids(&report.missed), [(3, 3)]);
    }

    #[test]
    fn listed_movie_that_is_not_full_counts_but_cannot_be_hit() {
        let totals = report(vec![movie(1, 0.9, true), movie(2, 0.8, false)], &[7]).totals();
        assert_eq!(totals.accuracy, Accuracy { hits: 1, listed: 2 });
        assert_eq!(totals.unhittable, 1);
    }

    #[test]
    fn small_populations_and_empty_lists_are_handled() {
        let few = report(vec![movie(1, 0.9, true)], &[7, 8]);
        assert_eq!(few.totals().accuracy, Accuracy { hits: 1, listed: 3 });
        let none = report(vec![movie(1, 0.9, false)], &[]).totals();
        assert_eq!((none.accuracy.share(), none.baseline_accuracy(), none.lift()), (None, None, None));
        assert_eq!(report(vec![], &[]).totals().expected_hits, None);
    }
}
