//! What the caller supplies about the movies of a decade and about people's other works.

use super::awards::{Award, CategoryGroup};
use crate::{Decade, MovieId};

/// Most other lists that have a feature of their own. The largest ones are used.
pub const OTHER_LISTS: usize = 8;

/// Two lists with a larger share of common movies (common ÷ in either) are taken for editions of one list.
const SAME_LIST: f64 = 0.6;

/// Names of TMDb's genres. A movie's genres are bits in this order.
pub const GENRES: [&str; 19] = [
    "Drama",
    "Comedy",
    "Thriller",
    "Romance",
    "Action",
    "Crime",
    "Adventure",
    "Horror",
    "Science Fiction",
    "Fantasy",
    "Mystery",
    "Family",
    "History",
    "Animation",
    "War",
    "Music",
    "Documentary",
    "Western",
    "TV Movie",
];

/// Bits of the genres with these names. Unknown names are ignored.
pub fn genre_bits<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    names
        .into_iter()
        .filter_map(|name| GENRES.iter().position(|genre| *genre == name))
        .fold(0, |bits, at| bits | 1 << at)
}

/// A rating and the number of votes behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rating {
    /// Average, 0 to 10. A rating of 0 counts as missing.
    pub average: Option<f32>,
    /// Number of votes.
    pub votes: Option<f32>,
}

/// One movie's membership of another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnList {
    /// Place of the list in [`DecadeInputs::lists`].
    pub list: u8,
    /// The movie's position on it, from 1, if the list is ordered by merit. It must be `None` if the positions are years
    /// or numbers in a series, as those of 1001 Movies and Criterion are: the model takes a low position for merit.
    pub position: Option<u32>,
}

/// Days since values were fetched, by source. Only the leak check reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ages {
    /// IMDb.
    pub imdb: Option<f32>,
    /// TMDb.
    pub tmdb: Option<f32>,
    /// Metacritic.
    pub metacritic: Option<f32>,
    /// Rotten Tomatoes.
    pub rotten_tomatoes: Option<f32>,
}

/// One fully imported movie.
#[derive(Debug, Clone, PartialEq)]
pub struct MovieInputs {
    /// Database id.
    pub id: MovieId,
    /// Year of release.
    pub year: i32,
    /// IMDb's rating.
    pub imdb: Rating,
    /// TMDb's rating.
    pub tmdb: Rating,
    /// TMDb's popularity.
    pub popularity: Option<f32>,
    /// Metascore, 0 to 100.
    pub metascore: Option<f32>,
    /// Tomatometer, 0 to 100.
    pub tomatometer: Option<f32>,
    /// Budget in US dollars; 0 counts as missing.
    pub budget: Option<f32>,
    /// Worldwide revenue in US dollars; 0 counts as missing.
    pub revenue: Option<f32>,
    /// Two letters of ISO 639-1, in lower case.
    pub language: Option<[u8; 2]>,
    /// Bits of [`GENRES`]; 0 if unknown.
    pub genres: u32,
    /// Nominations, one entry per organization and group.
    pub awards: Vec<Award>,
    /// Other lists that the movie is on.
    pub lists: Vec<OnList>,
    /// The directors' other works; `None` without a known director.
    pub directors: Option<OtherWorks>,
    /// Other works of the five first billed actors; `None` without a known cast.
    pub cast: Option<OtherWorks>,
    /// Ages of the values.
    pub ages: Ages,
}

impl MovieInputs {
    /// A movie of which nothing else is known.
    #[must_use]
    pub fn unknown(id: MovieId, year: i32) -> Self {
        let (imdb, tmdb) = (Rating::default(), Rating::default());
        Self {
            id,
            year,
            imdb,
            tmdb,
            popularity: None,
            metascore: None,
            tomatometer: None,
            budget: None,
            revenue: None,
            language: None,
            genres: 0,
            awards: vec![],
            lists: vec![],
            directors: None,
            cast: None,
            ages: Ages::default(),
        }
    }

    /// The movie as a work of its people.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            quality: work_quality(self.imdb, self.tmdb),
            prestige: self.awards.iter().map(|award| award.prestige()).sum(),
            top_nominations: self
                .awards
                .iter()
                .filter(|award| award.group == CategoryGroup::Top)
                .map(|award| u32::from(award.nominations))
                .sum(),
            lists: u32::try_from(self.lists.len()).unwrap_or(u32::MAX),
        }
    }
}

/// All fully imported movies of one decade. Ranks compare movies within it, so that none may be left out.
#[derive(Debug, Clone, PartialEq)]
pub struct DecadeInputs {
    /// The decade.
    pub decade: Decade,
    /// Keys of the other lists, chosen by [`other_lists`]; the same for all decades. Empty for a ranking without lists.
    pub lists: Vec<String>,
    /// The movies, in any order.
    pub movies: Vec<MovieInputs>,
}

/// Votes at which a movie's own rating weighs as much as the mean that it is shrunk to.
pub(super) const IMDB_PRIOR_VOTES: f32 = 1000.0;
/// The same for TMDb, which has far fewer votes.
pub(super) const TMDB_PRIOR_VOTES: f32 = 100.0;
/// The mean to which ratings of works are shrunk.
const WORK_PRIOR_RATING: f64 = 6.0;

/// Quality of a movie as a work of its people, in thousandths of a rating point: the IMDb rating, or else TMDb's, shrunk
/// towards 6 by the weight of 1,000 votes (TMDb: 100). It needs no other movie, so that SQL can aggregate it:
/// `round(1000 * (votes * least(average, 10) + 6 * prior) / (votes + prior))` in double precision. `None` if neither
/// rating has votes.
#[must_use]
pub fn work_quality(imdb: Rating, tmdb: Rating) -> Option<u32> {
    let quality = |rating: Rating, prior: f32| {
        let average = f64::from(rating.average.filter(|average| *average > 0.0 && average.is_finite())?.min(10.0));
        let (votes, prior) = (f64::from(rating.votes.filter(|votes| *votes > 0.0)?), f64::from(prior));
        Some(shrunk(average, votes, WORK_PRIOR_RATING, prior))
    };
    let quality = quality(imdb, IMDB_PRIOR_VOTES).or_else(|| quality(tmdb, TMDB_PRIOR_VOTES))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rating of 0 to 10, in thousandths")]
    quality.is_finite().then(|| (1000.0 * quality).round() as u32)
}

/// An average shrunk to a mean: with `prior` votes, half way.
pub(super) fn shrunk(average: f64, votes: f64, mean: f64, prior: f64) -> f64 {
    (votes * average + prior * mean) / (votes + prior)
}

/// A movie as a work of its people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// [`work_quality`].
    pub quality: Option<u32>,
    /// Sum of [`Award::prestige`].
    pub prestige: u32,
    /// Nominations for a main prize.
    pub top_nominations: u32,
    /// Lists that the movie is on, without the target list and its editions.
    pub lists: u32,
}

/// Totals over all works of a person in the whole catalogue: whole numbers, so that neither the order of the
/// works nor taking one out again changes a bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonWorks {
    /// Number of works.
    pub works: u32,
    /// Number of works that have a quality.
    pub rated: u32,
    /// Sum of the qualities.
    pub quality_sum: u64,
    /// Highest quality, 0 if none is known.
    pub best: u32,
    /// Second highest quality (equal to the highest if two works share it), 0 if fewer than two are known.
    pub second_best: u32,
    /// Sum of the prestige.
    pub prestige: u32,
    /// Sum of the nominations for main prizes.
    pub top_nominations: u32,
    /// Sum of the list memberships.
    pub lists: u32,
}

impl PersonWorks {
    /// Adds a work. Each movie is added once, however many credits the person has in it.
    pub fn add(&mut self, work: Work) {
        // The sums saturate: a database may credit "various" people with a million movies.
        let sum = |total: &mut u32, one: u32| *total = total.saturating_add(one);
        sum(&mut self.works, 1);
        if let Some(quality) = work.quality {
            sum(&mut self.rated, 1);
            self.quality_sum = self.quality_sum.saturating_add(u64::from(quality));
            self.second_best = self.second_best.max(quality.min(self.best));
            self.best = self.best.max(quality);
        }
        sum(&mut self.prestige, work.prestige);
        sum(&mut self.top_nominations, work.top_nominations);
        sum(&mut self.lists, work.lists);
    }

    /// All works of the person, for a movie that is not among them.
    #[must_use]
    pub fn all(&self) -> OtherWorks {
        let Self { works, rated, quality_sum, best, prestige, top_nominations, lists, .. } = *self;
        OtherWorks { works, rated, quality_sum, best, prestige, top_nominations, lists }
    }

    /// The person's other works: all but `work`, which must have been added before.
    #[must_use]
    pub fn without(&self, work: Work) -> OtherWorks {
        let quality = work.quality.unwrap_or(0);
        OtherWorks {
            works: self.works.saturating_sub(1),
            rated: self.rated.saturating_sub(u32::from(work.quality.is_some())),
            quality_sum: self.quality_sum.saturating_sub(u64::from(quality)),
            // SQL may round a half in the other direction, so that a work may seem better than its person's best.
            best: if work.quality.is_some_and(|own| own >= self.best) { self.second_best } else { self.best },
            prestige: self.prestige.saturating_sub(work.prestige),
            top_nominations: self.top_nominations.saturating_sub(work.top_nominations),
            lists: self.lists.saturating_sub(work.lists),
        }
    }
}

/// What is known of the other works of one person, or of several: the fields are those of [`PersonWorks`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherWorks {
    /// Number of works.
    pub works: u32,
    /// Number of works that have a quality.
    pub rated: u32,
    /// Sum of the qualities.
    pub quality_sum: u64,
    /// Highest quality, 0 if none is known.
    pub best: u32,
    /// Sum of the prestige.
    pub prestige: u32,
    /// Sum of the nominations for main prizes.
    pub top_nominations: u32,
    /// Sum of the list memberships.
    pub lists: u32,
}

impl OtherWorks {
    /// The other works of two people together. A work of both counts twice.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            works: self.works.saturating_add(other.works),
            rated: self.rated.saturating_add(other.rated),
            quality_sum: self.quality_sum.saturating_add(other.quality_sum),
            best: self.best.max(other.best),
            prestige: self.prestige.saturating_add(other.prestige),
            top_nominations: self.top_nominations.saturating_add(other.top_nominations),
            lists: self.lists.saturating_add(other.lists),
        }
    }
}

/// Fewest positions that show an order. A choice.
const MIN_POSITIONS: usize = 20;

/// Rank correlation of position and quality up to which a list counts as ordered by merit. A choice: four rankings by
/// critics and audiences have -0.34 to -0.40, the numbers of a publisher's series -0.25, a list ordered by year 0.
const MERIT_CORRELATION: f64 = -0.3;

/// Whether a list is ordered by merit: whether its first positions have better rated movies than its last ones. Positions
/// may also be years or numbers in a series, which say nothing. `entries` are positions and [`work_quality`].
#[must_use]
pub fn is_ordered_by_merit(entries: &[(u32, u32)]) -> bool {
    if entries.len() < MIN_POSITIONS {
        return false;
    }
    let positions = mid_ranks(entries, |(position, _)| position);
    let qualities = mid_ranks(entries, |(_, quality)| quality);
    let mean = (crate::accuracy::count(entries.len()) - 1.0) / 2.0;
    let covariance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let scale = (covariance(&positions, &positions) * covariance(&qualities, &qualities)).sqrt();
    scale > 0.0 && covariance(&positions, &qualities) / scale <= MERIT_CORRELATION
}

/// Rank of each entry by a number, from 0. Equal ones share the mean of their ranks.
fn mid_ranks(entries: &[(u32, u32)], by: impl Fn((u32, u32)) -> u32) -> Vec<f64> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| by(entries[*at]));
    let mut ranks = vec![0.0; entries.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| by(entries[*a]) == by(entries[*b])) {
        let rank = crate::accuracy::count(2 * before + equal.len() - 1) / 2.0;
        for at in equal {
            ranks[*at] = rank;
        }
        before += equal.len();
    }
    ranks
}

/// Size of a list, and of its overlap with the target list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSize {
    /// Key of the list.
    pub key: String,
    /// Its movies.
    pub members: usize,
    /// Its movies that are on the target list as well.
    pub shared: usize,
}

/// Keys of the lists that may be inputs for a target list, largest first: never the target list itself, nor a list that
/// shares more than 60 % of the movies that are on either, as another edition does, for it would tell the labels. (The
/// full 1001 Movies and They Shoot Pictures' 1,000 share 40 %.) An edition that is much shorter, or that shares less, is
/// not recognised: the caller leaves it out. The choice uses the target's labels, but only to leave a list out.
#[must_use]
pub fn other_lists(target: &str, target_members: usize, mut lists: Vec<ListSize>) -> Vec<String> {
    lists.retain(|list| {
        let either = target_members + list.members - list.shared.min(list.members);
        let edition = crate::accuracy::count(list.shared) > SAME_LIST * crate::accuracy::count(either);
        list.key != target && list.members > 0 && !edition
    });
    lists.sort_by(|a, b| b.members.cmp(&a.members).then_with(|| a.key.cmp(&b.key)));
    lists.into_iter().take(OTHER_LISTS).map(|list| list.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions_count_where_the_first_movies_are_the_best_ones() {
        let list = |quality: fn(u32) -> u32| (1..=100).map(|at| (at, quality(at))).collect::<Vec<_>>();
        let noisy = |at: u32| 9000 - 10 * at + 700 * (at % 3);
        assert!(is_ordered_by_merit(&list(noisy)));
        assert!(!is_ordered_by_merit(&list(|at| 7000 + 10 * at)));
        assert!(!is_ordered_by_merit(&list(|at| 7000 + at * 37 % 101)));
        assert!(!is_ordered_by_merit(&list(|_| 7000)));
        // Ten movies in order may be chance.
        assert!(!is_ordered_by_merit(&list(noisy)[..10]));
    }

    #[test]
    fn editions_of_the_target_list_are_no_inputs() {
        let size = |key: &str, members, shared| ListSize { key: key.to_owned(), members, shared };
        let lists = vec![size("target", 100, 100), size("edition", 90, 88), size("b", 50, 30), size("a", 50, 0)];
        assert_eq!(other_lists("target", 100, lists), ["a", "b"]);
    }

    #[test]
    fn ratings_without_votes_say_nothing_about_a_work() {
        let rating = |average, votes| Rating { average: Some(average), votes };
        assert_eq!(work_quality(rating(8.0, Some(1000.0)), Rating::default()), Some(7000));
        assert_eq!(work_quality(rating(8.0, None), rating(7.0, Some(100.0))), Some(6500));
        assert_eq!(work_quality(rating(0.0, Some(9.0)), rating(8.0, None)), None);
    }

    proptest! {
        #[test]
        fn other_works_are_the_totals_without_the_work(
            works in prop::collection::vec((prop::option::of(0..5_u32), 0..9_u32, 0..3_u32), 1..9), at in 0..9_usize,
        ) {
            let works: Vec<Work> = works
                .into_iter()
                .map(|(quality, prestige, lists)| Work { quality, prestige, top_nominations: prestige, lists })
                .collect();
            let at = at % works.len();
            let total = |works: &[Work]| {
                let mut total = PersonWorks::default();
                for work in works {
                    total.add(*work);
                }
                total
            };
            let others: Vec<Work> = [&works[..at], &works[at + 1..]].concat();
            let expected = total(&others);
            let found = total(&works).without(works[at]);
            prop_assert_eq!((found.works, found.rated, found.quality_sum), (expected.works, expected.rated, expected.quality_sum));
            prop_assert_eq!((found.best, found.prestige, found.lists), (expected.best, expected.prestige, expected.lists));
        }
    }
}
