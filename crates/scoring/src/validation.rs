//! Validation: how many listed movies of a decade the ranking would have found.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::accuracy::count;
use super::{Accuracy, Basis, Criterion, Decade, Membership, MovieId, Place, Ranking, SnapshotColumns, Weights};

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
    /// Hits of each baseline, in the order of [`Baseline::ALL`]: listed movies among its top N. `None` if no movie of the
    /// decade has what it ranks by.
    pub baseline_hits: [Option<usize>; Baseline::COUNT],
}

/// A simple ranking, with which the accuracy of a ranking is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// By `TMDb`'s popularity; in a decade without any, by the number of votes.
    Popularity,
    /// By the number of votes.
    Votes,
    /// By rating × number of votes. The rating is the criterion popular opinion.
    RatedVotes,
}

impl Baseline {
    /// Number of baselines.
    pub const COUNT: usize = 3;

    /// All baselines.
    pub const ALL: [Self; Self::COUNT] = [Self::Popularity, Self::Votes, Self::RatedVotes];

    /// What the baseline ranks by, for each row; `None` if it is 0 for all of them: the order of the movies would be
    /// that of their ids, and its hits would be chance.
    fn values(self, columns: &SnapshotColumns) -> Option<Vec<f64>> {
        let scores = columns.scores(Basis::AsPublished);
        let values: Vec<f64> = match self {
            Self::Popularity if columns.popularity().iter().any(|value| *value > 0.0) => columns.popularity().to_vec(),
            Self::Popularity | Self::Votes => columns.votes().to_vec(),
            Self::RatedVotes => {
                let rating = |row| scores.vector(row).0[Criterion::PopularOpinion as usize];
                columns.votes().iter().enumerate().map(|(row, votes)| rating(row) * votes).collect()
            }
        };
        values.iter().any(|value| *value > 0.0).then_some(values)
    }
}

impl DecadeReport {
    /// Ranks the movies of a decade and compares the top N with the list.
    #[must_use]
    pub fn of(decade: Decade, columns: &SnapshotColumns, list_key: &str, weights: Weights, basis: Basis) -> Self {
        let scores = columns.scores(basis);
        Self::comparing(decade, columns, list_key, &Ranking::of(scores, weights, Membership::Any))
    }

    /// Ranks the movies of a decade by values, one for each row of the columns, and compares the top N with the list.
    #[must_use]
    pub fn by_values(decade: Decade, columns: &SnapshotColumns, list_key: &str, values: &[f64]) -> Self {
        Self::comparing(decade, columns, list_key, &Ranking::by(columns.scores(Basis::Blind), values))
    }

    fn comparing(decade: Decade, columns: &SnapshotColumns, list_key: &str, ranking: &Ranking) -> Self {
        // The bases differ only in scores.
        let scores = columns.scores(Basis::Blind);
        let on_list = scores.on_list(list_key);
        let listed: Vec<usize> = (0..scores.len()).filter(|row| on_list(*row)).collect();
        let n = listed.len() + columns.unhittable.len();

        let (hits, false_positives): (Vec<_>, Vec<_>) =
            ranking.top(n).into_iter().partition(|place| on_list(place.row));
        let found: HashSet<usize> = hits.iter().map(|place| place.row).collect();
        let missed = ranking.places_of(listed.into_iter().filter(|row| !found.contains(row)));
        let baseline_hits = Baseline::ALL.map(|baseline| {
            let values = baseline.values(columns)?;
            Some(Ranking::by(scores, &values).top(n).iter().filter(|place| on_list(place.row)).count())
        });
        Self {
            decade,
            population: scores.len(),
            hits,
            missed,
            false_positives,
            unhittable: columns.unhittable.clone(),
            baseline_hits,
        }
    }

    /// The ranked movies that are on the list: hits and missed ones.
    pub(crate) fn listed_places(&self) -> impl Iterator<Item = &Place> {
        self.hits.iter().chain(&self.missed)
    }

    /// Whether any movie of the decade is on the list, fully imported or not.
    #[must_use]
    pub fn has_listed(&self) -> bool {
        !(self.hits.is_empty() && self.missed.is_empty() && self.unhittable.is_empty())
    }

    /// Totals of this decade.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let listed = self.hits.len() + self.missed.len() + self.unhittable.len();
        Totals {
            accuracy: Accuracy { hits: self.hits.len(), listed },
            population: self.population,
            expected_hits: (self.population > 0).then(|| count(listed) * count(listed) / count(self.population)),
            baselines: self
                .baseline_hits
                .map(|hits| Accuracy { hits: hits.unwrap_or(0), listed: hits.map_or(0, |_| listed) }),
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
    /// Accuracy of each baseline, in the order of [`Baseline::ALL`], over the decades that have what it ranks by.
    pub baselines: [Accuracy; Baseline::COUNT],
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
            baselines: std::array::from_fn(|at| Accuracy {
                hits: sum.baselines[at].hits + decade.baselines[at].hits,
                listed: sum.baselines[at].listed + decade.baselines[at].listed,
            }),
            unhittable: sum.unhittable + decade.unhittable,
        })
    }

    /// Hits divided by expected hits; `None` if no hits are expected.
    #[must_use]
    pub fn lift(&self) -> Option<f64> {
        self.expected_hits.filter(|expected| *expected > 0.0).map(|expected| count(self.accuracy.hits) / expected)
    }

    /// Accuracy of a baseline; `None` if no listed movie is in a decade that has what it ranks by.
    #[must_use]
    pub fn baseline(&self, baseline: Baseline) -> Option<f64> {
        self.baselines[baseline as usize].share()
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
            votes: 0.0,
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
        assert_eq!(report.baseline_hits, [Some(1), None, None]);
    }

    #[test]
    fn baselines_rank_by_what_the_data_has() {
        let with = |popularity: f64, votes: f64, rows: Vec<SnapshotRow<'static>>| {
            let scaled = |row: SnapshotRow<'static>| SnapshotRow {
                votes: votes * row.popularity,
                popularity: popularity * row.popularity,
                ..row
            };
            rows.into_iter().map(scaled).collect()
        };
        // Popularity and votes rise with the id, ratings fall with it.
        let movies = || vec![movie(1, 0.9, true), movie(2, 0.1, false), movie(3, 0.05, true), movie(4, 0.01, false)];
        let hits = |popularity, votes| report(with(popularity, votes, movies()), &[]).baseline_hits;
        assert_eq!(hits(1.0, 1.0), [Some(1), Some(1), Some(1)]);
        assert_eq!(hits(0.0, 1.0), [Some(1), Some(1), Some(1)], "votes take the place of popularity");
        assert_eq!(hits(1.0, 0.0), [Some(1), None, None]);
        assert_eq!(hits(0.0, 0.0), [None; 3], "not the order of the ids");
        // Decades without the values do not count in the totals.
        let [with, without] = [1.0, 0.0].map(|votes| report(with(0.0, votes, movies()), &[]).totals());
        assert_eq!(Totals::pooled([with, without]).baseline(Baseline::Votes), Some(0.5));
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
        assert_eq!((none.accuracy.share(), none.baseline(Baseline::Popularity), none.lift()), (None, None, None));
        assert_eq!(report(vec![], &[]).totals().expected_hits, None);
    }
}
