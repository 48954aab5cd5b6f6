//! Generated movies: hidden quality and fame, and the ratings, reviews, people and money derived from them.

use chrono::Datelike;

use super::catalogue::Catalogue;
use super::people::{Department, family_name, person_name};
use super::seeded_rng::{SeededRng, Stream, exp};
use super::timeline::Release;
use super::words::{COUNTRIES, GENRES, LANGUAGES, Language};

/// Hidden attributes of a movie. Quality and fame have a mean of about 0 and a deviation of about 1.
#[derive(Debug)]
pub(super) struct Movie {
    pub(super) id: u32,
    pub(super) release: Release,
    /// False if the release date is unknown.
    pub(super) is_dated: bool,
    pub(super) is_full: bool,
    pub(super) language: &'static Language,
    pub(super) country: &'static str,
    pub(super) quality: f64,
    pub(super) fame: f64,
    pub(super) director: Option<u32>,
}

impl Movie {
    pub(super) fn of(catalogue: &Catalogue, id: u32) -> Self {
        let mut rng = catalogue.rng(Stream::Movie, id);
        let release = catalogue.release(id);
        let language = rng.pick_by(&LANGUAGES, |language| language.share);
        let country = rng.pick_by(&language.countries, |(_, weight)| *weight).0;
        let director = catalogue.people.pick_person(&mut rng, Department::Directing, language, release.date);
        let quality = 0.45 * catalogue.people.talent(director) + 0.85 * rng.normal();
        let is_full = rng.chance(0.97);
        // Movies fail the quality filter because they are little known.
        let obscurity = if is_full { 0.0 } else { 1.5 };
        let fame = 0.45 * quality + 0.89 * rng.normal() - obscurity;
        let is_dated = rng.chance(0.98 + 0.01 * fame);
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

/// Maximum cast of a movie.
const CAST_MAX: u32 = 6;

/// Directors first, then the cast by billing order; no person twice in one department.
pub(super) fn credits(catalogue: &Catalogue, movie: &Movie) -> Vec<Credit> {
    let mut rng = catalogue.rng(Stream::Credits, movie.id);
    let mut credits = Vec::new();
    let pick_person = |rng: &mut SeededRng, department| {
        catalogue.people.pick_person(rng, department, movie.language, movie.release.date)
    };
    if let Some(person) = movie.director {
        credits.push(Credit { person, department: Department::Directing, order: None });
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
        // Each movie has seven numbers of its own, so no number occurs twice.
        imdb_number: rng.chance(0.95).then(|| movie.id * 7 + rng.below(7)),
        runtime: if movie.year() < 1915 { 1 + rng.below(40) } else { 68 + rng.below(45) + rng.below(45) },
        genres: genres(&mut rng),
        countries: countries(&mut rng, movie.country),
        metrics: metrics(&mut rng, movie),
    }
}

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

fn genres(rng: &mut SeededRng) -> Vec<usize> {
    let positions: [usize; GENRES.len()] = std::array::from_fn(|position| position);
    let mut genres = Vec::new();
    for _ in 0..=rng.below(4) {
        let genre = *rng.pick_by(&positions, |position| GENRES[*position].2);
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

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

/// Approximate maxima as of 2026: votes on IMDb, dollars spent and earned.
const VOTES_MAX: f64 = 3e6;
const BUDGET_MAX: f64 = 4e8;
const REVENUE_MAX: f64 = 2.9e9;

/// Ratings, votes, critics' scores and money. The coefficients are chosen, not fitted: they give values of the size and
/// spread that the sources publish, which rise with the movie's quality and fame.
fn metrics(rng: &mut SeededRng, movie: &Movie) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut add = |source, kind, value| metrics.push(Metric { source, kind, value });

    // Both audiences rate the same noisy impression of the movie's quality.
    let reception = movie.quality + 0.3 * rng.normal();
    let votes = exp(7.3 + 1.8 * movie.fame + 0.4 * rng.normal()).min(VOTES_MAX);
    if rng.chance(0.9 + 0.1 * movie.fame) {
        add("imdb", "rating_average", decimals((6.4 + 0.8 * reception + 0.2 * rng.normal()).clamp(1.0, 9.6), 10.0));
        add("imdb", "rating_votes", (votes + 5.0).floor());
    }
    if rng.chance(0.985) {
        let votes = (0.03 * votes * exp(0.5 * rng.normal())).floor();
        // TMDb stores 0 without votes; few votes are noisy.
        let noise = 0.3 + 1.5 / (votes + 1.0).sqrt();
        let rating = (6.3 + 0.7 * reception + noise * rng.normal()).clamp(0.5, 10.0);
        add("tmdb", "rating_average", if votes > 0.0 { decimals(rating, 1000.0) } else { 0.0 });
        add("tmdb", "rating_votes", votes);
        // TMDb's popularity measures current interest, which is higher for recent movies.
        let recent = if movie.year() >= 2010 { 0.5 } else { 0.0 };
        add("tmdb", "popularity_score", decimals(exp(0.6 + recent + 1.1 * movie.fame + 0.4 * rng.normal()), 10_000.0));
    }

    if is_known(rng, movie, movie.release.decade.metascore) {
        let score = 57.0 + 14.0 * movie.quality + 8.0 * rng.normal();
        add("metacritic", "metascore", score.round().clamp(1.0, 100.0));
    }
    if is_known(rng, movie, movie.release.decade.tomatometer) {
        // Percentage of positive reviews: a movie slightly above average pleases most critics.
        let odds = exp(0.6 + 1.2 * movie.quality + 0.5 * rng.normal());
        add("rotten_tomatoes", "tomatometer", (100.0 * odds / (odds + 1.0)).round());
    }

    // Nominal dollars, not adjusted for inflation.
    let age = f64::from(2026 - movie.year());
    let budget = exp(16.8 - 0.03 * age + 0.5 * movie.fame + 0.9 * rng.normal()).min(BUDGET_MAX);
    let revenue = (budget * exp(0.2 + 0.5 * movie.fame + 0.9 * rng.normal())).min(REVENUE_MAX);
    if is_known(rng, movie, 0.2) {
        add("tmdb", "budget", two_digits(budget));
    }
    if is_known(rng, movie, 0.2) {
        add("tmdb", "revenue_worldwide", revenue.round());
    }
    metrics
}

/// Whether the metric exists: with probability `share` on average, higher for well-known movies.
fn is_known(rng: &mut SeededRng, movie: &Movie, share: f64) -> bool {
    // The mean of exp(0.8 x) over a normal x is exp(0.32).
    rng.chance(share * exp(0.8 * movie.fame - 0.32))
}

/// Rounds to multiples of 1 / `per_one`: with 10.0 to one decimal.
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
