//! The formula: SQL results compared with the arithmetic of `scoring` and with the design.

use std::collections::HashMap;

use cinegraph::scoring::{Criterion, Inputs, PersonRecord, ScoreVector, Weights, person_quality};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{
    AnyMovie, Movie, TARGET, TestService, World, credit, metrics, migrated, nominee, person, quality,
};

use Criterion::{CriticalAcclaim, CulturalImpact, IndustryRecognition, PeopleQuality, PopularOpinion};

/// Score vectors from the view, by movie id.
async fn live_vectors(pool: &PgPool) -> HashMap<i64, ScoreVector> {
    let rows: Vec<(i64, [f64; 5])> = sqlx::query_as(
        "SELECT movie_id, ARRAY[popular_opinion_score, critical_acclaim_score, industry_recognition_score,
                                cultural_impact_score, people_quality_score]
         FROM cinegraph.movie_scores_live",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().map(|(movie, criteria)| (movie, ScoreVector(criteria))).collect()
}

/// One criterion of one movie, from the view.
async fn live(pool: &PgPool, movie: i64, criterion: Criterion) -> f64 {
    live_vectors(pool).await[&movie].value(criterion)
}

/// One criterion from these inputs, by `scoring`.
fn plain(criterion: Criterion, inputs: Inputs) -> f64 {
    ScoreVector::of(&inputs).value(criterion)
}

/// Cultural impact and people quality of a movie on the blind basis, from the snapshot.
async fn blind(pool: &PgPool, movie: i64) -> (f64, f64) {
    sqlx::query_as(
        "SELECT blind_cultural_impact_score, blind_people_quality_score
         FROM cinegraph.movie_scores WHERE list_key = $1 AND movie_id = $2",
    )
    .bind(TARGET)
    .bind(movie)
    .fetch_one(pool)
    .await
    .unwrap()
}

/// The stored quality of a person: score and components.
async fn stored_quality(pool: &PgPool, person: i64) -> (f64, Value) {
    sqlx::query_as(
        "SELECT score, components FROM person_metrics WHERE person_id = $1 AND metric_type = 'quality_score'",
    )
    .bind(person)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[track_caller]
fn assert_same_bits(sql: ScoreVector, rust: ScoreVector, movie: &AnyMovie) {
    assert_eq!(sql.0.map(f64::to_bits), rust.0.map(f64::to_bits), "SQL {sql:?}, Rust {rust:?} of {movie:#?}");
}

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() < 1e-9
}

fn drawn<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    prop::collection::vec(strategy, count).new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

/// The counts of a record as stored in `components`.
fn components(record: PersonRecord) -> Value {
    json!({
        "canonical_count": record.canonical,
        "high_rated_count": record.well_rated,
        "total_count": record.movies,
        "festival_wins": record.wins,
        "festival_nominations": record.nominations,
        "direct_festival_wins": record.direct_wins,
        "direct_festival_nominations": record.direct_nominations,
        "raw_score": record.raw().to_string().parse::<u32>().unwrap(),
    })
}

mod twins {
    use super::*;

    #[sqlx::test(migrations = false)]
    async fn view_and_scoring_give_the_same_bits(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let world = World::of(400, 60);
        world.insert(&pool).await;
        world.insert_qualities(&pool).await;

        let live = live_vectors(&pool).await;

        for movie in &world.movies {
            assert_same_bits(live[&movie.id], ScoreVector::of(&world.inputs(movie)), movie);
        }
    }

    #[sqlx::test(migrations = false)]
    async fn weighted_scores_have_the_same_bits(pool: PgPool) {
        let share = prop_oneof![Just(0.0), 0.0..=1.0];
        let movie = (prop::array::uniform5(0.0..=1.0), prop::array::uniform5(share));
        let movies: Vec<([f64; 5], [f64; 5])> = drawn(movie, 500);
        for (criteria, raw) in movies {
            let Ok(weights) = Weights::normalised(raw) else { continue };
            let score: f64 = sqlx::query_scalar(
                "SELECT 100::double precision * (w[1] * c[1] + w[2] * c[2] + w[3] * c[3] + w[4] * c[4] + w[5] * c[5])
                 FROM (VALUES ($1::double precision[], $2::double precision[])) AS film (w, c)",
            )
            .bind(weights.shares())
            .bind(criteria)
            .fetch_one(&pool)
            .await
            .unwrap();
            assert_eq!(score.to_bits(), ScoreVector(criteria).score(weights).to_bits(), "{criteria:?} by {raw:?}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn person_quality_has_the_same_bits(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let counts = (0..5000_u32).map(f64::from);
        let raws: Vec<f64> = counts.chain(drawn(-10.0..1e6_f64, 1000)).collect();

        let qualities: Vec<f64> = sqlx::query_scalar(
            "SELECT cinegraph.person_quality(raw) FROM unnest($1) WITH ORDINALITY AS r (raw, n) ORDER BY n",
        )
        .bind(&raws)
        .fetch_all(&pool)
        .await
        .unwrap();

        for (raw, sql) in raws.into_iter().zip(qualities) {
            assert_eq!(sql.to_bits(), person_quality(raw).to_bits(), "quality of {raw}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn person_quality_matches_a_plain_count_of_rows(pool: PgPool) {
        let service = TestService::on(pool).await;
        let world = World::of(120, 80);
        world.insert(&service.pool).await;
        service.refresh().await;

        let stored: Vec<(i64, f64, Value)> = sqlx::query_as(
            "SELECT person_id, score, components FROM person_metrics WHERE metric_type = 'quality_score' ORDER BY 1",
        )
        .fetch_all(&service.pool)
        .await
        .unwrap();

        let records = world.records();
        assert_eq!(stored.len(), records.len());
        for (stored, (person, record)) in stored.into_iter().zip(records) {
            assert_eq!(stored, (person, person_quality(record.raw()), components(record)));
        }
    }

    #[sqlx::test(migrations = false)]
    async fn blind_scores_match_a_plain_count_without_labels(pool: PgPool) {
        let service = TestService::on(pool).await;
        let world = World::of(200, 60);
        world.insert(&service.pool).await;
        service.refresh().await;

        for movie in world.movies.iter().filter(|movie| movie.full) {
            let expected = ScoreVector::of(&world.blind_inputs(movie));
            let expected = (expected.value(CulturalImpact), expected.value(PeopleQuality));
            assert_eq!(blind(&service.pool, movie.id).await, expected, "{movie:#?}");
        }
    }
}

mod design {
    use super::*;

    /// The movie of the worked example, on a list that is not the target.
    fn worked_example(title: &str) -> Movie {
        let movie = Movie::new(title).released("1994-05-01").rated(7.5, 7.9).popularity(60.0);
        movie.nominated(10, 2).on(&["criterion"])
    }

    #[sqlx::test(migrations = false)]
    async fn worked_example_holds_from_the_tables_to_the_response(pool: PgPool) {
        let service = TestService::on(pool).await;
        let maker = person(&service.pool, "Maker").await;
        quality(&service.pool, maker, Some(55.0)).await;
        for movie in [worked_example("Reviewed").reviewed(86.0, 93.0), worked_example("Not reviewed")] {
            let id = movie.insert(&service.pool).await;
            credit(&service.pool, id, maker, Some("Director")).await;
        }
        service.refresh_scores().await;

        let query = "{ predictions(decade: 1990) { nodes { score likelihood breakdown { value } } } }";
        let nodes = service.data(query).await["predictions"]["nodes"].take();

        let rounded = |value: &Value, places: f64| (value.as_f64().unwrap() * places).round() / places;
        let shown = |node: usize| (rounded(&nodes[node]["score"], 10.0), rounded(&nodes[node]["likelihood"], 10.0));
        assert_eq!((shown(0), shown(1)), ((76.2, 79.3), (58.3, 52.5)));
        let criteria = nodes[0]["breakdown"].as_array().unwrap().iter();
        let criteria: Vec<_> = criteria.map(|part| rounded(&part["value"], 1000.0)).collect();
        assert_eq!(criteria, [0.770, 0.895, 0.900, 0.695, 0.550]);
    }

    #[sqlx::test(migrations = false)]
    async fn the_last_day_of_2029_and_the_next_are_in_two_decades(pool: PgPool) {
        let service = TestService::on(pool).await;
        Movie::new("Eve").released("2029-12-31").insert(&service.pool).await;
        Movie::new("Day").released("2030-01-01").insert(&service.pool).await;
        service.refresh().await;

        let query = "{ twenties: predictions(decade: 2020) { nodes { movie { title } } }
                       thirties: predictions(decade: 2030) { nodes { movie { title } } } }";
        let data = service.data(query).await;

        let only = |title| json!({"nodes": [{"movie": {"title": title}}]});
        assert_eq!(data, json!({"twenties": only("Eve"), "thirties": only("Day")}));
    }

    #[sqlx::test(migrations = false)]
    async fn movie_without_a_date_has_a_score_and_no_rank(pool: PgPool) {
        let service = TestService::on(pool).await;
        Movie::new("Undated").rated(10.0, 10.0).insert(&service.pool).await;
        service.refresh().await;

        let query = "{ prediction(by: {tmdbId: 1}) { score rank unranked } }";
        let prediction = &service.data(query).await["prediction"];

        // Ratings are the only data, so they are the whole score.
        assert_eq!(*prediction, json!({"score": 100.0, "rank": null, "unranked": "NO_RELEASE_DATE"}));
    }
}

mod lists {
    use super::*;

    #[sqlx::test(migrations = false)]
    async fn only_an_object_names_lists(pool: PgPool) {
        migrated(&pool, metrics()).await;
        for sources in ["NULL", "{}", "null", r#"["1001_movies"]"#, r#""1001_movies""#, "7", "true"] {
            let movie = Movie::new(sources).sources(sources).insert(&pool).await;
            assert_eq!(live(&pool, movie, CulturalImpact).await, 0.0, "canonical_sources = {sources}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn every_key_is_a_list_regardless_of_its_value(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let movie = Movie::new("Listed").sources(r#"{"a": null, "b": false, "c": {}}"#).insert(&pool).await;
        assert_eq!(live(&pool, movie, CulturalImpact).await, 0.1 * 3.0);
    }
}

mod metrics_of_movies {
    use super::*;

    #[sqlx::test(migrations = false)]
    async fn zero_popularity_counts_as_missing(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let missing = Movie::new("Missing").on(&["a"]);
        let nothing = [0.0, -0.0, -12.0, f64::NAN, f64::NEG_INFINITY].map(|value| missing.clone().popularity(value));
        for movie in [missing].into_iter().chain(nothing) {
            let id = movie.insert(&pool).await;
            assert_eq!(live(&pool, id, CulturalImpact).await, 0.1, "{movie:?}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn nan_counts_0_and_not_as_the_largest_number(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let movie = Movie::new("Film").rated(f64::NAN, 8.0).reviewed(f64::NAN, f64::NAN).insert(&pool).await;
        assert_eq!(live(&pool, movie, PopularOpinion).await, 0.4);
        assert_eq!(live(&pool, movie, CriticalAcclaim).await, 0.0);
    }

    #[sqlx::test(migrations = false)]
    async fn criteria_stay_between_0_and_1_for_any_metric(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let absurd = [15.0, -15.0, 1e308, -1e308, 5e-324, f64::INFINITY, f64::NEG_INFINITY];
        for value in absurd {
            let movie = Movie::new("Absurd").rated(value, value).reviewed(value, value).popularity(value);
            let id = movie.nominated(9, 9).insert(&pool).await;
            let vector = live_vectors(&pool).await[&id];
            assert!(vector.0.iter().all(|criterion| (0.0..=1.0).contains(criterion)), "{value} gave {vector:?}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn list_appearances_do_not_count_as_popularity(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let popularities = [
            (r#"{"popularity": 60}"#, Some(60.0)),
            (r#"{"popularity": "60"}"#, None),
            (r#"{"popularity": null}"#, None),
            (r#"{"popularity": 1e400}"#, None),
            (r#"["popularity"]"#, None),
            ("{}", None),
        ];
        for (tmdb_data, popularity) in popularities {
            let movie = Movie::new("Trapped").tmdb_data(tmdb_data);
            let trap = r#"{"type": "list_appearances"}"#;
            let id = movie.metric_with("tmdb", "popularity_score", 999.0, trap).insert(&pool).await;
            let expected = plain(CulturalImpact, Inputs { popularity, ..Inputs::default() });
            assert_eq!(live(&pool, id, CulturalImpact).await, expected, "tmdb_data = {tmdb_data}");
        }
    }

    #[sqlx::test(migrations = false)]
    async fn raw_record_replaces_only_list_appearances(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let raw = Movie::new("Raw").tmdb_data(r#"{"popularity": 999}"#);
        let known = raw.clone().popularity(60.0).insert(&pool).await;
        let missing = raw.insert(&pool).await;
        let of_60 = plain(CulturalImpact, Inputs { popularity: Some(60.0), ..Inputs::default() });
        assert_eq!(live(&pool, known, CulturalImpact).await, of_60);
        assert_eq!(live(&pool, missing, CulturalImpact).await, 0.0);
    }
}

mod nominations {
    use super::*;

    #[sqlx::test(migrations = false)]
    async fn two_nominees_of_one_category_both_count(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let movie = Movie::new("Film").insert(&pool).await;
        nominee(&pool, movie, "Directing", "Ann", None, true).await;
        nominee(&pool, movie, "Directing", "Bob", None, false).await;
        assert_eq!(live(&pool, movie, IndustryRecognition).await, 0.2 + 0.05 * 2.0);
    }

    #[sqlx::test(migrations = false)]
    async fn a_linked_nomination_counts_twice_for_the_nominee_and_not_for_the_others(pool: PgPool) {
        let service = TestService::on(pool).await;
        let movie = Movie::new("Film").insert(&service.pool).await;
        let (ann, bob) = (person(&service.pool, "Ann").await, person(&service.pool, "Bob").await);
        credit(&service.pool, movie, ann, Some("Director")).await;
        credit(&service.pool, movie, bob, None).await;
        nominee(&service.pool, movie, "Directing", "Ann", Some(ann), true).await;
        nominee(&service.pool, movie, "Writing", "Someone Else", None, true).await;
        service.refresh().await;

        let shared = PersonRecord { movies: 1, nominations: 1, wins: 1, ..PersonRecord::default() };
        let own = PersonRecord { nominations: 2, wins: 2, direct_nominations: 1, direct_wins: 1, ..shared };
        assert_eq!(stored_quality(&service.pool, ann).await, (person_quality(61.0), components(own)));
        assert_eq!(stored_quality(&service.pool, bob).await, (person_quality(21.0), components(shared)));
    }

    #[sqlx::test(migrations = false)]
    async fn a_nominee_who_is_not_credited_has_a_record_too(pool: PgPool) {
        let service = TestService::on(pool).await;
        let movie = Movie::new("Film").nominated(3, 3).insert(&service.pool).await;
        let ann = person(&service.pool, "Ann").await;
        nominee(&service.pool, movie, "Directing", "Ann", Some(ann), false).await;
        service.refresh().await;

        let own = PersonRecord { nominations: 1, direct_nominations: 1, ..PersonRecord::default() };
        assert_eq!(stored_quality(&service.pool, ann).await, (person_quality(10.0), components(own)));
    }
}

mod people {
    use super::*;

    #[sqlx::test(migrations = false)]
    async fn person_credited_twice_counts_twice_in_the_mean(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let movie = Movie::new("Film").insert(&pool).await;
        let (ann, bob) = (person(&pool, "Ann").await, person(&pool, "Bob").await);
        quality(&pool, ann, Some(40.0)).await;
        quality(&pool, bob, Some(100.0)).await;
        for (person, job) in [(ann, Some("Director")), (bob, None), (ann, Some("Writer"))] {
            credit(&pool, movie, person, job).await;
        }
        assert_eq!(live(&pool, movie, PeopleQuality).await, 0.6);
    }

    #[sqlx::test(migrations = false)]
    async fn person_credited_twice_has_one_movie(pool: PgPool) {
        let service = TestService::on(pool).await;
        let movie = Movie::new("Film").rated(7.0, 9.0).on(&["a", "b", "c"]).insert(&service.pool).await;
        let ann = person(&service.pool, "Ann").await;
        credit(&service.pool, movie, ann, Some("Director")).await;
        credit(&service.pool, movie, ann, None).await;
        service.refresh().await;

        let record = PersonRecord { canonical: 3, well_rated: 1, movies: 1, ..PersonRecord::default() };
        assert_eq!(stored_quality(&service.pool, ann).await, (person_quality(34.0), components(record)));
    }

    #[sqlx::test(migrations = false)]
    async fn person_without_quality_is_left_out_of_the_mean(pool: PgPool) {
        migrated(&pool, metrics()).await;
        let movie = Movie::new("Film").insert(&pool).await;
        for (name, score) in [("Known", Some(60.0)), ("Null", None), ("NaN", Some(f64::NAN))] {
            let person_id = person(&pool, name).await;
            quality(&pool, person_id, score).await;
            credit(&pool, movie, person_id, None).await;
        }
        let stranger = person(&pool, "Stranger").await;
        credit(&pool, movie, stranger, None).await;
        assert_eq!(live(&pool, movie, PeopleQuality).await, 0.6);
    }

    #[sqlx::test(migrations = false)]
    async fn records_count_movies_of_every_status_and_only_valid_lists(pool: PgPool) {
        let service = TestService::on(pool).await;
        let ann = person(&service.pool, "Ann").await;
        let soft = Movie::new("Soft").soft().on(&["a"]);
        let misread = Movie::new("Misread").sources(r#"["a", "b"]"#).rated(f64::NAN, f64::NAN);
        for movie in [soft, misread] {
            let id = movie.insert(&service.pool).await;
            credit(&service.pool, id, ann, None).await;
        }
        service.refresh().await;

        let record = PersonRecord { canonical: 1, movies: 2, ..PersonRecord::default() };
        assert_eq!(stored_quality(&service.pool, ann).await, (person_quality(12.0), components(record)));
    }
}

mod blind_basis {
    use super::*;

    /// Ann's movies: two of the 1990s and one of the 1980s on the target list, and an unlisted one of the 1990s.
    struct Career {
        service: TestService,
        listed: i64,
        earlier: i64,
        unlisted: i64,
        strangers: i64,
    }

    impl Career {
        async fn on(pool: PgPool) -> Self {
            let service = TestService::on(pool).await;
            let (ann, bob) = (person(&service.pool, "Ann").await, person(&service.pool, "Bob").await);
            let nineties = Movie::new("Film").released("1994-05-01").popularity(60.0);
            let listed = nineties.clone().on(&[TARGET, "criterion"]).insert(&service.pool).await;
            let soft = nineties.clone().soft().on(&[TARGET]).insert(&service.pool).await;
            let earlier = nineties.clone().released("1989-12-31").on(&[TARGET]).insert(&service.pool).await;
            let unlisted = nineties.insert(&service.pool).await;
            let strangers = nineties.on(&["criterion"]).insert(&service.pool).await;
            for movie in [listed, soft, earlier, unlisted] {
                credit(&service.pool, movie, ann, None).await;
            }
            credit(&service.pool, strangers, bob, None).await;
            service.refresh().await;
            Self { service, listed, earlier, unlisted, strangers }
        }

        async fn published(&self, movie: i64) -> (f64, f64) {
            let vector = live_vectors(&self.service.pool).await[&movie];
            (vector.value(CulturalImpact), vector.value(PeopleQuality))
        }

        async fn blind(&self, movie: i64) -> (f64, f64) {
            blind(&self.service.pool, movie).await
        }
    }

    /// Ann's raw count with every label: four movies on four lists.
    const RAW: f64 = 44.0;

    #[sqlx::test(migrations = false)]
    async fn listed_movie_loses_a_tenth_of_its_cultural_impact(pool: PgPool) {
        let career = Career::on(pool).await;
        let (published, blind) = (career.published(career.listed).await, career.blind(career.listed).await);
        assert!(close(published.0 - blind.0, 0.1), "{published:?} became {blind:?}");
    }

    #[sqlx::test(migrations = false)]
    async fn its_people_lose_ten_points_for_each_listed_movie_of_the_decade(pool: PgPool) {
        let career = Career::on(pool).await;
        assert_eq!(career.published(career.listed).await.1, person_quality(RAW) / 100.0);
        // The label of the soft movie is hidden too. The movie of the 1980s and the other list still count.
        assert_eq!(career.blind(career.listed).await.1, person_quality(RAW - 20.0) / 100.0);
    }

    #[sqlx::test(migrations = false)]
    async fn another_decade_hides_only_its_own_labels(pool: PgPool) {
        let career = Career::on(pool).await;
        assert_eq!(career.blind(career.earlier).await.1, person_quality(RAW - 10.0) / 100.0);
    }

    #[sqlx::test(migrations = false)]
    async fn unlisted_movie_by_people_of_a_listed_one_changes_too(pool: PgPool) {
        let career = Career::on(pool).await;
        let (published, blind) = (career.published(career.unlisted).await, career.blind(career.unlisted).await);
        assert_eq!(blind, (published.0, person_quality(RAW - 20.0) / 100.0));
    }

    #[sqlx::test(migrations = false)]
    async fn movie_without_shared_people_keeps_its_score(pool: PgPool) {
        let career = Career::on(pool).await;
        assert_eq!(career.blind(career.strangers).await, career.published(career.strangers).await);
    }

    #[sqlx::test(migrations = false)]
    async fn quality_without_counts_is_converted_back_to_a_raw_count(pool: PgPool) {
        let service = TestService::on(pool).await;
        let movie = Movie::new("Listed").released("1994-05-01").on(&[TARGET]).insert(&service.pool).await;
        let ann = person(&service.pool, "Ann").await;
        credit(&service.pool, movie, ann, None).await;
        quality(&service.pool, ann, Some(person_quality(44.0))).await;
        service.refresh_scores().await;

        let people = blind(&service.pool, movie).await.1;
        assert!(close(people, person_quality(34.0) / 100.0), "{people}");
    }
}
