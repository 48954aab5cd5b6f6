//! Arithmetic in memory, at the size of the largest decade among a million films.

use chrono::{DateTime, Days, NaiveDate};
use cinegraph::scoring::{
    Basis, Decade, DecadeColumns, DecadeColumnsBuilder, DecadeReport, Filter, Membership, MovieId, MovieRow, Ranking,
    ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow, Standing, Weights, likelihood,
};
use divan::{Bencher, black_box};

const FILMS: u32 = 87_000;
const LIST: &str = "1001_movies";

fn main() {
    divan::main();
}

/// Numbers from 0 to 1 without a pattern that a sort could use, the same in each run.
fn part(film: u32, salt: u32) -> f64 {
    let mixed = (film ^ salt.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    f64::from((mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35)) / f64::from(u32::MAX)
}

fn vector(film: u32) -> ScoreVector {
    ScoreVector([1, 2, 3, 4, 5].map(|salt| part(film, salt)))
}

fn lists(film: u32) -> Vec<&'static str> {
    if film.is_multiple_of(1000) { vec![LIST] } else { vec![] }
}

fn decade() -> DecadeColumns {
    let mut columns = DecadeColumnsBuilder::default();
    let words = ["The Return", "of Autumn", "Night", "a Stranger", "in Lisbon", "without End"];
    for film in 0..FILMS {
        let word = |divisor: u32| words[(film / divisor) as usize % words.len()];
        columns.push(MovieRow {
            id: MovieId(i64::from(film)),
            vector: vector(film),
            release_day: NaiveDate::default() + Days::new(u64::from(film % 3652)),
            coverage: 4,
            computed_at: DateTime::UNIX_EPOCH,
            list_keys: lists(film),
            title: &format!("{} {} {film}", word(1), word(7)),
            language: "en",
            genres: vec![film % 19, film % 7],
            countries: vec![film % 60],
        });
    }
    columns.finish()
}

fn snapshot() -> SnapshotColumns {
    let mut columns = SnapshotColumnsBuilder::default();
    for film in 0..FILMS {
        columns.push(SnapshotRow {
            id: MovieId(i64::from(film)),
            published: vector(film),
            blind_cultural_impact: part(film, 6),
            blind_people_quality: part(film, 7),
            popularity: part(film, 8),
            list_keys: lists(film),
        });
    }
    columns.finish(Vec::new())
}

fn weights() -> Weights {
    Weights::normalised([4.0, 4.0, 2.0, 3.0, 1.0]).expect("weights that are none")
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
    let scores: Vec<f64> = (0..25).map(|film| 100.0 * part(film, 1)).collect();
    bencher.bench_local(|| black_box(&scores).iter().map(|score| likelihood(*score)).sum::<f64>());
}
