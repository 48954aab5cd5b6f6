//! The drain: incrementally updated scores equal those of a full refresh, for any writes in any order.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use cinegraph::services::drain::{Drain, Step};
use cinegraph::services::refresh;
use cinegraph::store::StoreError;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::{Movie, TestService, credit, person, quality};

/// Writes of a host application. Parameters: up to two row numbers, a value and `canonical_sources`. A write to a missing
/// row is a no-op.
const WRITES: [&str; 37] = [
    "INSERT INTO movies (tmdb_id, title, release_date, import_status, canonical_sources, inserted_at, updated_at)
     SELECT coalesce(max(tmdb_id), 0) + 1, 'Film', make_date(1985 + 2 * :one, 1, 1),
            CASE WHEN :other > 2 THEN 'full' ELSE 'soft' END, :sources, now(), now() FROM movies",
    "INSERT INTO movies (tmdb_id, title, release_date, import_status, canonical_sources, inserted_at, updated_at)
     SELECT coalesce(max(tmdb_id), 0) + n, 'Film', CASE WHEN :one > 2 THEN date '1989-12-31' END, 'full', :sources, now(),
            now() FROM movies, generate_series(1, 3) AS n GROUP BY n",
    "UPDATE movies SET release_date = make_date(1980 + 3 * :other, 1, 1) WHERE id = film(:one)",
    "UPDATE movies SET release_date = NULL WHERE id = film(:one)",
    "UPDATE movies SET release_date = release_date + 3650 WHERE id IN (film(:one), film(:other))",
    "UPDATE movies SET import_status = CASE WHEN :other > 3 THEN 'full' ELSE 'soft' END WHERE id = film(:one)",
    "UPDATE movies SET canonical_sources = :sources WHERE id = film(:one)",
    "UPDATE movies SET canonical_sources = :sources WHERE id IN (film(:one), film(:other))",
    "UPDATE movies SET tmdb_data = CASE WHEN :number < 9 THEN jsonb_build_object('popularity', :number) END
     WHERE id = film(:one)",
    "UPDATE movies SET title = title || ':other' WHERE id IN (film(:one), film(:other))",
    "UPDATE movies SET original_language = CASE WHEN :other > 2 THEN 'fr' END WHERE id = film(:one)",
    "INSERT INTO movie_genres SELECT m.id, g.id FROM movies AS m, genres AS g
     WHERE m.id IN (film(:one), film(:other)) AND g.id % 2 = :one % 2 ON CONFLICT DO NOTHING",
    "UPDATE movie_genres SET genre_id = genre_id % 3 + 1 WHERE movie_id = film(:one)
     AND (SELECT count(*) FROM movie_genres WHERE movie_id = film(:one)) = 1",
    "DELETE FROM movie_genres WHERE movie_id = film(:one) AND :other > 4",
    "INSERT INTO movie_production_countries SELECT m.id, c.id FROM movies AS m, production_countries AS c
     WHERE m.id = film(:one) ON CONFLICT DO NOTHING",
    "DELETE FROM movie_production_countries WHERE production_country_id = :one % 3 + 1 AND movie_id <= film(:other)",
    "UPDATE movies SET id = id + 1000 WHERE id = film(:one)
     AND id NOT IN (SELECT movie_id FROM external_metrics) AND id NOT IN (SELECT movie_id FROM movie_credits)
     AND id NOT IN (SELECT movie_id FROM festival_nominations) AND id NOT IN (SELECT movie_id FROM movie_genres)
     AND id NOT IN (SELECT movie_id FROM movie_production_countries)",
    "DELETE FROM movies WHERE id = film(:one) AND :other > 4",
    "INSERT INTO external_metrics (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
     SELECT id, source, metric_type, :number, now(), now(), now() FROM movies, kind(:other) WHERE id >= film(:one)
     ON CONFLICT (movie_id, source, metric_type) DO UPDATE SET value = excluded.value",
    "INSERT INTO external_metrics (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
     SELECT id, source, metric_type, :number, now(), now(), now() FROM movies, kind(:other) WHERE id = film(:one)
     ON CONFLICT (movie_id, source, metric_type) DO UPDATE SET value = excluded.value",
    "UPDATE external_metrics SET value = :number WHERE movie_id = film(:one)",
    "UPDATE external_metrics SET movie_id = film(:other)
     WHERE movie_id = film(:one) AND film(:other) NOT IN (SELECT movie_id FROM external_metrics)",
    "UPDATE external_metrics SET metadata = '{\"type\": \"list_appearances\"}' WHERE movie_id = film(:one)",
    "DELETE FROM external_metrics WHERE movie_id = film(:one) AND :other > 4",
    "INSERT INTO movie_credits (movie_id, person_id, credit_id, credit_type, inserted_at, updated_at)
     SELECT film(:one), person(:other), gen_random_uuid()::text, 'cast', now(), now()
     WHERE film(:one) IS NOT NULL AND person(:other) IS NOT NULL",
    "INSERT INTO movie_credits (movie_id, person_id, credit_id, credit_type, inserted_at, updated_at)
     SELECT m.id, p.id, gen_random_uuid()::text, 'crew', now(), now() FROM movies AS m, people AS p WHERE m.id > film(:one)",
    "UPDATE movie_credits SET person_id = person(:other) WHERE movie_id = film(:one) AND person(:other) IS NOT NULL",
    "UPDATE movie_credits SET movie_id = film(:other) WHERE movie_id = film(:one) AND film(:other) IS NOT NULL",
    "DELETE FROM movie_credits WHERE movie_id = film(:one)",
    "INSERT INTO person_metrics (person_id, metric_type, score, calculated_at, inserted_at, updated_at)
     SELECT person(:one), 'quality_score', CASE WHEN :other > 0 THEN 10 * :number END, now(), now(), now()
     WHERE person(:one) IS NOT NULL
     ON CONFLICT (person_id, metric_type) DO UPDATE SET score = excluded.score",
    "UPDATE person_metrics SET score = :number WHERE person_id IN (person(:one), person(:other))",
    "UPDATE person_metrics SET metric_type = CASE metric_type WHEN 'other' THEN 'quality_score' ELSE 'other' END
     WHERE person_id = person(:one) AND (SELECT count(*) FROM person_metrics WHERE person_id = person(:one)) = 1",
    "UPDATE person_metrics SET person_id = person(:other)
     WHERE person_id = person(:one) AND person(:other) NOT IN (SELECT person_id FROM person_metrics)",
    "DELETE FROM person_metrics WHERE person_id = person(:one) AND :other > 2",
    "INSERT INTO festival_nominations (ceremony_id, category_id, movie_id, won, details, inserted_at, updated_at)
     SELECT c.id, g.id, film(:one), :other > 4, jsonb_build_object('nominee_names', gen_random_uuid()), now(), now()
     FROM festival_ceremonies AS c, festival_categories AS g WHERE film(:one) IS NOT NULL",
    "UPDATE festival_nominations SET won = :other > 4, movie_id = coalesce(film(:other), movie_id) WHERE movie_id = film(:one)",
    "DELETE FROM festival_nominations WHERE movie_id = film(:one) AND :other > 4",
];

/// Rare, because everything after it starts from empty tables.
const TRUNCATES: [&str; 6] = [
    "TRUNCATE movies CASCADE",
    "TRUNCATE external_metrics",
    "TRUNCATE movie_credits",
    "TRUNCATE person_metrics",
    "TRUNCATE festival_nominations",
    "TRUNCATE movie_genres, movie_production_countries",
];

const SOURCES: [&str; 6] = [
    "NULL::jsonb",
    "'{}'::jsonb",
    r#"'{"1001_movies": {"included": true}}'::jsonb"#,
    r#"'{"1001_movies": {"included": true}, "criterion": {}}'::jsonb"#,
    r#"'{"criterion": null}'::jsonb"#,
    r#"'["1001_movies"]'::jsonb"#,
];

const NUMBERS: [&str; 9] = ["0", "0.5", "6.25", "7", "8.1", "9.9", "'NaN'", "'Infinity'", "-5"];

/// One step of a random history.
#[derive(Debug, Clone)]
enum Act {
    Write(String),
    /// Drains a part of the queue.
    Step,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let write = (select(WRITES.to_vec()), 0..9_u8, 0..9_u8, select(NUMBERS.to_vec()), select(SOURCES.to_vec()));
    let write = write.prop_map(|(statement, one, other, number, sources)| {
        let statement = statement.replace(":one", &one.to_string()).replace(":other", &other.to_string());
        statement.replace(":number", &format!("{number}::double precision")).replace(":sources", sources)
    });
    let act = prop_oneof![
        36 => write.prop_map(Act::Write),
        1 => select(TRUNCATES.to_vec()).prop_map(|statement| Act::Write(statement.to_owned())),
        3 => Just(Act::Step),
    ];
    prop::collection::vec(act, 40)
}

/// Functions that return the id of the nth row, or NULL if there are fewer.
const ROWS: &str = "
    CREATE FUNCTION film(n integer) RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT id FROM public.movies ORDER BY id OFFSET n LIMIT 1';
    CREATE FUNCTION person(n integer) RETURNS bigint LANGUAGE sql STABLE AS
        'SELECT id FROM public.people ORDER BY id OFFSET n LIMIT 1';
    CREATE FUNCTION kind(n integer) RETURNS TABLE (source text, metric_type text) LANGUAGE sql STABLE AS
        $$ SELECT * FROM (VALUES ('tmdb', 'rating_average'), ('imdb', 'rating_average'), ('metacritic', 'metascore'),
                                 ('rotten_tomatoes', 'tomatometer'), ('tmdb', 'popularity_score')) AS kind
           OFFSET n % 5 LIMIT 1 $$;";

/// The exact bits of the score table without timestamps, by decade.
type Stored = BTreeMap<Option<i32>, Vec<String>>;

async fn stored(service: &TestService) -> Stored {
    let rows: Vec<(Option<i32>, String)> = sqlx::query_as(
        "SELECT cinegraph.decade(release_date),
                concat_ws(' ', movie_id, release_date, list_keys, float8send(popular_opinion_score),
                          float8send(critical_acclaim_score), float8send(industry_recognition_score),
                          float8send(cultural_impact_score), float8send(people_quality_score), coverage, popularity,
                          title, language, genre_ids, country_ids, formula_version)
         FROM cinegraph.movie_discovery_scores ORDER BY movie_id",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap();
    let mut stored = Stored::new();
    for (decade, row) in rows {
        stored.entry(decade).or_default().push(row);
    }
    stored
}

/// The full movies on each list in each decade.
async fn members(service: &TestService) -> BTreeMap<(String, i32), Vec<i64>> {
    let rows: Vec<(String, i32, Vec<i64>)> = sqlx::query_as(
        "SELECT list_key, coalesce(cinegraph.decade(release_date), 0), array_agg(movie_id ORDER BY movie_id)
         FROM cinegraph.movie_discovery_scores CROSS JOIN unnest(list_keys) AS list_key GROUP BY 1, 2",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap();
    rows.into_iter().map(|(list, decade, movies)| ((list, decade), movies)).collect()
}

/// Version and minimum valid version of each list or decade.
async fn versions(service: &TestService, scope: &str) -> BTreeMap<(String, i32), (i64, i64)> {
    let rows: Vec<(String, i32, i64, i64)> =
        sqlx::query_as("SELECT list_key, decade, version, floor FROM cinegraph.data_versions WHERE scope = $1")
            .bind(scope)
            .fetch_all(&service.pool)
            .await
            .unwrap();
    rows.into_iter().map(|(list, decade, version, floor)| ((list, decade), (version, floor))).collect()
}

/// The keys at which two maps differ.
fn differing<K: Ord + Clone, V: PartialEq>(one: &BTreeMap<K, V>, other: &BTreeMap<K, V>) -> Vec<K> {
    let mut keys: Vec<_> = one.keys().chain(other.keys()).filter(|key| one.get(key) != other.get(key)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().cloned().collect()
}

async fn queued(service: &TestService) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(DISTINCT movie_id) FROM cinegraph.score_refresh_queue")
        .fetch_one(&service.pool)
        .await
        .unwrap()
}

async fn run(service: &TestService, statement: &'static str) -> u64 {
    sqlx::query(statement).execute(&service.pool).await.unwrap().rows_affected()
}

async fn drain(service: &TestService) {
    Drain::of(&service.store).run().await.unwrap();
    assert_eq!(queued(service).await, (0, 0));
}

/// Number of jobs of this task.
async fn jobs(service: &TestService, task: &str) -> usize {
    service.store.jobs().await.unwrap().iter().filter(|job| job.task == task).count()
}

#[sqlx::test(migrations = false)]
async fn drained_scores_are_those_of_a_full_refresh_to_the_bit(pool: PgPool) {
    let service = TestService::on(pool).await;
    sqlx::raw_sql(ROWS).execute(&service.pool).await.unwrap();
    for name in ["Ann", "Ben", "Cleo", "Dan", "Eve"] {
        person(&service.pool, name).await;
    }
    run(
        &service,
        "WITH genre AS (INSERT INTO genres (id, tmdb_id, name, inserted_at, updated_at)
                        SELECT n, n, 'Genre ' || n, now(), now() FROM generate_series(1, 3) AS n)
         INSERT INTO production_countries (id, iso_3166_1, name, inserted_at, updated_at)
         SELECT n, 'X' || n, 'Country ' || n, now(), now() FROM generate_series(1, 3) AS n",
    )
    .await;
    // Creates a ceremony and a category for later nominations.
    Movie::new("First").released("1994-05-01").nominated(1, 0).insert(&service.pool).await;
    drain(&service).await;
    let mut runner = TestRunner::deterministic();
    let mut changed = 0;

    for round in 0..30 {
        let (scores, lists) = (stored(&service).await, members(&service).await);
        let (decades, floors) = (versions(&service, "scores").await, versions(&service, "list").await);
        let acts = acts().new_tree(&mut runner).unwrap().current();

        for act in &acts {
            match act {
                Act::Write(statement) => {
                    let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(&service.pool).await;
                    changed += done.unwrap_or_else(|error| panic!("{error} in {statement}")).rows_affected();
                }
                Act::Step => {
                    service.store.drain_movies(2).await.unwrap();
                    service.store.drain_all_movies(2).await.unwrap();
                }
            }
        }
        drain(&service).await;

        let (drained, drained_lists) = (stored(&service).await, members(&service).await);
        let (now, now_floors) = (versions(&service, "scores").await, versions(&service, "list").await);
        for decade in differing(&scores, &drained).into_iter().flatten() {
            let key = (String::new(), decade);
            assert!(now.get(&key) > decades.get(&key), "scores of {decade} changed unannounced in round {round}");
        }
        for list in differing(&lists, &drained_lists) {
            let floor = |versions: &BTreeMap<_, (i64, i64)>| versions.get(&list).map(|version| version.1);
            assert!(floor(&now_floors) > floor(&floors), "{list:?} changed unannounced in round {round}");
        }
        run(&service, "TRUNCATE cinegraph.movie_discovery_scores").await;
        refresh::scores(&service.store, &mut |_| ()).await.unwrap();
        assert_eq!(drained, stored(&service).await, "round {round}: {acts:#?}");
    }
    assert!(changed > 500, "the writes must find something to change: {changed}");
}

#[sqlx::test(migrations = false)]
async fn bulk_load_queues_each_movie_once_per_statement(pool: PgPool) {
    let service = TestService::on(pool).await;
    run(
        &service,
        "INSERT INTO movies (tmdb_id, title, import_status, inserted_at, updated_at)
         SELECT n, 'Film ' || n, 'full', now(), now() FROM generate_series(1, 1000) AS n",
    )
    .await;
    drain(&service).await;
    let statements = [
        "INSERT INTO external_metrics (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
         SELECT id, 'source ' || n, 'rating', n, now(), now(), now() FROM movies, generate_series(1, 100) AS n",
        "UPDATE external_metrics SET value = value + 1",
        "DELETE FROM external_metrics",
    ];
    for statement in statements {
        assert_eq!(run(&service, statement).await, 100_000);
        assert_eq!(queued(&service).await, (1000, 1000), "{statement}");
        drain(&service).await;
    }
}

#[sqlx::test(migrations = false)]
async fn movie_that_changes_decade_soft_invalidates_both(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Moved").released("1994-05-01").insert(&service.pool).await;
    drain(&service).await;
    let before = versions(&service, "scores").await;
    run(&service, "UPDATE movies SET release_date = '2003-01-01'").await;

    drain(&service).await;

    let after = versions(&service, "scores").await;
    let raised: Vec<_> = differing(&before, &after).into_iter().map(|(_, decade)| decade).collect();
    assert_eq!(raised, [1990, 2000]);
    assert!(after.values().all(|(_, floor)| *floor == 0), "{after:?}");
}

#[sqlx::test(migrations = false)]
async fn movie_added_to_a_list_is_visible_at_once_and_requests_one_snapshot(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second"] {
        Movie::new(title).released("1994-05-01").insert(&service.pool).await;
    }
    drain(&service).await;
    assert_eq!(jobs(&service, "snapshot_refresh").await, 0);
    let movies = [
        "UPDATE movies SET canonical_sources = '{\"new\": {}}' WHERE title = 'First'",
        "UPDATE movies SET canonical_sources = '{\"new\": {}}' WHERE title = 'Second'",
    ];

    for (movies, floor) in movies.into_iter().zip([1, 2]) {
        run(&service, movies).await;
        drain(&service).await;
        assert_eq!(versions(&service, "list").await[&("new".into(), 1990)], (floor, floor));
    }

    assert_eq!(jobs(&service, "snapshot_refresh").await, 1);
}

#[sqlx::test(migrations = false)]
async fn queued_movie_that_was_deleted_is_skipped(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movie = Movie::new("Gone").released("1994-05-01").insert(&service.pool).await;
    drain(&service).await;
    run(&service, "UPDATE movies SET release_date = '1995-01-01'").await;
    run(&service, "DELETE FROM movies").await;
    sqlx::query("INSERT INTO cinegraph.score_refresh_queue (movie_id, reason) VALUES ($1, 'movies')")
        .bind(movie + 1)
        .execute(&service.pool)
        .await
        .unwrap();

    drain(&service).await;

    assert!(stored(&service).await.is_empty());
}

#[sqlx::test(migrations = false)]
async fn movie_that_fails_to_compute_does_not_block_others(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movies = [1, 2, 3].map(|n| Movie::new(if n == 2 { "Broken" } else { "Film" }).released("1994-05-01"));
    let mut ids = vec![];
    for movie in &movies {
        ids.push(movie.insert(&service.pool).await);
    }
    drain(&service).await;
    for name in ["Ann", "Ben"] {
        let person_id = person(&service.pool, name).await;
        credit(&service.pool, ids[1], person_id, None).await;
        // Their sum overflows a double.
        quality(&service.pool, person_id, Some(1.5e308)).await;
    }
    run(&service, "UPDATE movies SET release_date = '2003-01-01'").await;

    drain(&service).await;

    let decades: Vec<(String, i32)> = sqlx::query_as(
        "SELECT title, cinegraph.decade(release_date) FROM cinegraph.movie_discovery_scores ORDER BY 1, 2",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap();
    assert_eq!(decades, [("Broken".into(), 1990), ("Film".into(), 2000), ("Film".into(), 2000)]);
}

#[sqlx::test(migrations = false)]
async fn full_pass_gives_priority_to_changed_movies(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        Movie::new(title).released("1994-05-01").insert(&service.pool).await;
    }
    drain(&service).await;
    run(&service, "INSERT INTO cinegraph.score_refresh_queue (reason) VALUES ('movies'), ('person_metrics')").await;
    service.store.drain_all_movies(1).await.unwrap();
    assert_eq!(queued(&service).await, (1, 0), "requests that wait together are one");
    run(&service, "UPDATE movies SET release_date = '2003-01-01' WHERE title = 'Third'").await;

    service.store.drain_movies(10).await.unwrap();

    assert_eq!(versions(&service, "scores").await[&(String::new(), 2000)].0, 1);
    assert_eq!(queued(&service).await, (1, 0), "the pass goes on");
    // A full pass requested during another one must run too, because movies already passed may have changed.
    run(&service, "TRUNCATE external_metrics").await;
    assert_eq!(queued(&service).await, (2, 0));
    drain(&service).await;
}

#[sqlx::test(migrations = false)]
async fn interrupted_pass_resumes_where_it_stopped(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        Movie::new(title).released("1994-05-01").insert(&service.pool).await;
    }
    drain(&service).await;
    run(&service, "INSERT INTO cinegraph.score_refresh_queue (reason) VALUES ('movies')").await;
    service.store.drain_all_movies(1).await.unwrap();
    run(&service, "UPDATE cinegraph.movie_discovery_scores SET coverage = 4").await;

    drain(&service).await;

    let left: Vec<i16> = sqlx::query_scalar("SELECT coverage FROM cinegraph.movie_discovery_scores ORDER BY movie_id")
        .fetch_all(&service.pool)
        .await
        .unwrap();
    assert_eq!(left, [4, 0, 0], "the first was done before");
}

#[sqlx::test(migrations = false)]
async fn two_drains_share_the_work(pool: PgPool) {
    let service = TestService::on(pool).await;
    run(
        &service,
        "INSERT INTO movies (tmdb_id, title, import_status, release_date, inserted_at, updated_at)
         SELECT n, 'Film ' || n, 'full', '1994-05-01', now(), now() FROM generate_series(1, 300) AS n",
    )
    .await;
    let steps = async || {
        let mut movies = 0;
        while queued(&service).await.0 > 0 {
            if let cinegraph::store::Drained::Movies { movies: some, .. } =
                service.store.drain_movies(10).await.unwrap()
            {
                movies += some;
            }
        }
        movies
    };

    let (one, other) = tokio::join!(steps(), steps());

    assert_eq!(one + other, 300, "each movie once");
    assert_eq!(stored(&service).await[&Some(1990)].len(), 300);
}

#[sqlx::test(migrations = false)]
async fn empty_queue_reports_nothing_to_drain(pool: PgPool) {
    let service = TestService::on(pool).await;
    let mut drain = Drain::of(&service.store);
    assert!(!drain.is_due().await.unwrap());
    assert_eq!(drain.step().await.unwrap(), Step::Idle);
}

#[sqlx::test(migrations = false)]
async fn reconciling_counts_missed_changes_and_not_queued_ones(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["Missed", "Waits", "Fine"] {
        Movie::new(title).released("1994-05-01").rated(5.0, 5.0).insert(&service.pool).await;
    }
    drain(&service).await;
    run(&service, "UPDATE cinegraph.movie_discovery_scores SET popular_opinion_score = 1 WHERE title = 'Missed'").await;
    run(&service, "UPDATE movies SET release_date = '1995-05-01' WHERE title = 'Waits'").await;
    run(&service, "UPDATE movies SET title = 'Fine indeed' WHERE title = 'Fine'").await;

    let first = refresh::reconcile(&service.store, &mut |_| ()).await.unwrap().unwrap();
    let second = refresh::reconcile(&service.store, &mut |_| ()).await.unwrap().unwrap();

    assert_eq!((first.changes.changed, first.corrected), (3, 1));
    assert_eq!((second.changes.changed, second.corrected), (0, 0));
    assert_eq!(queued(&service).await, (2, 2), "the drain's work is left to it");
}

#[sqlx::test(migrations = false)]
async fn full_refresh_runs_on_one_instance_at_a_time(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Film").released("1994-05-01").insert(&service.pool).await;
    drain(&service).await;
    run(&service, "INSERT INTO cinegraph.score_refresh_queue (reason) VALUES ('movies')").await;
    let right = service.store.full_refresh().await.unwrap().unwrap();

    assert_eq!(refresh::reconcile(&service.store, &mut |_| ()).await.unwrap(), None);
    assert_eq!(Drain::of(&service.store).step().await.unwrap(), Step::Elsewhere);

    right.hold(async { Ok::<_, StoreError>(()) }).await.unwrap();
    drain(&service).await;
}

#[sqlx::test(migrations = false)]
async fn scores_of_another_formula_are_recomputed_by_the_drain(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["One", "Two", "Three"] {
        Movie::new(title).released("1994-05-01").rated(5.0, 5.0).insert(&service.pool).await;
    }
    Movie::new("Other decade").released("1984-05-01").rated(5.0, 5.0).insert(&service.pool).await;
    drain(&service).await;
    let source = async || {
        service.later(TimeDelta::days(1));
        service.see_changes().await;
        let data = service.data("{ predictions(decade: 1990) { nodes { source } } }").await;
        data["predictions"]["nodes"][0]["source"].clone()
    };
    for version in ["formula_version - 1", "formula_version + 1"] {
        let outdated = format!(
            "UPDATE cinegraph.movie_discovery_scores SET formula_version = {version} WHERE title IN ('Two', 'Other decade')"
        );
        sqlx::query(AssertSqlSafe(outdated)).execute(&service.pool).await.unwrap();

        assert_eq!(source().await, "DIRECT_QUERY", "{version}");
        // Queued once, however often the decade is loaded; the other decade has not been requested.
        assert_eq!(source().await, "DIRECT_QUERY", "{version}");
        assert_eq!(queued(&service).await, (1, 1), "{version}");
        drain(&service).await;

        assert_eq!(source().await, "SCORE_TABLE", "{version}");
        run(
            &service,
            "UPDATE cinegraph.movie_discovery_scores SET formula_version = (SELECT min(formula_version) \
                       FROM cinegraph.movie_discovery_scores WHERE title = 'One')",
        )
        .await;
    }
}

#[sqlx::test(migrations = false)]
async fn scores_of_a_newer_release_are_left_alone(pool: PgPool) {
    let service = TestService::on(pool).await;
    sqlx::query(
        "INSERT INTO movies (tmdb_id, title, release_date, import_status, inserted_at, updated_at)
         SELECT number, 'Film ' || number, '1994-05-01', 'full', now(), now() FROM generate_series(1, 101) AS number",
    )
    .execute(&service.pool)
    .await
    .unwrap();
    drain(&service).await;
    run(&service, "UPDATE cinegraph.movie_discovery_scores SET formula_version = formula_version + 1").await;

    let data = service.data("{ predictions(decade: 1990) { nodes { source } } }").await;

    assert_eq!(data["predictions"]["nodes"][0]["source"], "DIRECT_QUERY");
    assert_eq!(queued(&service).await, (0, 0));
}
