//! Hit rates of rank bands: how many movies of such a rank were on the list in other decades.

use super::{Accuracy, DecadeReport, Standing};

/// First ranks of the bands. Each is about twice as wide as the one before, because chances fall quickly among the first
/// ranks and slowly later.
const FIRST_RANKS: [usize; 8] = [1, 11, 26, 51, 101, 201, 501, 1001];

/// Consecutive ranks in the validations of some decades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankBand {
    /// First rank, 1 for the best movie of a decade.
    pub first: usize,
    /// Last rank; `None` for the band of all further ranks.
    pub last: Option<usize>,
    /// Number of ranked movies with these ranks, in all decades together.
    pub movies: usize,
    /// How many of them are on the list.
    pub listed: usize,
}

impl RankBand {
    /// The bands of the decades that were validated, in ascending order of ranks. They cover all ranks.
    #[must_use]
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a DecadeReport>) -> Vec<Self> {
        let lasts = FIRST_RANKS.iter().skip(1).map(|first| Some(first - 1)).chain([None]);
        let mut bands: Vec<_> =
            FIRST_RANKS.iter().zip(lasts).map(|(&first, last)| Self { first, last, movies: 0, listed: 0 }).collect();
        for report in reports {
            for band in &mut bands {
                let end = band.last.map_or(report.population, |last| last.min(report.population));
                band.movies += (end + 1).saturating_sub(band.first);
                band.listed += report.listed_places().filter(|place| band.contains(place.rank)).count();
            }
        }
        bands
    }

    /// Whether a rank is in the band.
    #[must_use]
    pub fn contains(&self, rank: usize) -> bool {
        self.first <= rank && self.last.is_none_or(|last| rank <= last)
    }

    /// The listed movies among all of the band, as a share with its interval.
    #[must_use]
    pub fn hit_rate(&self) -> Accuracy {
        Accuracy { hits: self.listed, listed: self.movies }
    }
}

impl DecadeReport {
    /// The rank of a candidate among all ranked movies of its decade. `rank` is its rank among the candidates: the listed
    /// movies that precede it are added.
    #[must_use]
    pub fn rank_among_all(&self, candidate: &Standing, rank: usize) -> usize {
        rank + self.listed_places().filter(|place| place.standing.is_before(candidate)).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Basis, Decade, Membership, MovieId, Ranking, ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow,
        Weights,
    };

    const LIST: &str = "a list";

    /// Movies of these scores, each with whether it is on the list. The ids are the places.
    fn columns(movies: &[(f64, bool)]) -> SnapshotColumns {
        let mut columns = SnapshotColumnsBuilder::default();
        for (id, &(popular, listed)) in (0..).zip(movies) {
            columns.push(SnapshotRow {
                id: MovieId(id),
                published: ScoreVector([popular, 0.0, 0.0, 0.0, 0.0]),
                blind_cultural_impact: 0.0,
                blind_people_quality: 0.0,
                popularity: 0.0,
                votes: 0.0,
                list_keys: if listed { vec![LIST] } else { vec![] },
            });
        }
        columns.finish(vec![])
    }

    fn weights() -> Weights {
        Weights::normalised([1.0; 5]).unwrap()
    }

    fn report(movies: &[(f64, bool)]) -> DecadeReport {
        DecadeReport::of(Decade::starting(1990).unwrap(), &columns(movies), LIST, weights(), Basis::Blind)
    }

    #[test]
    fn a_band_counts_the_movies_of_its_ranks_in_every_decade() {
        // The best three of 12 movies are listed, and the last of 30.
        let few: Vec<_> = (0..12).map(|rank| (1.0 - f64::from(rank) / 100.0, rank < 3)).collect();
        let many: Vec<_> = (0..30).map(|rank| (1.0 - f64::from(rank) / 100.0, rank == 29)).collect();
        let bands = RankBand::of([&report(&few), &report(&many)]);
        let counts: Vec<_> = bands.iter().map(|band| (band.first, band.last, band.listed, band.movies)).collect();
        let expected = [(1, Some(10), 3, 20), (11, Some(25), 0, 2 + 15), (26, Some(50), 1, 5), (51, Some(100), 0, 0)];
        assert_eq!(counts[..4], expected);
        assert_eq!(bands[0].hit_rate().share(), Some(0.15));
        assert_eq!(bands[7].hit_rate().share(), None);
    }

    proptest! {
        #[test]
        fn bands_count_each_movie_once(decades in prop::collection::vec(prop::collection::vec((0.0..1.0, any::<bool>()), 0..1200), 0..3)) {
            let bands = RankBand::of(&decades.iter().map(|movies| report(movies)).collect::<Vec<_>>());
            let movies = || decades.iter().flatten();
            prop_assert_eq!(bands.iter().map(|band| band.movies).sum::<usize>(), movies().count());
            prop_assert_eq!(bands.iter().map(|band| band.listed).sum::<usize>(), movies().filter(|movie| movie.1).count());
            for rank in [1, 10, 11, 1000, 1001, 100_000] {
                prop_assert_eq!(bands.iter().filter(|band| band.contains(rank)).count(), 1);
            }
        }

        #[test]
        fn candidates_have_their_rank_among_all(movies in prop::collection::vec((0..20, any::<bool>()), 0..60)) {
            let movies: Vec<_> = movies.into_iter().map(|(score, listed)| (f64::from(score) / 20.0, listed)).collect();
            let (columns, report) = (columns(&movies), report(&movies));
            let scores = columns.scores(Basis::Blind);
            let all = Ranking::of(scores, weights(), Membership::Any).top(movies.len());
            for candidate in Ranking::of(scores, weights(), Membership::NotOn(LIST)).top(movies.len()) {
                let place = all.iter().find(|place| place.row == candidate.row);
                prop_assert_eq!(
                    Some(report.rank_among_all(&candidate.standing, candidate.rank)),
                    place.map(|place| place.rank)
                );
            }
        }
    }
}
