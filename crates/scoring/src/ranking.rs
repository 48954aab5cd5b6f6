//! Rankings of a decade's movies under given weights: pages, ranks, filters and cursors.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::NaiveDate;

use serde::{Deserialize, Serialize};

use super::{DecadeColumns, MovieId, ScoreColumns, ScoreVector, Weights};

/// Sort key of a movie in a ranking: the higher score comes first, and among equal scores the lower id, so that there
/// are no ties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The score, 0 to 100, or the value that [`Ranking::by`] or [`Ranking::by_scores`] ranks by.
    pub score: f64,
    /// Movie id.
    pub id: MovieId,
}

impl Standing {
    /// `Less` if `self` comes before `other`.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.id.cmp(&other.id))
    }

    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }
}

/// Movies of a decade that a ranking contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership<'a> {
    /// All movies.
    Any,
    /// Movies on a list.
    On(&'a str),
    /// Movies not on a list: its candidates.
    NotOn(&'a str),
}

/// Who likes a movie better: critics, or audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreferredBy {
    /// Its critical acclaim is higher than its popular opinion.
    Critics,
    /// Its popular opinion is higher than its critical acclaim.
    Audiences,
}

impl PreferredBy {
    /// Minimum difference of the two criteria, which are 0 to 1. A choice: one and a half points of a rating of 10.
    const DIFFERENCE: f64 = 0.15;

    /// Whether the criteria of a movie differ so. A criterion of 0 stands for no rating, with which none can differ.
    // The order of the vector is that of `Criterion`.
    fn is_of(self, vector: ScoreVector) -> bool {
        let [popular, critical, ..] = vector.0;
        let lead = match self {
            Self::Critics => critical - popular,
            Self::Audiences => popular - critical,
        };
        popular > 0.0 && critical > 0.0 && lead >= Self::DIFFERENCE
    }
}

/// Conditions that a movie must meet to be on a page. `None` is no condition. A movie that meets them keeps its rank
/// among all movies of the ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Minimum score.
    pub min_score: Option<f64>,
    /// At least one of these genres, given by their database ids.
    pub genres: Option<Vec<u32>>,
    /// At least one of these production countries, given by their database ids.
    pub countries: Option<Vec<u32>>,
    /// Original language, in upper or lower case.
    pub language: Option<String>,
    /// Who likes it better.
    pub preferred_by: Option<PreferredBy>,
    /// Text that the title contains. Both are compared in folded form.
    pub title: Option<String>,
    /// Earliest release day.
    pub released_from: Option<NaiveDate>,
    /// Latest release day.
    pub released_to: Option<NaiveDate>,
}

/// A movie's position in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Row in the columns.
    pub row: usize,
    /// Score and id: the sort key, which a cursor contains.
    pub standing: Standing,
    /// 1 for the best movie of the ranking, regardless of filters.
    pub rank: usize,
}

/// A page of places.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In ranking order.
    pub places: Vec<Place>,
    /// Number of movies that pass the filter.
    pub total: usize,
    /// Whether movies that pass the filter precede the page.
    pub has_previous: bool,
    /// Whether movies that pass the filter follow the page.
    pub has_next: bool,
}

/// Scored movies of a decade. They are not sorted: each call sorts only the movies that it returns.
#[derive(Debug)]
pub struct Ranking {
    /// Rows and sort keys, in the order of the rows.
    scored: Vec<(usize, Standing)>,
}

impl Ranking {
    /// Scores the movies of `membership`, which takes one dot product per movie.
    #[must_use]
    pub fn of(columns: &ScoreColumns, weights: Weights, membership: Membership<'_>) -> Self {
        let score = |row| columns.vector(row).score(weights);
        Self { scored: members(columns, membership).map(|row| (row, standing(columns, row, score(row)))).collect() }
    }

    /// Ranks all movies by `values`, which has one value per row, instead of by scores.
    #[must_use]
    pub fn by(columns: &ScoreColumns, values: &[f64]) -> Self {
        Self { scored: (0..columns.len()).map(|row| (row, standing(columns, row, values[row]))).collect() }
    }

    /// Ranks the movies of `membership` by the scores of their rows. Movies without a score are left out.
    #[must_use]
    pub fn by_scores(columns: &ScoreColumns, score: impl Fn(usize) -> Option<f64>, membership: Membership<'_>) -> Self {
        let scored = |row: usize| Some((row, standing(columns, row, score(row)?)));
        Self { scored: members(columns, membership).filter_map(scored).collect() }
    }

    /// Number of movies in the ranking.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scored.len()
    }

    /// Whether the ranking is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scored.is_empty()
    }

    /// Returns the best movies that pass `filter` and come after `after` in the ranking: at most `first` of them.
    #[must_use]
    pub fn page(&self, decade: &DecadeColumns, filter: &Filter, after: Option<Standing>, first: usize) -> Page {
        self.page_of(self.matching(decade, filter), after, first)
    }

    /// As [`Self::page`], of the movies whose rows also pass `passes`.
    #[must_use]
    pub fn page_where(
        &self,
        decade: &DecadeColumns,
        filter: &Filter,
        passes: impl Fn(usize) -> bool,
        after: Option<Standing>,
        first: usize,
    ) -> Page {
        let mut matching = self.matching(decade, filter).into_owned();
        matching.retain(|(row, _)| passes(*row));
        self.page_of(Cow::Owned(matching), after, first)
    }

    fn page_of(&self, matching: Cow<'_, [(usize, Standing)]>, after: Option<Standing>, first: usize) -> Page {
        let total = matching.len();
        // Counts the movies after `after` in the same pass in which `best` selects from them.
        let mut following = 0;
        let later = matching.iter().copied().filter(|(_, standing)| {
            let is_later = after.is_none_or(|after| after.is_before(standing));
            following += usize::from(is_later);
            is_later
        });
        let places = self.placed(best(later, first));
        Page { places, total, has_previous: following < total, has_next: following > first }
    }

    /// Returns the best movies, at most `count`.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<Place> {
        let best = best(self.scored.iter().copied(), count);
        best.into_iter().enumerate().map(|(i, (row, standing))| Place { row, standing, rank: i + 1 }).collect()
    }

    /// Returns the places of the movies in some rows, best first. Omits rows that are not in the ranking.
    pub fn places_of(&self, rows: impl IntoIterator<Item = usize>) -> Vec<Place> {
        let at = |row| self.scored.binary_search_by_key(&row, |(row, _)| *row).ok();
        let held = rows.into_iter().filter_map(|row| at(row).map(|i| self.scored[i]));
        // The limit is never reached: `best` only sorts here.
        self.placed(best(held, self.scored.len()))
    }

    /// The movie directly before the one with this standing, and the one directly after it.
    #[must_use]
    pub fn neighbours(&self, standing: &Standing) -> (Option<Place>, Option<Place>) {
        let (mut previous, mut next) = (None::<&(usize, Standing)>, None::<&(usize, Standing)>);
        let mut before = 0;
        for movie in &self.scored {
            if movie.1.is_before(standing) {
                before += 1;
                if previous.is_none_or(|previous| previous.1.is_before(&movie.1)) {
                    previous = Some(movie);
                }
            } else if standing.is_before(&movie.1) && next.is_none_or(|next| movie.1.is_before(&next.1)) {
                next = Some(movie);
            }
        }
        let place = |rank| move |&(row, standing): &(usize, Standing)| Place { row, standing, rank };
        (previous.map(place(before)), next.map(place(before + 2)))
    }

    /// The scored movies that pass `filter`.
    fn matching(&self, decade: &DecadeColumns, filter: &Filter) -> Cow<'_, [(usize, Standing)]> {
        if *filter == Filter::default() {
            return Cow::Borrowed(&self.scored);
        }
        let attributes = &decade.attributes;
        let in_language = filter.language.as_deref().map(|language| attributes.in_language(language));
        let titled = filter.title.as_deref().map(|title| attributes.titles.containing(title));
        let passes = |(row, standing): &(usize, Standing)| {
            let (row, day) = (*row, attributes.release_days[*row]);
            let any_of = |wanted: &Option<Vec<u32>>, codes: &[u32]| {
                wanted.as_ref().is_none_or(|wanted| codes.iter().any(|code| wanted.contains(code)))
            };
            filter.min_score.is_none_or(|min| standing.score >= min)
                && filter.released_from.is_none_or(|first| day >= first)
                && filter.released_to.is_none_or(|last| day <= last)
                && any_of(&filter.genres, attributes.genres.of(row))
                && any_of(&filter.countries, attributes.countries.of(row))
                && filter.preferred_by.is_none_or(|by| by.is_of(decade.scores.vector(row)))
                && in_language.as_ref().is_none_or(|in_language| in_language(row))
                && titled.as_ref().is_none_or(|rows| rows.binary_search(&row).is_ok())
        };
        let matching = self.scored.iter().copied().filter(passes).collect();
        Cow::Owned(matching)
    }

    /// Assigns ranks to sorted movies: one pass over the ranking counts the movies before each of them, which is faster
    /// than sorting the ranking.
    fn placed(&self, ordered: Vec<(usize, Standing)>) -> Vec<Place> {
        let Some((_, last)) = ordered.last() else { return Vec::new() };
        // For each of the sorted movies: how many movies come before it, but not before the one before it. The last
        // element counts the last sorted movie itself, which comes before none of them.
        let mut newly_before = vec![0; ordered.len() + 1];
        // Most movies come after the last sorted one; a single comparison skips them.
        for (_, standing) in self.scored.iter().filter(|(_, standing)| !last.is_before(standing)) {
            newly_before[ordered.partition_point(|(_, sorted)| !standing.is_before(sorted))] += 1;
        }
        let mut before = 0;
        let with_rank = |((row, standing), newly_before): ((usize, Standing), usize)| {
            before += newly_before;
            Place { row, standing, rank: before + 1 }
        };
        ordered.into_iter().zip(newly_before).map(with_rank).collect()
    }
}

fn standing(columns: &ScoreColumns, row: usize, score: f64) -> Standing {
    Standing { score, id: columns.id(row) }
}

/// Rows of the movies of `membership`.
fn members(columns: &ScoreColumns, membership: Membership<'_>) -> impl Iterator<Item = usize> {
    let (key, wanted) = match membership {
        Membership::Any => (None, true),
        Membership::On(key) => (Some(key), true),
        Membership::NotOn(key) => (Some(key), false),
    };
    let on_list = key.map(|key| columns.on_list(key));
    (0..columns.len()).filter(move |row| on_list.as_ref().is_none_or(|on_list| on_list(*row) == wanted))
}

/// Returns the best `count` movies in order, without sorting the rest. Collects movies until there are more than twice
/// `count`, then drops all but the best `count`. So it needs little memory, and each such selection drops more than
/// half of the movies that it compares, which keeps the total time linear.
fn best(movies: impl Iterator<Item = (usize, Standing)>, count: usize) -> Vec<(usize, Standing)> {
    let order = |a: &(usize, Standing), b: &(usize, Standing)| a.1.order(&b.1);
    let mut selected: Vec<(usize, Standing)> = Vec::new();
    // The last of the best `count` movies at the latest selection. A movie that does not come before it is not among
    // the best. `None` before the first selection.
    let mut cutoff: Option<Standing> = None;
    for movie in movies {
        if cutoff.is_some_and(|cutoff| !movie.1.is_before(&cutoff)) {
            continue;
        }
        selected.push(movie);
        if selected.len() > 2 * count {
            selected.select_nth_unstable_by(count, order);
            selected.truncate(count);
            cutoff = selected.iter().map(|(_, standing)| *standing).max_by(Standing::order);
        }
    }
    selected.sort_unstable_by(order);
    selected.truncate(count);
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecadeColumnsBuilder, MovieRow, ScoreVector};
    use chrono::DateTime;
    use proptest::prelude::*;

    /// A small decade with many equal scores, some listed movies and some that match the filter.
    fn decade() -> impl Strategy<Value = DecadeColumns> {
        prop::collection::vec((0..4_u32, any::<bool>(), 0..3_u32), 0..60).prop_map(|movies| {
            let row = |(i, (step, listed, genre)): (usize, (u32, bool, u32))| MovieRow {
                // Ids are not in row order.
                id: MovieId((i64::try_from(i).unwrap() * 37) % 101),
                vector: ScoreVector([f64::from(step) / 4.0, 0.5, 0.0, 0.25, 1.0]),
                release_day: NaiveDate::from_ymd_opt(1990, 1, 1).unwrap() + chrono::Days::new(i as u64),
                coverage: 4,
                computed_at: DateTime::UNIX_EPOCH,
                list_keys: if listed { vec!["a list"] } else { vec![] },
                title: "A movie",
                language: if genre == 0 { "fr" } else { "en" },
                genres: vec![genre],
                countries: vec![],
            };
            let mut columns = DecadeColumnsBuilder::default();
            movies.into_iter().enumerate().map(row).for_each(|movie| columns.push(movie));
            columns.finish()
        })
    }

    fn weights() -> impl Strategy<Value = Weights> {
        prop::array::uniform5(0.0..=1.0_f64).prop_filter_map("all 0", |raw| Weights::normalised(raw).ok())
    }

    /// Reference implementation: sorts everything, assigns ranks, then filters.
    fn sorted(decade: &DecadeColumns, weights: Weights, filter: &Filter) -> Vec<(MovieId, usize)> {
        let columns = &decade.scores;
        let on_list = columns.on_list("a list");
        let mut movies: Vec<_> = (0..columns.len())
            .filter(|row| !on_list(*row))
            .map(|row| (row, columns.vector(row).score(weights)))
            .collect();
        movies.sort_by(|a, b| b.1.total_cmp(&a.1).then(columns.id(a.0).cmp(&columns.id(b.0))));
        let passes = |row: usize, score: f64| {
            filter.min_score.is_none_or(|min| score >= min)
                && filter.preferred_by.is_none_or(|by| {
                    let [popular, critical, ..] = columns.vector(row).0;
                    let (more, less) =
                        if by == PreferredBy::Critics { (critical, popular) } else { (popular, critical) };
                    less > 0.0 && more - less >= 0.15
                })
                && filter.genres.as_ref().is_none_or(|genres| genres.contains(&decade.attributes.genres.of(row)[0]))
        };
        let ranked = movies.into_iter().enumerate().map(|(i, (row, score))| (row, score, i + 1));
        ranked.filter(|(row, score, _)| passes(*row, *score)).map(|(row, _, rank)| (columns.id(row), rank)).collect()
    }

    proptest! {
        #[test]
        fn neighbours_are_the_movies_next_to_each_other_in_the_whole_ranking(decade in decade(), weights in weights()) {
            let ranking = Ranking::of(&decade.scores, weights, Membership::NotOn("a list"));
            let all = ranking.top(ranking.len());
            for (i, place) in all.iter().enumerate() {
                let expected = (i.checked_sub(1).map(|i| all[i]), all.get(i + 1).copied());
                prop_assert_eq!(ranking.neighbours(&place.standing), expected);
            }
        }

        #[test]
        fn concatenated_pages_equal_the_whole_ranking(
            decade in decade(),
            weights in weights(),
            size in 1..7_usize,
            genres in prop::option::of(prop::collection::vec(0..3_u32, 0..3)),
            min_score in prop::option::of(0.0..80.0_f64),
            preferred_by in prop::option::of(prop_oneof![Just(PreferredBy::Critics), Just(PreferredBy::Audiences)]),
        ) {
            let filter = Filter { min_score, genres, preferred_by, ..Filter::default() };
            let ranking = Ranking::of(&decade.scores, weights, Membership::NotOn("a list"));
            let whole = sorted(&decade, weights, &filter);
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = ranking.page(&decade, &filter, after, size);
                prop_assert_eq!(page.total, whole.len());
                prop_assert_eq!(page.has_previous, !walked.is_empty());
                walked.extend(page.places.iter().map(|place| (place.standing.id, place.rank)));
                after = page.places.last().map(|place| place.standing);
                if !page.has_next { break }
            }
            prop_assert_eq!(walked, whole);
        }

        #[test]
        fn single_place_equals_its_place_among_all(decade in decade(), weights in weights()) {
            let ranking = Ranking::of(&decade.scores, weights, Membership::Any);
            let all = ranking.top(decade.scores.len());
            for place in &all {
                prop_assert_eq!(ranking.places_of([place.row]), vec![*place]);
            }
            prop_assert_eq!(ranking.places_of(0..decade.scores.len()), all);
        }

        #[test]
        fn listed_and_candidates_partition_the_decade(decade in decade(), weights in weights()) {
            let count = |membership| Ranking::of(&decade.scores, weights, membership).len();
            prop_assert_eq!(
                count(Membership::On("a list")) + count(Membership::NotOn("a list")),
                count(Membership::Any)
            );
            prop_assert_eq!(count(Membership::On("no list")), 0);
        }
    }
}
