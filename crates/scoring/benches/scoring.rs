//! Benchmarks of the in-memory arithmetic, at the size of the largest decade in a catalogue of a million movies.

use chrono::{DateTime, Days, NaiveDate};
use cinegraph_scoring::{
    Basis, Decade, DecadeColumns, DecadeColumnsBuilder, DecadeReport, Filter, Membership, MovieId, MovieRow, Ranking,
    ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow, Standing, Weights, likelihood,
};
use divan::{Bencher, black_box};

/// Movies of the largest decade when the catalogue has a million.
const MOVIES: u32 = 87_000;
const LIST: &str = "1001_movies";

fn main() {
    divan::main();
}

/// A pseudo-random number from 0 to 1, the same in each run. Each `salt` gives an independent number for a movie.
fn random_share(movie: u32, salt: u32) -> f64 {
    // The last two multipliers are those of MurmurHash3.
    let mixed = (movie ^ salt.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    f64::from((mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35)) / f64::from(u32::MAX)
}

fn vector(movie: u32) -> ScoreVector {
    ScoreVector([1, 2, 3, 4, 5].map(|salt| random_share(movie, salt)))
}

fn lists(movie: u32) -> Vec<&'static str> {
    if movie.is_multiple_of(1000) { vec![LIST] } else { vec![] }
}

fn decade() -> DecadeColumns {
    let mut columns = DecadeColumnsBuilder::default();
    let words = ["The Return", "of Autumn", "Night", "a Stranger", "in Lisbon", "without End"];
    for movie in 0..MOVIES {
        let word = |divisor: u32| words[(movie / divisor) as usize % words.len()];
        columns.push(MovieRow {
            id: MovieId(i64::from(movie)),
            vector: vector(movie),
            release_day: NaiveDate::default() + Days::new(u64::from(movie % 3652)),
            coverage: 4,
            computed_at: DateTime::UNIX_EPOCH,
            list_keys: lists(movie),
            title: &format!("{} {} {movie}", word(1), word(7)),
            language: "en",
            genres: vec![movie % 19, movie % 7],
            countries: vec![movie % 60],
        });
    }
    columns.finish()
}

fn snapshot() -> SnapshotColumns {
    let mut columns = SnapshotColumnsBuilder::default();
    for movie in 0..MOVIES {
        columns.push(SnapshotRow {
            id: MovieId(i64::from(movie)),
            published: vector(movie),
            blind_cultural_impact: random_share(movie, 6),
            blind_people_quality: random_share(movie, 7),
            popularity: random_share(movie, 8),
            votes: random_share(movie, 9),
            list_keys: lists(movie),
        });
    }
    columns.finish(Vec::new())
}

fn weights() -> Weights {
    Weights::normalised([4.0, 4.0, 2.0, 3.0, 1.0]).expect("valid weights")
}

fn candidates(decade: &DecadeColumns) -> Ranking {
    Ranking::of(&decade.scores, weights(), Membership::NotOn(LIST))
}

#[divan::bench]
fn score_a_decade(bencher: Bencher) {
    let decade = decade();
    bencher.bench_local(|| candidates(black_box(&decade)));
}

fn page(bencher: Bencher, filter: &Filter, after: Option<Standing>) {
    let decade = decade();
    bencher.bench_local(|| candidates(black_box(&decade)).page(&decade, filter, after, 25));
}

#[divan::bench]
fn first_page_with_ranks(bencher: Bencher) {
    page(bencher, &Filter::default(), None);
}

#[divan::bench]
fn deep_page_with_ranks(bencher: Bencher) {
    page(bencher, &Filter::default(), Some(Standing { score: 50.0, id: MovieId(0) }));
}

#[divan::bench]
fn page_by_genre_and_title(bencher: Bencher) {
    let filter = Filter { genres: Some(vec![3]), title: Some("the".to_owned()), ..Filter::default() };
    page(bencher, &filter, None);
}

#[divan::bench]
fn validate_a_decade(bencher: Bencher) {
    let columns = snapshot();
    let decade = Decade::CURRENT;
    bencher.bench_local(|| DecadeReport::of(decade, black_box(&columns), LIST, weights(), Basis::Blind));
}

#[divan::bench]
fn likelihoods_of_a_page(bencher: Bencher) {
    let scores: Vec<f64> = (0..25).map(|movie| 100.0 * random_share(movie, 1)).collect();
    bencher.bench_local(|| black_box(&scores).iter().map(|score| likelihood(*score)).sum::<f64>());
}
