//! Feature values of one decade's movies, computed from their inputs without any label.

use std::collections::HashMap;

use super::awards::{CategoryGroup, Organization};
use super::features::{By, Feature, Measure, MovieValue, PersonRecord, Role, Within};
use super::inputs::{
    DecadeInputs, GENRES, IMDB_PRIOR_VOTES, MovieInputs, OtherWorks, Rating, TMDB_PRIOR_VOTES, Work, shrunk,
};
use crate::accuracy::count;
use crate::{Decade, MovieId};

/// IMDb has about this many votes for each one of TMDb; used only to place movies that have votes on one of them.
const IMDB_VOTES_PER_TMDB_VOTE: f32 = 20.0;

/// Computes the features of a decade, column by column, so that a caller never holds more columns than it needs.
#[derive(Debug)]
pub struct DecadeFeatures<'a> {
    inputs: &'a DecadeInputs,
    imdb_rating: Vec<f32>,
    tmdb_rating: Vec<f32>,
    quality: Ranked,
    fame: Ranked,
    /// Without the movies that have no award: where none has one, all would share the first place.
    prestige: Ranked,
    works: Vec<Work>,
    /// Organizations with a nomination in the decade. Of the others nothing is known: 0 would be wrong for movies older
    /// than the award.
    awarding: Vec<Organization>,
    /// Number of the language of each movie, in the order of their first movies.
    languages: Vec<Option<usize>>,
    /// Share of the movies with a known language that have each one.
    language_shares: Vec<f32>,
}

impl<'a> DecadeFeatures<'a> {
    /// Prepares the features of the decade.
    #[must_use]
    pub fn of(inputs: &'a DecadeInputs) -> Self {
        let movies = &inputs.movies;
        let imdb_rating = shrunk_to_mean(movies.iter().map(|movie| movie.imdb), IMDB_PRIOR_VOTES);
        let tmdb_rating = shrunk_to_mean(movies.iter().map(|movie| movie.tmdb), TMDB_PRIOR_VOTES);
        let quality = imdb_rating.iter().zip(&tmdb_rating).map(|(imdb, tmdb)| mean_of_known(*imdb, *tmdb)).collect();
        let fame = movies.iter().map(fame).collect();
        let works: Vec<Work> = movies.iter().map(MovieInputs::work).collect();
        let mut awarding = Organization::ALL.to_vec();
        awarding.retain(|one| movies.iter().any(|movie| movie.awards.iter().any(|award| award.organization == *one)));
        #[expect(clippy::cast_precision_loss, reason = "a movie has far fewer than 2^24 nominations")]
        let prestige =
            works.iter().map(|work| if work.prestige > 0 { work.prestige as f32 } else { f32::NAN }).collect();
        let (languages, language_shares) = languages(movies);
        let [quality, fame, prestige] = [quality, fame, prestige].map(Ranked::of);
        Self { inputs, imdb_rating, tmdb_rating, quality, fame, prestige, works, awarding, languages, language_shares }
    }

    /// The decade.
    #[must_use]
    pub fn decade(&self) -> Decade {
        self.inputs.decade
    }

    /// Keys of the other lists.
    #[must_use]
    pub fn lists(&self) -> &[String] {
        &self.inputs.lists
    }

    /// Number of movies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.movies.len()
    }

    /// Whether there are no movies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.movies.is_empty()
    }

    /// Ids of the movies, in the order of the columns.
    pub fn ids(&self) -> impl Iterator<Item = MovieId> {
        self.inputs.movies.iter().map(|movie| movie.id)
    }

    /// The movies, in the order of the columns.
    pub(super) fn movies(&self) -> &[MovieInputs] {
        &self.inputs.movies
    }

    /// How well known and how well rated each movie is, from 0 down; NaN if either is unknown.
    pub(super) fn standing(&self) -> Vec<f32> {
        let of = |by: By| self.places(by, Within::Decade);
        of(By::Fame).into_iter().zip(of(By::Quality)).map(|(fame, quality)| fame + quality).collect()
    }

    /// Values of one feature, in the order of the movies. NaN is a missing value.
    #[must_use]
    pub fn column(&self, feature: &Feature) -> Vec<f32> {
        let mut column = self.measured(feature.measure);
        // An infinite value is an error of its source.
        column.iter_mut().filter(|value| value.is_infinite()).for_each(|value| *value = f32::NAN);
        column
    }

    fn measured(&self, measure: Measure) -> Vec<f32> {
        match measure {
            Measure::Raw(value) => self.values(value),
            Measure::Share(value) => shares_below(self.values(value)),
            Measure::Place(by, within) => self.places(by, within),
            Measure::LanguageShare => {
                self.languages.iter().map(|own| own.map_or(f32::NAN, |own| self.language_shares[own])).collect()
            }
            Measure::Genre(_) | Measure::Language(_) | Measure::YearOfDecade => {
                self.each(|movie| self.origin(movie, measure))
            }
            Measure::OnList(_) | Measure::Lists | Measure::BestPosition => {
                self.each(|movie| self.memberships(movie, measure))
            }
            Measure::People(role, record) => {
                let own = self.inputs.movies.iter().zip(&self.works);
                own.map(|(movie, work)| person_record(movie, *work, role, record).unwrap_or(f32::NAN)).collect()
            }
            measure => self.each(|movie| self.awards(movie, measure)),
        }
    }

    fn each(&self, value: impl Fn(&MovieInputs) -> Option<f32>) -> Vec<f32> {
        self.inputs.movies.iter().map(|movie| value(movie).unwrap_or(f32::NAN)).collect()
    }

    fn values(&self, value: MovieValue) -> Vec<f32> {
        let positive = |value: Option<f32>| value.filter(|value| *value > 0.0);
        match value {
            MovieValue::ImdbRating => self.imdb_rating.clone(),
            MovieValue::TmdbRating => self.tmdb_rating.clone(),
            MovieValue::ImdbVotes => self.each(|movie| positive(movie.imdb.votes)),
            MovieValue::TmdbVotes => self.each(|movie| positive(movie.tmdb.votes)),
            MovieValue::Popularity => self.each(|movie| positive(movie.popularity)),
            MovieValue::Metascore => self.each(|movie| movie.metascore),
            MovieValue::Tomatometer => self.each(|movie| movie.tomatometer),
            MovieValue::Budget => self.each(|movie| positive(movie.budget)),
            MovieValue::Revenue => self.each(|movie| positive(movie.revenue)),
        }
    }

    fn places(&self, by: By, within: Within) -> Vec<f32> {
        let ranked = match by {
            By::Quality => &self.quality,
            By::Fame => &self.fame,
            By::Prestige => &self.prestige,
        };
        let movies = &self.inputs.movies;
        match within {
            // Keys are small numbers: the last digit of the year.
            Within::Year => ranked.places(|row| [movies[row].year.rem_euclid(10).unsigned_abs() as usize]),
            Within::Decade => ranked.places(|_| [0]),
            Within::Language => ranked.places(|row| self.languages[row]),
            Within::Genre => {
                ranked.places(|row| (0..GENRES.len()).filter(move |genre| movies[row].genres >> genre & 1 == 1))
            }
        }
    }

    fn awards(&self, movie: &MovieInputs, measure: Measure) -> Option<f32> {
        let organization = match measure {
            Measure::Top(organization) | Measure::Nominations(organization) => Some(organization),
            Measure::Academy(_) => Some(Organization::Academy),
            _ => None,
        };
        let known = organization.map_or(!self.awarding.is_empty(), |one| self.awarding.contains(&one));
        let counted = movie.awards.iter().filter(|award| {
            organization.is_none_or(|one| award.organization == one)
                && match measure {
                    Measure::Top(_) | Measure::AllTop => award.group == CategoryGroup::Top,
                    Measure::Academy(group) => award.group == group,
                    _ => true,
                }
        });
        let (nominations, wins) = counted.fold((0, 0), |(nominations, wins), award| {
            (nominations + u32::from(award.nominations), wins + u32::from(award.wins))
        });
        let value = match measure {
            Measure::Top(_) => u32::from(nominations > 0) + u32::from(wins > 0),
            Measure::AllNominations | Measure::AllTop => nominations,
            Measure::AllWins => wins,
            _ => nominations + wins,
        };
        known.then_some(number(value))
    }

    fn memberships(&self, movie: &MovieInputs, measure: Measure) -> Option<f32> {
        match measure {
            Measure::OnList(list) if usize::from(list) < self.inputs.lists.len() => {
                let found = movie.lists.iter().find(|on| on.list == list);
                Some(found.map_or(0.0, |on| 1.0 + on.position.map_or(0.0, |at| 1.0 / (1.0 + number(at.max(1)).ln()))))
            }
            Measure::Lists if !self.inputs.lists.is_empty() => Some(single(count(movie.lists.len()))),
            Measure::BestPosition => {
                movie.lists.iter().filter_map(|on| on.position).min().map(|at| -number(at.max(1)).ln())
            }
            _ => None,
        }
    }

    fn origin(&self, movie: &MovieInputs, measure: Measure) -> Option<f32> {
        let flag = |is: bool| f32::from(u8::from(is));
        match measure {
            Measure::Genre(genre) => (movie.genres != 0).then(|| flag(movie.genres >> genre & 1 == 1)),
            Measure::Language(language) => movie.language.map(|own| flag(own == language)),
            Measure::YearOfDecade => Some(single(f64::from(movie.year - self.inputs.decade.year()))),
            _ => None,
        }
    }
}

/// Number of each movie's language, and the share of each language.
fn languages(movies: &[MovieInputs]) -> (Vec<Option<usize>>, Vec<f32>) {
    let mut numbers: HashMap<[u8; 2], usize> = HashMap::new();
    let mut sizes: Vec<usize> = vec![];
    let mut number = |language: [u8; 2]| {
        let next = numbers.len();
        let number = *numbers.entry(language).or_insert(next);
        sizes.resize(sizes.len().max(number + 1), 0);
        sizes[number] += 1;
        number
    };
    let languages = movies.iter().map(|movie| movie.language.map(&mut number)).collect();
    let known: usize = sizes.iter().sum();
    (languages, sizes.into_iter().map(|size| single(count(size) / count(known))).collect())
}

fn person_record(movie: &MovieInputs, own: Work, role: Role, record: PersonRecord) -> Option<f32> {
    let others: OtherWorks = match role {
        Role::Director => movie.directors,
        Role::Cast => movie.cast,
    }?;
    let rated = others.rated > 0;
    match record {
        PersonRecord::Works => Some(number(others.works)),
        PersonRecord::Mean => rated.then(|| single(sum(others.quality_sum) / f64::from(others.rated))),
        PersonRecord::Best => rated.then(|| number(others.best)),
        PersonRecord::Prestige => Some(number(others.prestige)),
        PersonRecord::TopNominations => Some(number(others.top_nominations)),
        PersonRecord::Lists => Some(number(others.lists)),
        PersonRecord::Lead => rated.then_some(own.quality).flatten().map(|own| number(own) - number(others.best)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions are far below 2^24")]
fn number(count: u32) -> f32 {
    count as f32
}

#[expect(clippy::cast_precision_loss, reason = "sums of qualities are far below 2^52")]
fn sum(qualities: u64) -> f64 {
    qualities as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a feature value needs no more digits")]
fn single(value: f64) -> f32 {
    value as f32
}

fn fame(movie: &MovieInputs) -> f32 {
    let known = |votes: Option<f32>| votes.filter(|votes| *votes > 0.0).unwrap_or(f32::NAN);
    mean_of_known(known(movie.imdb.votes).ln(), (IMDB_VOTES_PER_TMDB_VOTE * known(movie.tmdb.votes)).ln())
}

fn mean_of_known(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => f32::midpoint(a, b),
        (true, _) => b,
        _ => a,
    }
}

/// Ratings shrunk to the mean of all: with `prior` votes, half way.
fn shrunk_to_mean(ratings: impl Iterator<Item = Rating> + Clone, prior: f32) -> Vec<f32> {
    let known = |rating: Rating| rating.average.filter(|average| *average > 0.0 && average.is_finite());
    let mut averages: Vec<f32> = ratings.clone().filter_map(known).collect();
    // The sum must not depend on the order of the movies.
    averages.sort_unstable_by(f32::total_cmp);
    let mean = averages.iter().copied().map(f64::from).sum::<f64>() / count(averages.len().max(1));
    let of = |rating: Rating| {
        let (average, votes) = (known(rating)?, rating.votes.unwrap_or(0.0).max(0.0));
        Some(single(shrunk(f64::from(average), f64::from(votes), mean, f64::from(prior))))
    };
    ratings.map(|rating| of(rating).unwrap_or(f32::NAN)).collect()
}

/// Share of the known values that are lower, counting half of the equal ones.
fn shares_below(values: Vec<f32>) -> Vec<f32> {
    let Ranked { values, order } = Ranked::of(values);
    let mut shares = vec![f32::NAN; values.len()];
    let mut above = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let share = 1.0 - (count(above) + count(equal.len()) / 2.0) / count(order.len());
        for row in equal {
            shares[*row] = single(share);
        }
        above += equal.len();
    }
    shares
}

/// Values and the order of the known ones, the highest first.
#[derive(Debug)]
struct Ranked {
    values: Vec<f32>,
    order: Vec<usize>,
}

impl Ranked {
    fn of(values: Vec<f32>) -> Self {
        let mut order: Vec<usize> = (0..values.len()).filter(|row| !values[*row].is_nan()).collect();
        order.sort_unstable_by(|a, b| values[*b].total_cmp(&values[*a]));
        Self { values, order }
    }

    /// −ln(rank) of each value among those that share one of its keys, for the key that ranks it best. Keys are
    /// small numbers. Equal values share the better rank. NaN for values that are NaN or have no key.
    fn places<I: IntoIterator<Item = usize>>(&self, keys: impl Fn(usize) -> I) -> Vec<f32> {
        #[derive(Clone)]
        struct SoFar {
            values: usize,
            last: f32,
            rank_of_last: usize,
        }
        // By key.
        let mut so_far: Vec<SoFar> = vec![];
        let mut places = vec![f32::NAN; self.values.len()];
        for row in &self.order {
            let value = self.values[*row];
            let ranks = keys(*row).into_iter().map(|key| {
                if key >= so_far.len() {
                    so_far.resize(key + 1, SoFar { values: 0, last: f32::NAN, rank_of_last: 0 });
                }
                let so_far = &mut so_far[key];
                so_far.values += 1;
                if so_far.last != value {
                    (so_far.last, so_far.rank_of_last) = (value, so_far.values);
                }
                so_far.rank_of_last
            });
            if let Some(rank) = ranks.min() {
                places[*row] = single(0.0 - count(rank).ln());
            }
        }
        places
    }
}
