//! Laws of training, on generated movies.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers drawn from hashes"
)]

use std::collections::HashSet;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::random::hash;
use super::*;
use crate::{Accuracy, Decade, MovieId};

/// Decades of movies whose values are drawn by a seed. `values` may change each movie after it is drawn.
pub(super) fn decades(
    seed: u64,
    movies: i64,
    values: impl Fn(&mut MovieInputs, &dyn Fn(u64) -> f32),
) -> Vec<DecadeInputs> {
    let decade = |year: i32| DecadeInputs {
        decade: Decade::starting(year).unwrap(),
        lists: vec!["one".to_owned(), "two".to_owned()],
        movies: (0..movies)
            .map(|number| {
                let id = i64::from(year) * 100_000 + number;
                let draw = |key: u64| (hash(seed.wrapping_add(key), id.cast_unsigned()) >> 40) as f32 / 16_777_216.0;
                let mut movie = MovieInputs::unknown(MovieId(id), year + i32::try_from(number % 10).unwrap());
                movie.imdb = Rating { average: Some(1.0 + 9.0 * draw(1)), votes: Some((12.0 * draw(2)).exp()) };
                movie.metascore = (draw(3) < 0.5).then(|| 100.0 * draw(4));
                movie.tomatometer = (draw(5) < 0.5).then(|| (100.0 * draw(6)).round());
                movie.genres = 1 << (19.0 * draw(7)) as u32;
                movie.language = (draw(8) < 0.9).then_some(if draw(9) < 0.5 { *b"en" } else { *b"fr" });
                movie.directors = (draw(10) < 0.8).then(|| OtherWorks {
                    works: 3,
                    rated: 2,
                    best: (1e4 * draw(11)) as u32,
                    ..OtherWorks::default()
                });
                values(&mut movie, &draw);
                movie
            })
            .collect(),
    };
    (1960..2010).step_by(10).map(decade).collect()
}

/// The ids of the movies that fulfil a condition.
pub(super) fn members(decades: &[DecadeInputs], is: impl Fn(&MovieInputs) -> bool) -> HashSet<MovieId> {
    decades.iter().flat_map(|decade| &decade.movies).filter(|movie| is(movie)).map(|movie| movie.id).collect()
}

pub(super) fn training_set(decades: &[DecadeInputs], members: &HashSet<MovieId>) -> TrainingSet {
    let movies = decades.iter().map(|decade| decade.movies.len()).sum();
    let mut set = TrainingSet::new(Variant::WithLists, members.len(), movies);
    for decade in decades {
        set.add(&DecadeFeatures::of(decade), members);
    }
    set
}

pub(super) fn quick(seed: u64) -> Settings {
    Settings { rounds: 60, learning_rate: 0.2, feature_share: 0.3, seed, ..Settings::default() }
}

/// Trains a model for each decade and one for all, the decades in the given order.
fn ranking(set: &TrainingSet, settings: &Settings, years: &[i32]) -> LearnedRanking {
    let go_on = &mut |_: f64| ControlFlow::Continue(());
    let all = set.fit(|_| true, settings, go_on).unwrap();
    let without = years.iter().map(|year| Decade::starting(*year).unwrap());
    let decades = without.map(|own| (own, set.fit(|decade| decade != own, settings, go_on).unwrap())).collect();
    LearnedRanking::new(
        vec!["one".to_owned(), "two".to_owned()],
        *settings,
        all,
        decades,
        &Validation::uncalibrated(&[]),
    )
}

/// Movies that are good or lucky.
fn noisy(movie: &MovieInputs) -> bool {
    movie.imdb.average.unwrap() + (hash(7, movie.id.0.cast_unsigned()) % 5) as f32 > 10.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn shapes_rise_where_they_must_and_contributions_sum_to_the_score(seed in any::<u64>()) {
        let decades = decades(seed, 80, |_, _| ());
        // Labels that contradict the directions: bad movies with few votes.
        let members = members(&decades, |movie| movie.imdb.average < Some(4.0) || movie.metascore < Some(20.0));
        let model = training_set(&decades, &members).fit(|_| true, &quick(seed), &mut |_| ControlFlow::Continue(())).unwrap();
        let rising = model.features().filter(|(feature, _)| feature.direction == Direction::Up);
        for (feature, shape) in rising {
            prop_assert!(shape.scores[1..].is_sorted(), "{}: {:?}", feature.key, shape.scores);
        }
        let features = DecadeFeatures::of(&decades[0]);
        let codes = model.codes(&features);
        let counts = model.count_known_groups(&codes);
        for (row, score) in model.scores(&codes).into_iter().enumerate() {
            let codes = &codes.of(row);
            prop_assert_eq!(model.score(codes), score);
            let known = model.known_groups(codes).into_iter().filter(|known| *known).count();
            prop_assert_eq!(usize::from(counts[row]), known);
            let sum = model.intercept + model.contributions(codes).iter().sum::<f64>();
            prop_assert!((sum - score).abs() < 1e-9, "{sum} {score}");
        }
    }

    #[test]
    fn stored_codes_are_read_as_they_were(rows in prop::collection::vec(prop::collection::vec(0..33_u8, 7), 0..20), most in 1..33_u8) {
        // As many bytes for each movie, some of them of few bins.
        let bytes: Vec<u8> = (0..7).flat_map(|feature| rows.iter().map(move |row| row[feature] % most)).collect();
        let codes = DecadeCodes::from_bytes(rows.len(), &bytes).unwrap();
        prop_assert_eq!(codes.to_bytes(), bytes);
        for (at, row) in rows.iter().enumerate() {
            prop_assert_eq!(codes.of(at), row.iter().map(|code| code % most).collect::<Vec<_>>());
        }
        prop_assert_eq!(DecadeCodes::from_bytes(3, &[0; 7]), None);
    }

    #[test]
    fn training_depends_neither_on_the_order_of_rows_nor_on_threads(seed in any::<u64>()) {
        let mut decades = decades(seed, 60, |_, _| ());
        let members = members(&decades, noisy);
        let years: Vec<i32> = decades.iter().map(|decade| decade.decade.year()).collect();
        let once = ranking(&training_set(&decades, &members), &quick(seed), &years);
        decades.reverse();
        for decade in &mut decades {
            decade.movies.sort_by_key(|movie| hash(seed, movie.id.0.cast_unsigned()));
        }
        let set = training_set(&decades, &members);
        let halves: Vec<LearnedModel> = std::thread::scope(|scope| {
            let fit = |own: i32| {
                let set = &set;
                scope.spawn(move || set.fit(|decade| decade.year() != own, &quick(seed), &mut |_| ControlFlow::Continue(())).unwrap())
            };
            let started: Vec<_> = years.iter().map(|year| fit(*year)).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let again = ranking(&set, &quick(seed), &years);
        prop_assert_eq!(once.to_bytes().unwrap(), again.to_bytes().unwrap());
        for (year, model) in years.iter().zip(&halves) {
            prop_assert_eq!(again.for_decade(Decade::starting(*year).unwrap()), model);
        }
    }

    #[test]
    fn stored_bytes_are_read_to_the_bit_and_damaged_ones_are_refused(seed in any::<u64>(), at in any::<prop::sample::Index>()) {
        let decades = decades(seed, 40, |_, _| ());
        let trained = ranking(&training_set(&decades, &members(&decades, noisy)), &quick(seed), &[1960]);
        let bytes = trained.to_bytes().unwrap();
        prop_assert_eq!(&LearnedRanking::from_bytes(&bytes).unwrap(), &trained);
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] ^= 1 << (seed % 8);
        prop_assert!(matches!(LearnedRanking::from_bytes(&damaged), Err(ModelError::Checksum)));
        prop_assert!(LearnedRanking::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
    }
}

#[test]
fn bytes_with_a_right_checksum_are_refused_if_they_are_no_model_of_this_version() {
    use sha2::{Digest, Sha256};
    let decades = decades(1, 40, |_, _| ());
    let trained = ranking(&training_set(&decades, &members(&decades, noisy)), &quick(1), &[1960]);
    let body = String::from_utf8(trained.to_bytes().unwrap().split_off(32)).unwrap();
    let read = |body: &str| LearnedRanking::from_bytes(&[Sha256::digest(body).as_slice(), body.as_bytes()].concat());
    assert_eq!(read(&body).unwrap(), trained);
    let other = body.replace(&format!("\"feature_version\":{FEATURE_VERSION}"), "\"feature_version\":0");
    assert!(matches!(read(&other), Err(ModelError::FeatureVersion { found: 0 })));
    assert!(matches!(read(&body.replacen("\"scores\":[", "\"scores\":[1.0,", 1)), Err(ModelError::Unsound)));
    assert!(matches!(
        read(&body.replace("without_lists", "").replace("with_lists", "none")),
        Err(ModelError::Malformed(_))
    ));
    assert!(matches!(read("{}"), Err(ModelError::Malformed(_))));
}

#[test]
fn the_model_without_a_decade_is_blind_to_its_labels() {
    let decades = decades(12, 80, |_, _| ());
    let right = members(&decades, noisy);
    let blind = decades[2].decade;
    let flipped = members(&decades, |movie| noisy(movie) != (movie.year.div_euclid(10) * 10 == blind.year()));
    assert_ne!(right, flipped);
    let model = |members: &HashSet<MovieId>, without: Decade| {
        // The sampling rate is fixed, because it depends on the number of members.
        let mut set = TrainingSet::new(Variant::WithLists, 2, 1000);
        for inputs in &decades {
            set.add(&DecadeFeatures::of(inputs), members);
        }
        let model = set.fit(|decade| decade != without, &quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
        serde_json::to_vec(&model).unwrap()
    };
    assert_eq!(model(&right, blind), model(&flipped, blind));
    assert_ne!(model(&right, decades[0].decade), model(&flipped, decades[0].decade));
}

#[test]
fn contradictions_are_not_stored_and_movies_with_other_lists_have_no_codes() {
    let decades = decades(13, 40, |_, _| ());
    let members = members(&decades, noisy);
    let set = training_set(&decades, &members);
    let trained = ranking(&set, &quick(1), &[1960, 1970]);
    assert!(matches!(ranking(&set, &quick(1), &[1960, 1960]).to_bytes(), Err(ModelError::Unsound)));
    let mut falling = set.fit(|_| true, &quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
    let shape = falling.shapes.iter_mut().find(|shape| shape.scores.len() > 3).unwrap();
    shape.scores[1] = shape.scores[2] + 1.0;
    for broken in [falling.clone(), LearnedModel { intercept: f64::NAN, ..falling }] {
        let ranking = LearnedRanking::new(vec![], quick(1), broken, vec![], &Validation::uncalibrated(&[]));
        assert!(matches!(ranking.to_bytes(), Err(ModelError::Unsound)));
    }
    let mut inputs = decades[0].clone();
    assert!(trained.codes(&DecadeFeatures::of(&inputs)).is_ok());
    inputs.lists.reverse();
    assert!(matches!(trained.codes(&DecadeFeatures::of(&inputs)), Err(ModelError::OtherLists)));
}

#[test]
fn awards_and_lists_are_known_only_where_something_is_on_record() {
    let award = Award { organization: Organization::Other, group: CategoryGroup::Other, nominations: 1, wins: 0 };
    let decades = decades(14, 80, |movie, draw| {
        if draw(20) < 0.5 {
            movie.awards.push(award);
        }
        if draw(21) < 0.5 {
            movie.lists.push(OnList { list: 1, position: None });
        }
    });
    let set = training_set(&decades, &members(&decades, noisy));
    let model = set.fit(|_| true, &quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
    let codes = model.codes(&DecadeFeatures::of(&decades[0]));
    for (row, movie) in decades[0].movies.iter().enumerate() {
        let known = model.known_groups(&codes.of(row));
        let expected = (!movie.awards.is_empty(), !movie.lists.is_empty());
        assert_eq!((known[Group::Awards as usize], known[Group::Lists as usize]), expected);
    }
}

/// Four decades of a thousand movies each, all members of which have the same score, far above the others'.
fn surely_found(listed_score: f64, unhittable: usize, members: i64) -> Validation {
    let scored = |year: i32| ScoredDecade {
        decade: Decade::starting(year).unwrap(),
        unhittable,
        movies: (0..1000)
            .map(|number| ScoredMovie {
                id: MovieId(i64::from(year) * 1000 + number),
                listed: number < members,
                score: if number < members { listed_score } else { -9.0 },
            })
            .collect(),
    };
    Validation::uncalibrated(&[1960, 1970, 1980, 1990].map(scored))
}

#[test]
fn members_that_are_not_imported_are_nothing_to_learn_from() {
    let judged = |unhittable, members| {
        let leak = Leak { collection: None, votes: None };
        judge(&surely_found(9.0, unhittable, members), &Baselines::new(Accuracy::default()), leak)
    };
    assert_eq!(judged(0, 20), Ok(()));
    assert_eq!(judged(20, 12), Err(NotLearnable::TooFewMembers { members: 48, decades: 4 }));
    assert_eq!(judged(20, 0), Err(NotLearnable::TooFewMembers { members: 0, decades: 0 }));
}

#[test]
fn wrong_probabilities_of_the_highest_ranked_are_refused_among_many_that_are_right() {
    let validation = surely_found(-1.0, 0, 20);
    assert!(validation.pooled.ece < 0.02, "{:?}", validation.pooled);
    let leak = Leak { collection: None, votes: None };
    let verdict = judge(&validation, &Baselines::new(Accuracy::default()), leak);
    assert!(matches!(verdict, Err(NotLearnable::UncalibratedTop { .. })), "{verdict:?}");
}

#[test]
fn a_fit_stops_when_it_is_told_to() {
    let decades = decades(1, 20, |_, _| ());
    let set = training_set(&decades, &members(&decades, noisy));
    let mut calls = 0;
    let stopped = set.fit(|_| true, &Settings::default(), &mut |done| {
        calls += 1;
        if done > 0.01 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped, calls), (Err(Interrupted), 3));
}

#[test]
fn empty_sets_and_lists_give_a_model_that_adds_nothing() {
    let nothing = HashSet::new();
    let model = training_set(&[], &nothing).fit(|_| true, &quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(model.shapes.iter().all(|shape| shape.scores.iter().all(|score| *score == 0.0)));
    let decades = decades(1, 30, |_, _| ());
    let model = training_set(&decades, &nothing).fit(|_| true, &quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(model.scores(&model.codes(&DecadeFeatures::of(&decades[0]))).iter().all(|score| score.is_finite()));
}

#[test]
fn absurd_numbers_are_missing_or_finite() {
    let absurd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -1.0, 0.0];
    let decades = decades(2, 70, |movie, draw| {
        let value = |key: u64| Some(absurd[(draw(key) * 7.0) as usize % 7]);
        (movie.imdb, movie.tmdb) =
            (Rating { average: value(20), votes: value(21) }, Rating { average: value(22), votes: value(23) });
        (movie.popularity, movie.metascore, movie.budget, movie.revenue) = (value(24), value(25), value(26), value(27));
        let work = Work { quality: work_quality(movie.imdb, movie.tmdb), prestige: u32::MAX, ..Work::default() };
        let mut works = PersonWorks::default();
        works.add(work);
        works.add(work);
        movie.cast = Some(works.without(work).and(works.without(Work::default())));
    });
    let trained = ranking(&training_set(&decades, &members(&decades, one_in_eight)), &quick(1), &[1960]);
    assert_eq!(LearnedRanking::from_bytes(&trained.to_bytes().unwrap()).unwrap(), trained);
    let model = trained.for_decade(Decade::starting(1970).unwrap());
    assert!(model.scores(&model.codes(&DecadeFeatures::of(&decades[1]))).iter().all(|score| score.is_finite()));
}

/// Trains and judges without the formula, as a service does.
fn judged(decades: &[DecadeInputs], members: &HashSet<MovieId>) -> (Validation, Result<(), NotLearnable>) {
    let set = training_set(decades, members);
    let go_on = &mut |_: f64| ControlFlow::Continue(());
    let (mut leak, mut baselines) = (LeakCheck::default(), Baselines::new(Accuracy::default()));
    let scored: Vec<ScoredDecade> = decades
        .iter()
        .map(|inputs| {
            let features = DecadeFeatures::of(inputs);
            let model = set.fit(|decade| decade != inputs.decade, &quick(1), go_on).unwrap();
            let scored = ScoredDecade::of(&features, &model.scores(&model.codes(&features)), members, 0);
            leak.add(&features, &scored);
            baselines.add(inputs, members, 0);
            scored
        })
        .collect();
    let validation = Validation::leave_one_decade_out(&scored);
    let verdict = judge(&validation, &baselines, leak.check(&quick(1), go_on).unwrap());
    (validation, verdict)
}

fn one_in_eight(movie: &MovieInputs) -> bool {
    hash(8, movie.id.0.cast_unsigned()).is_multiple_of(8)
}

#[test]
fn a_list_that_equals_one_feature_is_learned_nearly_perfectly() {
    let decades = decades(3, 150, |movie, draw| movie.metascore = Some((100.0 * draw(20)).round()));
    let (validation, verdict) = judged(&decades, &members(&decades, |movie| movie.metascore >= Some(85.0)));
    assert!(validation.pooled.at_n.share() > Some(0.97), "{:?}", validation.pooled);
    assert_eq!(verdict, Ok(()));
}

#[test]
fn a_random_list_is_not_learnable() {
    let decades = decades(4, 150, |_, _| ());
    let (_, verdict) = judged(&decades, &members(&decades, one_in_eight));
    assert!(matches!(verdict, Err(NotLearnable::NotBetter { .. })), "{verdict:?}");
}

#[test]
fn a_list_of_too_few_movies_is_not_learnable() {
    let decades = decades(5, 100, |_, _| ());
    let few = members(&decades, |movie| movie.id.0 % 100 < 9);
    assert_eq!(judged(&decades, &few).1, Err(NotLearnable::TooFewMembers { members: 45, decades: 5 }));
    let short = members(&decades, |movie| movie.year < 1990 && movie.id.0 % 100 < 30);
    assert_eq!(judged(&decades, &short).1, Err(NotLearnable::TooFewMembers { members: 90, decades: 3 }));
}

#[test]
fn labels_that_leak_through_missing_values_or_their_age_are_refused() {
    let known = decades(6, 150, |movie, draw| movie.metascore = one_in_eight(movie).then(|| 100.0 * draw(20)));
    let (validation, verdict) = judged(&known, &members(&known, one_in_eight));
    assert!(validation.pooled.at_n.share() > Some(0.97));
    assert!(matches!(verdict, Err(NotLearnable::Leak { .. })), "{verdict:?}");
    let aged = decades(6, 150, |movie, draw| {
        movie.ages.imdb = Some(draw(20) + if one_in_eight(movie) { 0.0 } else { 300.0 });
    });
    let (_, verdict) = judged(&aged, &members(&aged, one_in_eight));
    assert!(matches!(verdict, Err(NotLearnable::Leak { .. })), "{verdict:?}");
}

#[test]
fn votes_of_listed_movies_that_were_counted_later_are_refused() {
    let decades = decades(7, 150, |movie, draw| {
        movie.tmdb = Rating { votes: movie.imdb.votes.map(|votes| votes / (18.0 + 4.0 * draw(20))), ..movie.imdb };
        if one_in_eight(movie) {
            movie.imdb.votes = movie.imdb.votes.map(|votes| 1.6 * votes);
        }
    });
    let (_, verdict) = judged(&decades, &members(&decades, one_in_eight));
    assert!(matches!(verdict, Err(NotLearnable::LeakOfVotes { .. })), "{verdict:?}");
}

/// Decades in which each source counts some share of a movie's audience.
fn two_sources(seed: u64) -> Vec<DecadeInputs> {
    decades(seed, 400, |movie, draw| {
        let noise = (2.0 * (draw(20) + draw(21) - 1.0)).exp();
        movie.tmdb = Rating { votes: movie.imdb.votes.map(|votes| noise * votes / 20.0), ..movie.imdb };
        movie.popularity = movie.tmdb.votes.map(|votes| votes.sqrt() * (0.5 + draw(22)));
    })
}

/// The twelfth part of each decade's movies that is highest by a number.
fn top_twelfth(decades: &[DecadeInputs], by: impl Fn(&MovieInputs) -> Option<f32>) -> HashSet<MovieId> {
    let top = |decade: &DecadeInputs| {
        let mut ranked: Vec<_> = decade.movies.iter().map(|movie| (by(movie).unwrap(), movie.id)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.into_iter().take(decade.movies.len() / 12).map(|(_, id)| id).collect::<Vec<_>>()
    };
    decades.iter().flat_map(top).collect()
}

#[test]
fn honest_lists_of_the_highest_by_one_number_are_no_leak() {
    let decades = two_sources(9);
    for (by, members) in [
        ("IMDb votes", top_twelfth(&decades, |movie| movie.imdb.votes)),
        ("IMDb rating", top_twelfth(&decades, |movie| movie.imdb.average)),
        ("TMDb votes", top_twelfth(&decades, |movie| movie.tmdb.votes)),
    ] {
        let (_, verdict) = judged(&decades, &members);
        let is_leak = matches!(verdict, Err(NotLearnable::Leak { .. } | NotLearnable::LeakOfVotes { .. }));
        assert!(!is_leak, "{by}: {verdict:?}");
    }
}

#[test]
fn a_list_of_the_highest_by_a_value_that_many_movies_lack_is_no_leak() {
    // Half of the movies have a metascore, which is why none of the others is listed.
    let decades = decades(12, 300, |_, _| ());
    let (validation, verdict) = judged(&decades, &members(&decades, |movie| movie.metascore > Some(75.0)));
    assert!(validation.pooled.at_n.share() > Some(0.97), "{:?}", validation.pooled);
    assert!(!matches!(verdict, Err(NotLearnable::Leak { .. })), "{verdict:?}");
}

#[test]
fn movies_of_which_more_is_known_because_they_are_well_known_are_no_leak() {
    // Nothing is known of one movie in three, and no list contains it.
    let decades = decades(10, 300, |movie, draw| {
        if draw(20) < 0.33 {
            *movie = MovieInputs::unknown(movie.id, movie.year);
        }
    });
    let (_, verdict) = judged(&decades, &members(&decades, |movie| movie.imdb.average > Some(9.0)));
    assert!(!matches!(verdict, Err(NotLearnable::Leak { .. })), "{verdict:?}");
}

#[test]
fn votes_of_one_source_alone_cannot_be_checked() {
    let decades = decades(11, 150, |_, _| ());
    let mut check = LeakCheck::default();
    let members = members(&decades, one_in_eight);
    for inputs in &decades {
        let features = DecadeFeatures::of(inputs);
        check.add(&features, &ScoredDecade::of(&features, &vec![0.0; features.len()], &members, 0));
    }
    let leak = check.check(&quick(1), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(leak.votes, None);
    assert!((leak.collection.unwrap() - 0.5).abs() < 0.1, "{leak:?}");
}

#[test]
fn baselines_rank_movies_without_votes_last() {
    let decade = Decade::starting(1990).unwrap();
    let movie = |id: i64, average: Option<f32>, votes: Option<f32>| MovieInputs {
        imdb: Rating { average, votes },
        ..MovieInputs::unknown(MovieId(id), 1990)
    };
    let movies = vec![
        movie(1, Some(9.0), None),
        movie(2, Some(9.0), Some(0.0)),
        movie(3, None, Some(900.0)),
        movie(4, Some(f32::NAN), Some(800.0)),
        movie(7, Some(5.0), Some(f32::INFINITY)),
        movie(5, Some(3.0), Some(700.0)),
        movie(6, Some(8.0), Some(600.0)),
    ];
    let inputs = DecadeInputs { decade, lists: vec![], movies };
    let hits = |members: &[i64]| {
        let mut baselines = Baselines::new(Accuracy::default());
        baselines.add(&inputs, &members.iter().map(|id| MovieId(*id)).collect(), 0);
        (baselines.votes.hits, baselines.votes_and_rating.hits)
    };
    assert_eq!(hits(&[5, 6]), (0, 2));
    assert_eq!(hits(&[3, 4, 5, 6]).0, 4);
}

#[test]
fn values_are_ranked_within_the_decade_and_unknown_ones_stay_unknown() {
    let decade = Decade::starting(1990).unwrap();
    let movie = |id: i64, votes: Option<f32>, language: &[u8; 2], genres: u32| MovieInputs {
        imdb: Rating { average: Some(7.0), votes },
        language: Some(*language),
        genres,
        ..MovieInputs::unknown(MovieId(id), 1990 + i32::try_from(id).unwrap() % 2)
    };
    let movies = vec![
        movie(1, Some(900.0), b"en", 0b01),
        movie(2, Some(500.0), b"fr", 0b11),
        movie(3, Some(500.0), b"fr", 0b10),
        movie(4, None, b"fr", 0),
        movie(5, Some(100.0), b"en", 0b01),
    ];
    let inputs = DecadeInputs { decade, lists: vec![], movies };
    let features = DecadeFeatures::of(&inputs);
    let column = |key: &str| features.column(Feature::with_key(key).unwrap());
    let ranks = |key: &str| column(key).into_iter().map(|place| (-place).exp().round()).collect::<Vec<f32>>();
    let same = |a: Vec<f32>, b: [f32; 5]| {
        assert!(a.iter().zip(b).all(|(a, b)| *a == b || a.is_nan() && b.is_nan()), "{a:?} {b:?}");
    };
    same(ranks("fame_in_decade"), [1.0, 2.0, 2.0, f32::NAN, 4.0]);
    same(ranks("fame_in_language"), [1.0, 1.0, 1.0, f32::NAN, 2.0]);
    same(ranks("fame_in_year"), [1.0, 1.0, 2.0, f32::NAN, 3.0]);
    same(ranks("fame_in_genre"), [1.0, 1.0, 1.0, f32::NAN, 3.0]);
    same(column("imdb_votes_share"), [0.875, 0.5, 0.5, f32::NAN, 0.125]);
    same(column("language_share"), [0.4, 0.6, 0.6, 0.6, 0.4]);
    same(column("academy_top"), [f32::NAN; 5]);
    same(column("prestige_in_year"), [f32::NAN; 5]);
    same(column("list_1"), [f32::NAN; 5]);
}

#[test]
fn a_movie_without_an_award_has_no_place_by_prestige() {
    let decade = Decade::starting(1990).unwrap();
    let award = Award { organization: Organization::Cannes, group: CategoryGroup::Top, nominations: 1, wins: 0 };
    let movie = |id: i64, language: &[u8; 2], awards: Vec<Award>| MovieInputs {
        language: Some(*language),
        awards,
        ..MovieInputs::unknown(MovieId(id), 1990)
    };
    // In Japanese, no movie has an award.
    let movies = vec![movie(1, b"fr", vec![award]), movie(2, b"fr", vec![]), movie(3, b"ja", vec![])];
    let inputs = DecadeInputs { decade, lists: vec![], movies };
    let features = DecadeFeatures::of(&inputs);
    let column = |key: &str| features.column(Feature::with_key(key).unwrap());
    for key in ["prestige_in_year", "prestige_in_decade", "prestige_in_language"] {
        assert!(matches!(column(key)[..], [0.0, b, c] if b.is_nan() && c.is_nan()), "{key}: {:?}", column(key));
    }
    assert_eq!(column("nominations"), [1.0, 0.0, 0.0]);
}
