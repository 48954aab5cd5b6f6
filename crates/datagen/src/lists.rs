//! Selects the generated movies on canonical lists, and the contenders for awards.
//!
//! Lists and awards hardly grow with the catalogue. One pass over the movies therefore suffices, which retains only the
//! best movies so far: of each decade for lists, of each year for awards.

use std::collections::{BTreeMap, HashMap};

use chrono::Datelike;
use serde_json::{Map, Value, json};

use super::catalogue::Catalogue;
use super::movie::Movie;
use super::seeded_rng::Stream;
use super::timeline::LAST_YEAR;

/// A canonical list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) source_type: &'static str,
    pub(super) url: &'static str,
    /// Number of members in a catalogue of ten thousand movies, if the list had members in all decades. The share of the
    /// decades after `until` is left out.
    size: u32,
    /// If set, only movies of this country can be listed.
    country: Option<&'static str>,
    /// First year of the latest decade that has listed movies.
    until: i32,
    /// Weight of a movie's quality in the selection.
    quality: f64,
    /// Weight of a movie's fame in the selection.
    fame: f64,
    edition: Edition,
}

/// In which edition of a list a movie appears, and what its position there means.
#[derive(Debug)]
enum Edition {
    /// Yearly editions from `first` on, numbered by release date. A movie joins the first edition after its release.
    Yearly { first: i32 },
    /// A movie is inducted some years after its release, and no earlier than in `first`. Without positions.
    Induction { first: i32 },
    /// One poll, held in this year. Positions rank the movies, best first.
    Poll(i32),
}

/// Lists with the names and sizes of real ones. The weights are a choice.
#[rustfmt::skip]
pub(super) const LISTS: [List; 7] = [
    List { key: "1001_movies", name: "1001 Movies You Must See Before You Die", category: "curated", source_type: "custom",
        url: "https://example.org/lists/1001_movies", size: TARGET_SIZE, country: None, until: 2020,
        quality: 0.8, fame: 0.6, edition: Edition::Yearly { first: 2003 } },
    List { key: "criterion", name: "The Criterion Collection", category: "curated", source_type: "custom",
        url: "https://example.org/lists/criterion", size: 1176, country: None, until: 2020,
        quality: 0.9, fame: 0.2, edition: Edition::Induction { first: 1984 } },
    List { key: "sight_sound_critics_2022", name: "Sight and Sound Critics' Poll 2022", category: "critics", source_type: "custom",
        url: "https://example.org/lists/sight_sound_critics_2022", size: 173, country: None, until: 2010,
        quality: 1.0, fame: 0.4, edition: Edition::Poll(2022) },
    List { key: "tspdt_1000", name: "They Shoot Pictures, Don't They? 1000", category: "critics", source_type: "custom",
        url: "https://example.org/lists/tspdt_1000", size: 676, country: None, until: 2010,
        quality: 1.0, fame: 0.4, edition: Edition::Poll(2024) },
    List { key: "national_film_registry", name: "National Film Registry", category: "registry", source_type: "custom",
        url: "https://example.org/lists/national_film_registry", size: 498, country: Some("US"), until: 2010,
        quality: 0.7, fame: 0.7, edition: Edition::Induction { first: 1989 } },
    List { key: "afi_100", name: "AFI's 100 Years... 100 Movies", category: "critics", source_type: "custom",
        url: "https://example.org/lists/afi_100", size: 70, country: Some("US"), until: 2000,
        quality: 0.8, fame: 1.0, edition: Edition::Poll(2007) },
    List { key: "letterboxd_top_250", name: "Letterboxd Top 250", category: "personal", source_type: "letterboxd",
        url: "https://example.org/lists/letterboxd_top_250", size: 169, country: None, until: 2020,
        quality: 1.0, fame: 0.9, edition: Edition::Poll(2024) },
];

/// Number of members of `1001_movies` in a catalogue of ten thousand movies: the sum of `listed` over the decades.
const TARGET_SIZE: u32 = 842;
/// At most one in this many movies of a decade is on a list, so that small catalogues have candidates left.
const LIST_DIVISOR: u32 = 8;
/// By how much lists grow with each doubling of the catalogue beyond ten thousand movies, in percent. A choice: real
/// lists have a fixed length, so they hardly grow, but a larger catalogue has more of their members.
const GROWTH_PERCENT: u32 = 3;
/// Maximum number of contenders per year. A choice: the awards of a year have about 250 nominations, so a contender
/// gets four on average.
const CONTENDERS_MAX: u32 = 60;
/// At most one in this many movies of a year is a contender, so that in small catalogues not every movie is nominated.
const CONTENDER_DIVISOR: u32 = 3;
/// Standard deviation of the random part of each selection. It makes the lists differ from one another.
const DEVIATION: f64 = 0.7;
/// A movie is inducted fewer than this many years after its release, or after the first induction.
const INDUCTION_WAIT_YEARS: u32 = 29;
/// Movies that a [`TopN`] collects beyond twice its limit before it sorts, so that small limits do not sort at each
/// push.
const SORT_SLACK: usize = 64;

/// Lists and contenders of a catalogue.
#[derive(Debug)]
pub(super) struct Selection {
    /// Value of `movies.canonical_sources` for each listed movie, by movie id.
    pub(super) sources: HashMap<u32, Value>,
    /// Number of members of each list, in the order of [`LISTS`].
    pub(super) sizes: [usize; LISTS.len()],
    /// Contenders by release year, best first.
    pub(super) contenders: BTreeMap<i32, Vec<u32>>,
}

/// Selection in progress, fed one movie at a time.
#[derive(Debug)]
pub(super) struct Selector<'a> {
    catalogue: &'a Catalogue,
    /// By index in [`LISTS`] and first year of the decade.
    members: BTreeMap<(usize, i32), TopN>,
    /// By release year.
    contenders: BTreeMap<i32, TopN>,
}

impl<'a> Selector<'a> {
    pub(super) fn of(catalogue: &'a Catalogue) -> Self {
        let members = LISTS.iter().enumerate().flat_map(|(index, list)| {
            catalogue.timeline.decades().map(move |(decade, movies)| {
                let size_percent = 100 + GROWTH_PERCENT * (catalogue.movies / 10_000).checked_ilog2().unwrap_or(0);
                // Every list is distributed over the decades as the target list is.
                let limit = if decade.start() <= list.until {
                    decade.listed * list.size * size_percent / TARGET_SIZE / 100
                } else {
                    0
                };
                ((index, decade.start()), TopN::of(limit.min(movies / LIST_DIVISOR)))
            })
        });
        Self { catalogue, members: members.collect(), contenders: BTreeMap::new() }
    }

    /// Offers a movie to every list and to the awards of its year. Movies without a release date are ignored, because
    /// they belong to no decade.
    pub(super) fn consider(&mut self, movie: &Movie) {
        if !movie.is_dated {
            return;
        }
        let mut rng = self.catalogue.rng(Stream::Lists, movie.id);
        // Awards weigh quality and fame about equally, a choice.
        let appeal = 0.6 * movie.quality + 0.5 * movie.fame + DEVIATION * rng.normal();
        // Only fully imported movies are nominated, while lists may hold others, too.
        if movie.is_full {
            self.contenders.entry(movie.year()).or_insert_with(|| TopN::of(CONTENDERS_MAX)).push(appeal, movie.id);
        }
        for (index, list) in LISTS.iter().enumerate() {
            // Drawn before the country is checked, so that the draws for later lists do not depend on it.
            let acclaim = list.quality * movie.quality + list.fame * movie.fame + DEVIATION * rng.normal();
            if list.country.is_some_and(|country| country != movie.country) {
                continue;
            }
            if let Some(best) = self.members.get_mut(&(index, movie.release.decade.start())) {
                best.push(acclaim, movie.id);
            }
        }
    }

    pub(super) fn finish(self) -> Selection {
        let mut sources: HashMap<u32, Map<String, Value>> = HashMap::new();
        let mut members: [Vec<(f64, u32)>; LISTS.len()] = Default::default();
        for ((index, _), best) in self.members {
            members[index].extend(best.sorted());
        }
        let sizes = members.each_ref().map(Vec::len);
        for (list, members) in LISTS.iter().zip(members) {
            for (movie, entry) in entries(self.catalogue, list, members) {
                sources.entry(movie).or_default().insert(list.key.to_owned(), entry);
            }
        }
        let contenders = self.contenders.into_iter().map(|(year, best)| {
            let limit = best.seen.div_ceil(CONTENDER_DIVISOR) as usize;
            (year, best.sorted().take(limit).map(|(_, movie)| movie).collect())
        });
        Selection {
            sources: sources.into_iter().map(|(movie, lists)| (movie, Value::Object(lists))).collect(),
            sizes,
            contenders: contenders.collect(),
        }
    }
}

/// For each member of a list, the entry of the list in its `canonical_sources`.
fn entries(catalogue: &Catalogue, list: &List, mut members: Vec<(f64, u32)>) -> Vec<(u32, Value)> {
    if matches!(list.edition, Edition::Poll(_)) {
        sort(&mut members);
    } else {
        members.sort_by_key(|(_, movie)| (Movie::of(catalogue, *movie).release.date, *movie));
    }
    let entry = |(index, (_, movie)): (usize, (f64, u32))| {
        let (position, edition) = list.edition.of(catalogue, movie, index + 1);
        (movie, json!({ "included": true, "list_position": position, "edition": edition.to_string() }))
    };
    members.into_iter().enumerate().map(entry).collect()
}

impl Edition {
    /// Position and edition year of a member. `position` is where it stands in the list's order, counted from 1.
    fn of(&self, catalogue: &Catalogue, movie: u32, position: usize) -> (Option<usize>, i32) {
        let released = Movie::of(catalogue, movie).release.date.year();
        match self {
            Self::Yearly { first } => (Some(position), (released + 1).clamp(*first, LAST_YEAR)),
            Self::Induction { first } => {
                // The id serves as the random number: it is unrelated to the release date.
                let wait = i32::try_from(movie % INDUCTION_WAIT_YEARS).unwrap_or(0);
                (None, (released.max(*first) + wait).min(LAST_YEAR))
            }
            Self::Poll(year) => (Some(position), *year),
        }
    }
}

/// Retains the `limit` best of the movies that are pushed. It sorts when twice as many have been collected, not at each
/// push.
#[derive(Debug)]
struct TopN {
    limit: usize,
    /// Number of movies pushed.
    seen: u32,
    /// Score and id.
    found: Vec<(f64, u32)>,
}

impl TopN {
    fn of(limit: u32) -> Self {
        Self { limit: limit as usize, seen: 0, found: Vec::new() }
    }

    fn push(&mut self, score: f64, movie: u32) {
        self.seen += 1;
        self.found.push((score, movie));
        if self.found.len() >= 2 * self.limit + SORT_SLACK {
            self.retain_best();
        }
    }

    fn retain_best(&mut self) {
        sort(&mut self.found);
        self.found.truncate(self.limit);
    }

    /// The best movies, best first.
    fn sorted(mut self) -> impl Iterator<Item = (f64, u32)> {
        self.retain_best();
        self.found.into_iter()
    }
}

/// Sorts by descending score; equal scores by ascending id.
fn sort(movies: &mut [(f64, u32)]) {
    movies.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(movies: u32) -> Selection {
        let catalogue = Catalogue::of(5, movies);
        let mut selector = Selector::of(&catalogue);
        (1..=movies).for_each(|id| selector.consider(&Movie::of(&catalogue, id)));
        selector.finish()
    }

    #[test]
    fn best_movies_are_returned_in_order() {
        let mut best = TopN::of(2);
        for movie in 0..500 {
            best.push(f64::from(movie * 7 % 500), movie);
        }
        assert_eq!(best.sorted().map(|(score, _)| score).collect::<Vec<_>>(), [499.0, 498.0]);
    }

    #[test]
    fn lists_hardly_grow_with_the_catalogue() {
        let sizes = selection(20_000).sizes;
        assert!((830..=900).contains(&sizes[0]), "{sizes:?}");
    }

    #[test]
    fn lists_hold_a_bounded_share_of_a_small_catalogue() {
        let selection = selection(1_000);
        assert!((40..=125).contains(&selection.sizes[0]), "{:?}", selection.sizes);
    }

    #[test]
    fn contenders_are_at_most_a_third_of_a_small_year() {
        let selection = selection(1_000);
        let contenders: usize = selection.contenders.values().map(Vec::len).sum();
        assert!((200..=450).contains(&contenders), "{contenders}");
    }
}
