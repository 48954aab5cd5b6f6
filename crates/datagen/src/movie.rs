//! Generated movies: hidden quality and fame, and the ratings, reviews, people and money derived from them.
//!
//! Probabilities and coefficients are chosen, not fitted, so that movies look plausible together.

use chrono::Datelike;

use super::catalogue::Catalogue;
use super::people::{Department, family_name, person_name};
use super::seeded_rng::{SeededRng, Stream, exp};
use super::timeline::{LAST_YEAR, Release};
use super::words::{COUNTRIES, GENRES, LANGUAGES, Language};

/// Hidden attributes of a movie. Quality and fame have a mean of about 0 and a standard deviation of about 1.
#[derive(Debug)]
pub(super) struct Movie {
    pub(super) id: u32,
    pub(super) release: Release,
    /// Whether the release date is known. If not, the movie's row has none, but `release` still decides everything
    /// else.
    pub(super) is_dated: bool,
    /// Whether the movie is fully imported.
    pub(super) is_full: bool,
    pub(super) language: &'static Language,
    pub(super) country: &'static str,
    pub(super) quality: f64,
    pub(super) fame: f64,
    /// `None` if the director is unknown.
    pub(super) director: Option<u32>,
}

impl Movie {
    pub(super) fn of(catalogue: &Catalogue, id: u32) -> Self {
        let mut rng = catalogue.rng(Stream::Movie, id);
        let release = catalogue.release(id);
        let language = rng.pick_by(&LANGUAGES, |language| language.share);
        let country = rng.pick_by(&language.countries, |(_, weight)| *weight).0;
        let director = catalogue.people.pick_person(&mut rng, Department::Directing, language, release.date);
        // The factors of quality and fame are chosen so that their standard deviations stay at about 1.
        let quality = 0.45 * catalogue.people.talent(director) + 0.85 * rng.normal();
        let is_full = rng.chance(0.97);
        // Movies that are not fully imported are little known: the quality filter of a host application rejects them.
        let obscurity = if is_full { 0.0 } else { 1.5 };
        let fame = 0.45 * quality + 0.89 * rng.normal() - obscurity;
        let is_dated = rng.chance(0.98 + 0.01 * fame);
        // Every movie has a director, whose talent counts above, but the director of some movies is not recorded.
        let director = rng.chance(release.decade.director + 0.1 * fame).then_some(director);
        Self { id, release, is_dated, is_full, language, country, quality, fame, director }
    }

    pub(super) fn year(&self) -> i32 {
        self.release.date.year()
    }
}

/// A credit of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Credit {
    pub(super) person: u32,
    pub(super) department: Department,
    /// Billing order from 0; only for cast.
    pub(super) order: Option<u32>,
}

/// Maximum number of cast members that are drawn for a movie; the minimum is 2.
const CAST_MAX: u32 = 6;

/// Credits of a movie: directors first, then the cast in billing order. No person occurs twice in one department.
pub(super) fn credits(catalogue: &Catalogue, movie: &Movie) -> Vec<Credit> {
    let mut rng = catalogue.rng(Stream::Credits, movie.id);
    let mut credits = Vec::new();
    let pick_person = |rng: &mut SeededRng, department| {
        catalogue.people.pick_person(rng, department, movie.language, movie.release.date)
    };
    if let Some(person) = movie.director {
        credits.push(Credit { person, department: Department::Directing, order: None });
        // A few movies have two directors.
        if rng.chance(0.06) {
            let second = pick_person(&mut rng, Department::Directing);
            add(&mut credits, Credit { person: second, department: Department::Directing, order: None });
        }
    }
    if rng.chance(movie.release.decade.cast + 0.1 * movie.fame) {
        let mut order = 0;
        for _ in 0..2 + rng.below(CAST_MAX - 1) {
            // Some directors act in their own movies.
            let person = match movie.director {
                Some(director) if rng.chance(0.02) => director,
                _ => pick_person(&mut rng, Department::Acting),
            };
            // A person who was drawn before takes no place in the billing order.
            order +=
                u32::from(add(&mut credits, Credit { person, department: Department::Acting, order: Some(order) }));
        }
    }
    credits
}

/// Adds a credit unless the person has one in the same department; returns whether it was added.
fn add(credits: &mut Vec<Credit>, new: Credit) -> bool {
    let is_new = !credits.iter().any(|old| old.person == new.person && old.department == new.department);
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

pub(super) fn details(catalogue: &Catalogue, movie: &Movie) -> Details {
    let mut rng = catalogue.rng(Stream::Details, movie.id);
    Details {
        title: title(&mut rng, movie.language),
        // Each movie has a range of seven numbers, so no number occurs twice, and the numbers have gaps like IMDb's.
        imdb_number: rng.chance(0.95).then(|| movie.id * 7 + rng.below(7)),
        // In minutes. Movies before 1915 were short.
        runtime: if movie.year() < 1915 { 1 + rng.below(40) } else { 68 + rng.below(45) + rng.below(45) },
        genres: genres(&mut rng),
        countries: countries(&mut rng, movie.country),
        metrics: metrics(&mut rng, movie),
    }
}

/// A person's name (15 %), head and tail (25 %), or head and tail with a family name (60 %).
fn title(rng: &mut SeededRng, language: &Language) -> String {
    match rng.below(20) {
        0..3 => person_name(rng, language),
        3..8 => format!("{} {}", rng.pick(&language.heads), rng.pick(&language.tails)),
        _ => {
            let (head, tail) = (rng.pick(&language.heads), rng.pick(&language.tails));
            format!("{head} {tail} {} {}", language.link, family_name(rng, language))
        }
    }
}

/// One to four distinct indexes in [`GENRES`].
fn genres(rng: &mut SeededRng) -> Vec<usize> {
    let positions: [usize; GENRES.len()] = std::array::from_fn(|position| position);
    let mut genres = Vec::new();
    for _ in 0..=rng.below(4) {
        let genre = *rng.pick_by(&positions, |position| {
            let (_, _, share) = GENRES[*position];
            share
        });
        // A genre that is drawn twice counts once.
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

/// The movie's country, and for every seventh movie or so a second one: a co-production.
fn countries(rng: &mut SeededRng, first: &'static str) -> Vec<&'static str> {
    let mut countries = vec![first];
    if rng.chance(0.14) {
        let second = rng.pick(&COUNTRIES).0;
        if second != first {
            countries.push(second);
        }
    }
    countries
}

/// Most votes for a movie on IMDb, about, as of 2026.
const VOTES_MAX: f64 = 3e6;
/// Largest budget of a movie, about, as of 2026. In US dollars.
const BUDGET_MAX: f64 = 4e8;
/// Largest revenue of a movie, about, as of 2026. In US dollars.
const REVENUE_MAX: f64 = 2.9e9;

/// Ratings, votes, critics' scores and money. The coefficients are chosen, not fitted: the values have about the size
/// and spread of those that the sources publish, and rise with the movie's quality and fame.
fn metrics(rng: &mut SeededRng, movie: &Movie) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut add = |source, kind, value| metrics.push(Metric { source, kind, value });

    // The audiences of IMDb and TMDb rate the same impression of the movie, which is its quality with noise.
    let reception = movie.quality + 0.3 * rng.normal();
    let votes = exp(7.3 + 1.8 * movie.fame + 0.4 * rng.normal()).min(VOTES_MAX);
    if rng.chance(0.9 + 0.1 * movie.fame) {
        add("imdb", "rating_average", decimals((6.4 + 0.8 * reception + 0.2 * rng.normal()).clamp(1.0, 9.6), 10.0));
        add("imdb", "rating_votes", (votes + 5.0).floor());
    }
    if rng.chance(0.985) {
        let votes = (0.03 * votes * exp(0.5 * rng.normal())).floor();
        // An average of few votes is noisy. TMDb stores the average 0 for a movie without votes.
        let noise = 0.3 + 1.5 / (votes + 1.0).sqrt();
        let rating = (6.3 + 0.7 * reception + noise * rng.normal()).clamp(0.5, 10.0);
        add("tmdb", "rating_average", if votes > 0.0 { decimals(rating, 1000.0) } else { 0.0 });
        add("tmdb", "rating_votes", votes);
        // TMDb's popularity measures current interest, which is higher for recent movies.
        let recent = if movie.year() >= 2010 { 0.5 } else { 0.0 };
        add("tmdb", "popularity_score", decimals(exp(0.6 + recent + 1.1 * movie.fame + 0.4 * rng.normal()), 10_000.0));
    }

    if draw_is_known(rng, movie, movie.release.decade.metascore) {
        let score = 57.0 + 14.0 * movie.quality + 8.0 * rng.normal();
        add("metacritic", "metascore", score.round().clamp(1.0, 100.0));
    }
    if draw_is_known(rng, movie, movie.release.decade.tomatometer) {
        // The tomatometer is the percentage of positive reviews: a movie slightly above average pleases most critics.
        // Odds keep it between 0 and 100.
        let odds = exp(0.6 + 1.2 * movie.quality + 0.5 * rng.normal());
        add("rotten_tomatoes", "tomatometer", (100.0 * odds / (odds + 1.0)).round());
    }

    // Nominal dollars, not adjusted for inflation: budgets of older movies are lower, by 3 % per year.
    let age = f64::from(LAST_YEAR - movie.year());
    let budget = exp(16.8 - 0.03 * age + 0.5 * movie.fame + 0.9 * rng.normal()).min(BUDGET_MAX);
    let revenue = (budget * exp(0.2 + 0.5 * movie.fame + 0.9 * rng.normal())).min(REVENUE_MAX);
    if draw_is_known(rng, movie, 0.2) {
        add("tmdb", "budget", two_digits(budget));
    }
    if draw_is_known(rng, movie, 0.2) {
        add("tmdb", "revenue_worldwide", revenue.round());
    }
    metrics
}

/// Draws whether a source has the metric: with probability `share` on average, higher for well-known movies.
fn draw_is_known(rng: &mut SeededRng, movie: &Movie, share: f64) -> bool {
    // Divided by exp(0.32), the mean of exp(0.8 x) over a normal x, so that the average probability is `share`.
    rng.chance(share * exp(0.8 * movie.fame - 0.32))
}

/// Rounds to a multiple of 1 / `per_one`: 10.0 gives one decimal, 100.0 two.
fn decimals(value: f64, per_one: f64) -> f64 {
    (value * per_one).round() / per_one
}

/// Rounds to two significant digits, as published budgets are.
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
    fn quality_and_fame_are_about_normal_and_correlate() {
        let catalogue = Catalogue::of(3, 10_000);
        let movies: Vec<Movie> = (1..=10_000).map(|id| Movie::of(&catalogue, id)).collect();
        let mean = |of: &dyn Fn(&Movie) -> f64| movies.iter().map(of).sum::<f64>() / 10_000.0;
        assert!(mean(&|movie| movie.quality).abs() < 0.25);
        assert!((mean(&|movie| movie.quality * movie.quality) - 1.0).abs() < 0.2);
        assert!(mean(&|movie| movie.quality * movie.fame) > 0.3);
    }

    #[test]
    fn credits_are_distinct_per_department() {
        let catalogue = Catalogue::of(3, 2_000);
        for id in 1..=2_000 {
            let credits = credits(&catalogue, &Movie::of(&catalogue, id));
            let distinct: HashSet<(u32, &str)> = credits.iter().map(|c| (c.person, c.department.name())).collect();
            assert_eq!(distinct.len(), credits.len());
        }
    }

    #[test]
    fn budgets_have_two_significant_digits() {
        assert!((two_digits(17_654_321.0) - 18_000_000.0).abs() < 1e-6);
        assert!((two_digits(42.4) - 42.0).abs() < 1e-6);
    }
}
