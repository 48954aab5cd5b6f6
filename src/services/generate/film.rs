//! Generated movies: hidden quality and fame, and the ratings, reviews, people and money derived from them.

use chrono::Datelike;

use super::dice::{SeededRng, Stream, exp};
use super::people::{People, Trade, family_name, person_name};
use super::timeline::{Moment, Timeline};
use super::words::{COUNTRIES, GENRES, LANGUAGES, Language};

/// State shared by all movies of one catalogue.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) films: u32,
    pub(super) timeline: Timeline,
    pub(super) people: People,
    order: Order,
}

impl World {
    pub(super) fn of(seed: u64, films: u32) -> Self {
        let timeline = Timeline::of(films);
        let order = Order::of(films, SeededRng::of(seed, Stream::Order, 0).below(films));
        Self { seed, films, people: People::of(seed, films, timeline.clone()), timeline, order }
    }

    pub(super) fn dice(&self, stream: Stream, number: u32) -> SeededRng {
        SeededRng::of(self.seed, stream, u64::from(number))
    }
}

/// Spreads release dates over the ids, since a real catalogue is not ordered by date.
#[derive(Debug)]
struct Order {
    films: u64,
    step: u64,
    offset: u64,
}

impl Order {
    fn of(films: u32, offset: u32) -> Self {
        let films = u64::from(films);
        // Near the golden ratio, so that neighbouring ids are far apart; coprime, so that every place is used once.
        let mut step = films * 618 / 1000 + 1;
        while common_divisor(step, films) != 1 {
            step += 1;
        }
        Self { films, step, offset: u64::from(offset) }
    }

    /// Place of a movie (ids from 1) by release date, oldest first (from 0).
    fn place(&self, id: u32) -> u32 {
        u32::try_from((u64::from(id) * self.step + self.offset) % self.films).unwrap_or(0)
    }
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Hidden attributes of a movie. Quality and fame have a mean of about 0 and a deviation of about 1.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) id: u32,
    pub(super) moment: Moment,
    /// False if the release date is unknown.
    pub(super) is_dated: bool,
    pub(super) is_full: bool,
    pub(super) language: &'static Language,
    pub(super) country: &'static str,
    pub(super) quality: f64,
    pub(super) fame: f64,
    pub(super) director: Option<u32>,
}

impl Film {
    pub(super) fn of(world: &World, id: u32) -> Self {
        let mut dice = world.dice(Stream::Film, id);
        let moment = world.timeline.moment(world.order.place(id));
        let language = dice.pick_by(&LANGUAGES, |language| language.share);
        let country = dice.pick_by(language.countries, |(_, weight)| *weight).0;
        let director = world.people.hire(&mut dice, Trade::Directing, language, moment.date);
        let quality = 0.45 * world.people.talent(director) + 0.85 * dice.normal();
        let is_full = dice.chance(0.97);
        // Movies fail the quality filter because they are little known.
        let obscurity = if is_full { 0.0 } else { 1.5 };
        let fame = 0.45 * quality + 0.89 * dice.normal() - obscurity;
        let is_dated = dice.chance(0.98 + 0.01 * fame);
        let director = dice.chance(moment.span.director + 0.1 * fame).then_some(director);
        Self { id, moment, is_dated, is_full, language, country, quality, fame, director }
    }

    pub(super) fn year(&self) -> i32 {
        self.moment.date.year()
    }
}

/// A credit of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Credit {
    pub(super) person: u32,
    pub(super) trade: Trade,
    /// Billing order from 0; only for cast.
    pub(super) order: Option<u32>,
}

/// Maximum cast of a movie.
const CAST_MAX: u32 = 6;

/// Directors first, then the cast by billing order; no person twice in one trade.
pub(super) fn credits(world: &World, film: &Film) -> Vec<Credit> {
    let mut dice = world.dice(Stream::Credits, film.id);
    let mut credits = Vec::new();
    let hire = |dice: &mut SeededRng, trade| world.people.hire(dice, trade, film.language, film.moment.date);
    if let Some(person) = film.director {
        credits.push(Credit { person, trade: Trade::Directing, order: None });
        if dice.chance(0.06) {
            let second = hire(&mut dice, Trade::Directing);
            add(&mut credits, Credit { person: second, trade: Trade::Directing, order: None });
        }
    }
    if dice.chance(film.moment.span.cast + 0.1 * film.fame) {
        let mut order = 0;
        for _ in 0..2 + dice.below(CAST_MAX - 1) {
            // Some directors act in their own movies.
            let person = match film.director {
                Some(director) if dice.chance(0.02) => director,
                _ => hire(&mut dice, Trade::Acting),
            };
            order += u32::from(add(&mut credits, Credit { person, trade: Trade::Acting, order: Some(order) }));
        }
    }
    credits
}

/// Adds a credit unless the person has one of the same trade; returns whether it was added.
fn add(credits: &mut Vec<Credit>, new: Credit) -> bool {
    let is_new = !credits.iter().any(|old| old.person == new.person && old.trade == new.trade);
    if is_new {
        credits.push(new);
    }
    is_new
}

/// An external metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) source: &'static str,
    pub(super) kind: &'static str,
    pub(super) value: f64,
}

/// Visible attributes of a movie, without its people.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) title: String,
    pub(super) imdb_number: Option<u32>,
    pub(super) runtime: u32,
    /// Distinct indexes in [`GENRES`].
    pub(super) genres: Vec<usize>,
    /// Distinct ISO codes.
    pub(super) countries: Vec<&'static str>,
    pub(super) metrics: Vec<Metric>,
}

pub(super) fn details(world: &World, film: &Film) -> Details {
    let mut dice = world.dice(Stream::Details, film.id);
    Details {
        title: title(&mut dice, film.language),
        imdb_number: dice.chance(0.95).then(|| film.id * 7 + dice.below(7)),
        runtime: if film.year() < 1915 { 1 + dice.below(40) } else { 68 + dice.below(45) + dice.below(45) },
        genres: genres(&mut dice),
        countries: countries(&mut dice, film.country),
        metrics: metrics(&mut dice, film),
    }
}

fn title(dice: &mut SeededRng, language: &Language) -> String {
    match dice.below(20) {
        0..3 => person_name(dice, language),
        3..8 => format!("{} {}", dice.pick(language.heads), dice.pick(language.tails)),
        _ => {
            let (head, tail) = (dice.pick(language.heads), dice.pick(language.tails));
            format!("{head} {tail} {} {}", language.link, family_name(dice, language))
        }
    }
}

fn genres(dice: &mut SeededRng) -> Vec<usize> {
    let places: [usize; GENRES.len()] = std::array::from_fn(|place| place);
    let mut genres = Vec::new();
    for _ in 0..=dice.below(4) {
        let genre = *dice.pick_by(&places, |place| GENRES[*place].2);
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

fn countries(dice: &mut SeededRng, first: &'static str) -> Vec<&'static str> {
    let mut countries = vec![first];
    if dice.chance(0.14) {
        let second = dice.pick(&COUNTRIES).0;
        if second != first {
            countries.push(second);
        }
    }
    countries
}

/// Approximate maxima as of 2026: votes on IMDb, dollars spent and earned.
const VOTES_MAX: f64 = 3e6;
const BUDGET_MAX: f64 = 4e8;
const REVENUE_MAX: f64 = 2.9e9;

fn metrics(dice: &mut SeededRng, film: &Film) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut add = |source, kind, value| metrics.push(Metric { source, kind, value });

    // Both audiences rate the same noisy impression of the movie's quality.
    let liking = film.quality + 0.3 * dice.normal();
    let votes = exp(7.3 + 1.8 * film.fame + 0.4 * dice.normal()).min(VOTES_MAX);
    if dice.chance(0.9 + 0.1 * film.fame) {
        add("imdb", "rating_average", decimals((6.4 + 0.8 * liking + 0.2 * dice.normal()).clamp(1.0, 9.6), 10.0));
        add("imdb", "rating_votes", (votes + 5.0).floor());
    }
    if dice.chance(0.985) {
        let votes = (0.03 * votes * exp(0.5 * dice.normal())).floor();
        // TMDb stores 0 without votes; few votes are noisy.
        let noise = 0.3 + 1.5 / (votes + 1.0).sqrt();
        let rating = (6.3 + 0.7 * liking + noise * dice.normal()).clamp(0.5, 10.0);
        add("tmdb", "rating_average", if votes > 0.0 { decimals(rating, 1000.0) } else { 0.0 });
        add("tmdb", "rating_votes", votes);
        let recent = if film.year() >= 2010 { 0.5 } else { 0.0 };
        add("tmdb", "popularity_score", decimals(exp(0.6 + recent + 1.1 * film.fame + 0.4 * dice.normal()), 10_000.0));
    }

    if is_known(dice, film, film.moment.span.metascore) {
        let score = 57.0 + 14.0 * film.quality + 8.0 * dice.normal();
        add("metacritic", "metascore", score.round().clamp(1.0, 100.0));
    }
    if is_known(dice, film, film.moment.span.tomatometer) {
        // Percentage of positive reviews: a movie slightly above average pleases most critics.
        let odds = exp(0.6 + 1.2 * film.quality + 0.5 * dice.normal());
        add("rotten_tomatoes", "tomatometer", (100.0 * odds / (odds + 1.0)).round());
    }

    // Nominal dollars, not adjusted for inflation.
    let age = f64::from(2026 - film.year());
    let budget = exp(16.8 - 0.03 * age + 0.5 * film.fame + 0.9 * dice.normal()).min(BUDGET_MAX);
    let revenue = (budget * exp(0.2 + 0.5 * film.fame + 0.9 * dice.normal())).min(REVENUE_MAX);
    if is_known(dice, film, 0.2) {
        add("tmdb", "budget", two_digits(budget));
    }
    if is_known(dice, film, 0.2) {
        add("tmdb", "revenue_worldwide", revenue.round());
    }
    metrics
}

/// Whether the metric exists: with probability `share` on average, higher for well-known movies.
fn is_known(dice: &mut SeededRng, film: &Film, share: f64) -> bool {
    // The mean of exp(0.8 x) over a normal x is exp(0.32).
    dice.chance(share * exp(0.8 * film.fame - 0.32))
}

fn decimals(value: f64, per_one: f64) -> f64 {
    (value * per_one).round() / per_one
}

/// Rounds to two significant digits, as budgets are.
fn two_digits(value: f64) -> f64 {
    let mut unit = 1.0;
    while value / unit >= 100.0 {
        unit *= 10.0;
    }
    (value / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn order_is_a_permutation() {
        for films in [1, 2, 97, 1000, 20_000] {
            let order = Order::of(films, films / 3);
            let places: HashSet<u32> = (1..=films).map(|id| order.place(id)).collect();
            assert_eq!(places.len(), films as usize);
        }
    }

    #[test]
    fn quality_and_fame_are_about_normal_and_correlate() {
        let world = World::of(3, 10_000);
        let films: Vec<Film> = (1..=10_000).map(|id| Film::of(&world, id)).collect();
        let mean = |of: &dyn Fn(&Film) -> f64| films.iter().map(of).sum::<f64>() / 10_000.0;
        assert!(mean(&|film| film.quality).abs() < 0.25);
        assert!((mean(&|film| film.quality * film.quality) - 1.0).abs() < 0.2);
        assert!(mean(&|film| film.quality * film.fame) > 0.3);
    }

    #[test]
    fn credits_are_distinct_per_trade() {
        let world = World::of(3, 2_000);
        for id in 1..=2_000 {
            let credits = credits(&world, &Film::of(&world, id));
            let distinct: HashSet<(u32, &str)> = credits.iter().map(|c| (c.person, c.trade.department())).collect();
            assert_eq!(distinct.len(), credits.len());
        }
    }

    #[test]
    fn budgets_have_two_significant_digits() {
        assert!((two_digits(17_654_321.0) - 18_000_000.0).abs() < 1e-6);
        assert!((two_digits(42.4) - 42.0).abs() < 1e-6);
    }
}
