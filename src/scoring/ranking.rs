//! Places of a decade's films under given weights: pages, ranks, filters and deep cursors.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::NaiveDate;

use serde::{Deserialize, Serialize};

use super::{DecadeColumns, MovieId, ScoreColumns, Weights};

/// Where a film stands in an order: better scores first, then lower ids, so that there are no ties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// 0 to 100, or whatever else a ranking goes by.
    pub score: f64,
    /// The film.
    pub id: MovieId,
}

impl Standing {
    /// `Less` where `self` comes before `other`.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.id.cmp(&other.id))
    }

    fn is_before(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }
}

/// Which films of a decade a ranking holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership<'a> {
    /// All.
    Any,
    /// Those on a list.
    On(&'a str),
    /// Those not on a list: its candidates.
    NotOn(&'a str),
}

/// What a page may be narrowed to. Ranks do not depend on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// At least this score.
    pub min_score: Option<f64>,
    /// Any of these genres, by database id.
    pub genres: Option<Vec<u32>>,
    /// Any of these production countries, by database id.
    pub countries: Option<Vec<u32>>,
    /// This original language.
    pub language: Option<String>,
    /// A title that contains this, whatever the case.
    pub title: Option<String>,
    /// Released on this day or later.
    pub released_from: Option<NaiveDate>,
    /// Released on this day or earlier.
    pub released_to: Option<NaiveDate>,
}

/// A film's place in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its row in the columns.
    pub row: usize,
    /// Its score and id.
    pub standing: Standing,
    /// 1 for the best of the ranking, filtered or not.
    pub rank: usize,
}

/// A run of places.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In order.
    pub places: Vec<Place>,
    /// How many films pass the filter.
    pub total: usize,
    /// Whether films that pass the filter come before these.
    pub has_previous: bool,
    /// Whether films that pass the filter come after these.
    pub has_next: bool,
}

/// The films of a decade, scored; nothing is sorted until a page asks for it.
#[derive(Debug)]
pub struct Ranking {
    /// Ascending by row.
    scored: Vec<(usize, Standing)>,
}

impl Ranking {
    /// Scores the films that are members: one dot product each.
    #[must_use]
    pub fn of(columns: &ScoreColumns, weights: Weights, membership: Membership<'_>) -> Self {
        let score = |row| columns.vector(row).score(weights);
        Self { scored: members(columns, membership).map(|row| (row, standing(columns, row, score(row)))).collect() }
    }

    /// Ranks all films by a column of numbers instead of a score.
    #[must_use]
    pub fn by(columns: &ScoreColumns, values: &[f64]) -> Self {
        Self { scored: (0..columns.len()).map(|row| (row, standing(columns, row, values[row]))).collect() }
    }

    /// How many films it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scored.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scored.is_empty()
    }

    /// The best films that pass `filter` and come after `after`, at most `first` of them.
    #[must_use]
    pub fn page(&self, decade: &DecadeColumns, filter: &Filter, after: Option<Standing>, first: usize) -> Page {
        let matching = self.matching(decade, filter);
        let total = matching.len();
        let mut following = 0;
        let later = matching.iter().copied().filter(|(_, standing)| {
            let is_later = after.is_none_or(|after| after.is_before(standing));
            following += usize::from(is_later);
            is_later
        });
        let places = self.placed(best(later, first));
        Page { places, total, has_previous: following < total, has_next: following > first }
    }

    /// The best films, at most `count`.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<Place> {
        let best = best(self.scored.iter().copied(), count);
        best.into_iter().enumerate().map(|(i, (row, standing))| Place { row, standing, rank: i + 1 }).collect()
    }

    /// The places of some rows, best first; rows that the ranking does not hold are left out.
    pub fn places_of(&self, rows: impl IntoIterator<Item = usize>) -> Vec<Place> {
        let at = |row| self.scored.binary_search_by_key(&row, |(row, _)| *row).ok();
        let held = rows.into_iter().filter_map(|row| at(row).map(|i| self.scored[i]));
        self.placed(best(held, self.scored.len()))
    }

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
                && in_language.as_ref().is_none_or(|in_language| in_language(row))
                && titled.as_ref().is_none_or(|rows| rows.binary_search(&row).is_ok())
        };
        let matching = self.scored.iter().copied().filter(passes).collect();
        Cow::Owned(matching)
    }

    /// Gives films in order their ranks: one pass over all, counting for each place those before it.
    fn placed(&self, ordered: Vec<(usize, Standing)>) -> Vec<Place> {
        let Some((_, last)) = ordered.last() else { return Vec::new() };
        let mut entering = vec![0; ordered.len() + 1];
        // Most films come after the whole page, which one comparison tells.
        for (_, standing) in self.scored.iter().filter(|(_, standing)| !last.is_before(standing)) {
            // The first place that this film comes before: it counts for that one and all later ones.
            entering[ordered.partition_point(|(_, place)| !standing.is_before(place))] += 1;
        }
        let mut before = 0;
        let with_rank = |((row, standing), entering): ((usize, Standing), usize)| {
            before += entering;
            Place { row, standing, rank: before + 1 }
        };
        ordered.into_iter().zip(entering).map(with_rank).collect()
    }
}

fn standing(columns: &ScoreColumns, row: usize, score: f64) -> Standing {
    Standing { score, id: columns.id(row) }
}

fn members(columns: &ScoreColumns, membership: Membership<'_>) -> impl Iterator<Item = usize> {
    let (key, wanted) = match membership {
        Membership::Any => (None, true),
        Membership::On(key) => (Some(key), true),
        Membership::NotOn(key) => (Some(key), false),
    };
    let on_list = key.map(|key| columns.on_list(key));
    (0..columns.len()).filter(move |row| on_list.as_ref().is_none_or(|on_list| on_list(*row) == wanted))
}

/// The best `count` in order, without sorting or keeping the rest.
fn best(films: impl Iterator<Item = (usize, Standing)>, count: usize) -> Vec<(usize, Standing)> {
    let order = |a: &(usize, Standing), b: &(usize, Standing)| a.1.order(&b.1);
    let mut kept: Vec<(usize, Standing)> = Vec::new();
    // Once there are enough, a film must come before this one to be kept.
    let mut bar: Option<Standing> = None;
    for film in films {
        if bar.is_some_and(|bar| !film.1.is_before(&bar)) {
            continue;
        }
        kept.push(film);
        if kept.len() > 2 * count {
            kept.select_nth_unstable_by(count, order);
            kept.truncate(count);
            bar = kept.iter().map(|(_, standing)| *standing).max_by(Standing::order);
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(count);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{DecadeColumnsBuilder, MovieRow, ScoreVector};
    use chrono::DateTime;
    use proptest::prelude::*;

    /// A small decade in which many films tie, some are on the list and some match the filter.
    fn decade() -> impl Strategy<Value = DecadeColumns> {
        prop::collection::vec((0..4_u32, any::<bool>(), 0..3_u32), 0..60).prop_map(|films| {
            let row = |(i, (step, listed, genre)): (usize, (u32, bool, u32))| MovieRow {
                // Films do not come in the order of their ids.
                id: MovieId((i64::try_from(i).unwrap() * 37) % 101),
                vector: ScoreVector([f64::from(step) / 4.0, 0.5, 0.0, 0.25, 1.0]),
                release_day: NaiveDate::from_ymd_opt(1990, 1, 1).unwrap() + chrono::Days::new(i as u64),
                coverage: 4,
                computed_at: DateTime::UNIX_EPOCH,
                list_keys: if listed { vec!["a list"] } else { vec![] },
                title: "A film",
                language: if genre == 0 { "fr" } else { "en" },
                genres: vec![genre],
                countries: vec![],
            };
            let mut columns = DecadeColumnsBuilder::default();
            films.into_iter().enumerate().map(row).for_each(|film| columns.push(film));
            columns.finish()
        })
    }

    fn weights() -> impl Strategy<Value = Weights> {
        prop::array::uniform5(0.0..=1.0_f64).prop_filter_map("all 0", |raw| Weights::normalised(raw).ok())
    }

    /// The plain way: sort everything, number it, then filter.
    fn sorted(decade: &DecadeColumns, weights: Weights, filter: &Filter) -> Vec<(MovieId, usize)> {
        let columns = &decade.scores;
        let on_list = columns.on_list("a list");
        let mut films: Vec<_> = (0..columns.len())
            .filter(|row| !on_list(*row))
            .map(|row| (row, columns.vector(row).score(weights)))
            .collect();
        films.sort_by(|a, b| b.1.total_cmp(&a.1).then(columns.id(a.0).cmp(&columns.id(b.0))));
        let passes = |row: usize, score: f64| {
            filter.min_score.is_none_or(|min| score >= min)
                && filter.genres.as_ref().is_none_or(|genres| genres.contains(&decade.attributes.genres.of(row)[0]))
        };
        let ranked = films.into_iter().enumerate().map(|(i, (row, score))| (row, score, i + 1));
        ranked.filter(|(row, score, _)| passes(*row, *score)).map(|(row, _, rank)| (columns.id(row), rank)).collect()
    }

    proptest! {
        #[test]
        fn pages_joined_are_the_whole_ranking(
            decade in decade(),
            weights in weights(),
            size in 1..7_usize,
            genres in prop::option::of(prop::collection::vec(0..3_u32, 0..3)),
            min_score in prop::option::of(0.0..80.0_f64),
        ) {
            let filter = Filter { min_score, genres, ..Filter::default() };
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
        fn one_films_place_is_its_place_among_all(decade in decade(), weights in weights()) {
            let ranking = Ranking::of(&decade.scores, weights, Membership::Any);
            let all = ranking.top(decade.scores.len());
            for place in &all {
                prop_assert_eq!(ranking.places_of([place.row]), vec![*place]);
            }
            prop_assert_eq!(ranking.places_of(0..decade.scores.len()), all);
        }

        #[test]
        fn listed_and_candidates_share_the_decade(decade in decade(), weights in weights()) {
            let count = |membership| Ranking::of(&decade.scores, weights, membership).len();
            prop_assert_eq!(
                count(Membership::On("a list")) + count(Membership::NotOn("a list")),
                count(Membership::Any)
            );
            prop_assert_eq!(count(Membership::On("no list")), 0);
        }
    }
}
