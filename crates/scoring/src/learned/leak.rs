//! The leak check: whether the data tells listed movies by how it was collected.
//!
//! - Which values are missing, and how old they are, says nothing about a movie's merit. If that tells listed from
//!   unlisted movies, then the listed ones were imported from other sources or at other times, and a model would learn
//!   it. But little is known of obscure movies, which no list contains, and that is no leak. So listed movies are
//!   compared only with those that are about as well known and as well rated, and those without votes or ratings with each
//!   other. Still, more is known of one country's movies than of another's, so that a list of American movies looks like
//!   a leak. Whether a movie has an award is left out, because it does say something about merit. So is whether a value is
//!   known if the values themselves decide which movies are listed: a list of the movies that critics rate highest has
//!   only movies with a rating by critics. Then movies are compared of which both have the value, because other values are
//!   missing where this one is.
//! - If the votes of listed movies were counted later than those of the others, their numbers on one source are too high
//!   for those on another. What such a ratio tells about a movie's kind (its country, its audience) is in the model's
//!   score as well. So listed movies are compared only with those that have about the same score.

use std::cmp::Ordering::{self, Equal, Greater, Less};
use std::collections::HashMap;
use std::ops::ControlFlow;

use super::bins::code;
use super::boosting::{Interrupted, Rows, Settings, fit, row_number};
use super::decade_features::DecadeFeatures;
use super::features::{Direction, Feature};
use super::inputs::MovieInputs;
use super::random::hash;
use super::validation::{ScoredDecade, ScoredMovie};
use crate::Decade;
use crate::accuracy::count;

/// Unlisted movies with which a listed one is compared: at most the five nearest above it and the five below it.
const NEIGHBOURS_PER_SIDE: usize = 5;

/// Largest difference of scores that are compared, in log-odds.
const SCORE_CALIPER: f64 = 0.5;

/// Fewest pairs that say anything.
const MIN_PAIRS: usize = 200;

/// Share of pairs in which the listed movie has the higher value, or the lower one, from which on the values of a feature
/// decide which movies are listed. A choice: a list of good movies has better values than others, and may leak all the same
/// through who has a value; only where a value nearly decides, its absence does too.
const VALUES_DECIDE: f64 = 0.9;

/// Seed that orders movies with equal standings or scores.
const TIES_SEED: u64 = 0x004C_4541;

/// Sources whose values have an age.
const AGES: usize = 4;

/// Features whose missing values the check looks at, one for each value that a source may lack.
const MAY_BE_MISSING: [&str; 13] = [
    "imdb_rating",
    "imdb_votes",
    "tmdb_rating",
    "tmdb_votes_share",
    "popularity_share",
    "metascore",
    "tomatometer",
    "budget_share",
    "revenue_share",
    "language_share",
    "drama",
    "director_works",
    "cast_works",
];

/// Probabilities that a listed movie has a higher score than an unlisted one of about the same standing, when the scores
/// come from a model of only these columns that never saw the movies' decade: 0.5 without a leak. `None` if it cannot be
/// measured, because too few movies can be compared or no value of the columns is known.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Leak {
    /// By which values are missing, and the age of those that are not.
    pub collection: Option<f64>,
    /// By the ratios of IMDb's votes, TMDb's votes, and TMDb's popularity.
    pub votes: Option<f64>,
}

/// Collects listed movies and their neighbours, decade by decade.
#[derive(Debug, Default)]
pub struct LeakCheck {
    collection: Matched,
    votes: Matched,
}

impl LeakCheck {
    /// Adds the movies of a decade. `scored` are the same movies in the same order, with their out-of-decade scores.
    pub fn add(&mut self, features: &DecadeFeatures<'_>, scored: &ScoredDecade) {
        let standing: Vec<f64> = features.standing().into_iter().map(f64::from).collect();
        self.collection.add(scored, &collection_columns(features), &standing, f64::INFINITY);
        let scores: Vec<f64> = scored.movies.iter().map(|movie| movie.score).collect();
        self.votes.add(scored, &vote_columns(features.movies()), &scores, SCORE_CALIPER);
    }

    /// Trains the models of the check, one for each decade and kind of columns.
    ///
    /// # Errors
    /// [`Interrupted`] if `progress` breaks.
    pub fn check(
        &self,
        settings: &Settings,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Leak, Interrupted> {
        // The columns are, for each feature, whether its value is known; then the ages; then the values.
        let values = MAY_BE_MISSING.len() + AGES;
        let (decisive, others): (Vec<usize>, Vec<usize>) =
            (0..MAY_BE_MISSING.len()).partition(|feature| self.collection.values_decide(values + feature));
        let collected: Vec<usize> = others.into_iter().chain(MAY_BE_MISSING.len()..values).collect();
        let known: Vec<usize> = decisive.into_iter().map(|feature| values + feature).collect();
        let collection = self.collection.auc(&collected, &known, settings, &mut |done| progress(done / 2.0))?;
        let ratios: Vec<usize> = (0..self.votes.rows.columns.len()).collect();
        Ok(Leak { collection, votes: self.votes.auc(&ratios, &[], settings, &mut |done| progress(0.5 + done / 2.0))? })
    }
}

/// Which values the model sees as known (1 or 0), the ages of values, and the values.
fn collection_columns(features: &DecadeFeatures<'_>) -> Vec<Vec<f32>> {
    let flag = |is: bool| f32::from(u8::from(is));
    let values: Vec<Vec<f32>> = MAY_BE_MISSING
        .iter()
        .filter_map(|key| Feature::with_key(key))
        .map(|feature| features.column(feature))
        .collect();
    let mut columns: Vec<Vec<f32>> =
        values.iter().map(|column| column.iter().map(|value| flag(!value.is_nan())).collect()).collect();
    let movies = features.movies();
    let ages: [fn(&MovieInputs) -> Option<f32>; AGES] = [
        |movie| movie.ages.imdb,
        |movie| movie.ages.tmdb,
        |movie| movie.ages.metacritic,
        |movie| movie.ages.rotten_tomatoes,
    ];
    columns.extend(ages.map(|age| movies.iter().map(|movie| age(movie).unwrap_or(f32::NAN)).collect()));
    columns.extend(values);
    columns
}

fn vote_columns(movies: &[MovieInputs]) -> Vec<Vec<f32>> {
    let log = |number: Option<f32>| number.filter(|number| *number > 0.0).map_or(f32::NAN, f32::ln);
    let ratio = |a: fn(&MovieInputs) -> Option<f32>, b: fn(&MovieInputs) -> Option<f32>| {
        movies.iter().map(|movie| log(a(movie)) - log(b(movie))).collect()
    };
    vec![
        ratio(|movie| movie.imdb.votes, |movie| movie.tmdb.votes),
        ratio(|movie| movie.imdb.votes, |movie| movie.popularity),
        ratio(|movie| movie.tmdb.votes, |movie| movie.popularity),
    ]
}

/// What a pair counts in which the listed movie compares with the other one like this.
fn share_won(listed: Ordering) -> f64 {
    match listed {
        Greater => 1.0,
        Equal => 0.5,
        Less => 0.0,
    }
}

/// Listed movies, each with the unlisted ones that are nearest to it.
#[derive(Debug, Default)]
struct Matched {
    rows: Rows,
    decades: Vec<Decade>,
    /// Rows of a listed movie and of one of its neighbours.
    pairs: Vec<(u32, u32)>,
}

impl Matched {
    /// Adds the listed movies of a decade and the nearest unlisted ones `by` the given numbers, which differ by at most
    /// `caliper`. Movies without a number (NaN) are near to each other and to no others.
    fn add(&mut self, scored: &ScoredDecade, columns: &[Vec<f32>], by: &[f64], caliper: f64) {
        let movies = &scored.movies;
        let tie = |row: usize| hash(TIES_SEED, movies[row].id.0.cast_unsigned());
        let mut order: Vec<usize> = (0..movies.len().min(by.len())).collect();
        order.sort_by(|a, b| {
            let known = by[*a].is_nan().cmp(&by[*b].is_nan());
            known.then_with(|| by[*a].partial_cmp(&by[*b]).unwrap_or(Equal)).then_with(|| tie(*a).cmp(&tie(*b)))
        });
        let mut added: HashMap<usize, u32> = HashMap::new();
        for (at, row) in order.iter().copied().enumerate().filter(|(_, row)| movies[*row].listed) {
            let is_near =
                |other: &usize| (by[*other] - by[row]).abs() <= caliper || by[*other].is_nan() && by[row].is_nan();
            let is_unlisted = |other: &usize| !movies[*other].listed;
            let above = order[at + 1..].iter().copied().take_while(is_near).filter(is_unlisted);
            let below = order[..at].iter().rev().copied().take_while(is_near).filter(is_unlisted);
            for other in above.take(NEIGHBOURS_PER_SIDE).chain(below.take(NEIGHBOURS_PER_SIDE)) {
                let [listed, other] = [row, other].map(|row| {
                    *added.entry(row).or_insert_with(|| self.push(scored.decade, movies[row], columns, row))
                });
                self.pairs.push((listed, other));
            }
        }
    }

    fn push(&mut self, decade: Decade, movie: ScoredMovie, columns: &[Vec<f32>], row: usize) -> u32 {
        self.rows.columns.resize(columns.len(), vec![]);
        self.rows.columns.iter_mut().zip(columns).for_each(|(column, values)| column.push(values[row]));
        self.rows.ids.push(movie.id.0);
        self.rows.listed.push(movie.listed);
        self.rows.weights.push(1.0);
        self.decades.push(decade);
        row_number(self.decades.len() - 1)
    }

    /// Whether the values of a column nearly decide which of two neighbours is listed.
    fn values_decide(&self, column: usize) -> bool {
        let Some(values) = self.rows.columns.get(column) else { return false };
        let values = self.pairs.iter().map(|(listed, other)| (values[*listed as usize], values[*other as usize]));
        let order = values.filter_map(|(listed, other)| listed.partial_cmp(&other));
        let (pairs, won) = order.fold((0, 0.0), |(pairs, won), order| (pairs + 1, won + share_won(order)));
        let share = won / count(pairs.max(1));
        pairs >= MIN_PAIRS && (share >= VALUES_DECIDE || share <= 1.0 - VALUES_DECIDE)
    }

    /// The probability that these columns tell a listed movie from its neighbours, over the pairs of which both have a value in
    /// each of the columns `known`.
    fn auc(
        &self,
        columns: &[usize],
        known: &[usize],
        settings: &Settings,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Option<f64>, Interrupted> {
        let columns = columns.iter().filter_map(|column| self.rows.columns.get(*column)).cloned().collect();
        let rows = Rows { columns, ..self.rows.clone() };
        let nothing_known = rows.columns.iter().flatten().all(|value| value.is_nan());
        let has_all = |row: u32| known.iter().all(|column| !self.rows.columns[*column][row as usize].is_nan());
        let is_compared = |(listed, other): &&(u32, u32)| has_all(*listed) && has_all(*other);
        let pairs: Vec<_> = self.pairs.iter().filter(is_compared).collect();
        if nothing_known || pairs.len() < MIN_PAIRS {
            return Ok(None);
        }
        let mut own: Vec<Decade> = self.decades.clone();
        own.dedup();
        let directions = vec![Direction::Free; rows.columns.len()];
        let mut scores = vec![0.0_f64; self.decades.len()];
        let all = count(own.len());
        for (done, decade) in own.into_iter().enumerate() {
            let of_decade = |row: &usize| self.decades[*row] == decade;
            let mut used: Vec<u32> = (0..scores.len()).filter(|row| !of_decade(row)).map(row_number).collect();
            used.sort_unstable_by_key(|row| rows.ids[*row as usize]);
            let fit = fit(&rows, &used, &directions, settings, &mut |share| progress((count(done) + share) / all))?;
            for row in (0..scores.len()).filter(of_decade) {
                let values = rows.columns.iter().map(|column| column[row]);
                scores[row] =
                    fit.shapes.iter().zip(values).map(|(shape, value)| shape.score_of(code(&shape.edges, value))).sum();
            }
        }
        let won =
            |(listed, other): &&(u32, u32)| share_won(scores[*listed as usize].total_cmp(&scores[*other as usize]));
        Ok(Some(pairs.iter().map(won).sum::<f64>() / count(pairs.len())))
    }
}
