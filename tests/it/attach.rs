//! Attaching to the database of a host application: scores are right, and its tables and writers are not harmed.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cinegraph::clock::Clock;
use cinegraph::scoring::{Criterion, Inputs, ScoreVector, Weights};
use cinegraph::services::generate::{GenerateRequest, generate};
use cinegraph::services::import::{Generated, import_csv};
use cinegraph::store::{SchemaVariant, Store};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, PgPool};

use crate::support::{TestService, metrics, migrated, open, url};

const STATE_A: &[&str] = &[include_str!("fixtures/state_a.sql")];
const STATE_H: &[&str] = &[include_str!("fixtures/state_a.sql"), include_str!("fixtures/state_h.sql")];

/// The tables with triggers, and one statement on a movie per event.
const WRITES: [(&str, [&str; 3]); 7] = [
    (
        "movies",
        [
            "INSERT INTO movies (id, tmdb_id, title, inserted_at, updated_at) VALUES (99, 1099, 'New', now(), now())",
            "UPDATE movies SET release_date = '2024-01-01' WHERE id = 99",
            "DELETE FROM movies WHERE id = 99",
        ],
    ),
    (
        "external_metrics",
        [
            "INSERT INTO external_metrics (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
             VALUES (16, 'tmdb', 'rating_average', 5, now(), now(), now())",
            "UPDATE external_metrics SET value = 6 WHERE movie_id = 16",
            "DELETE FROM external_metrics WHERE movie_id = 16",
        ],
    ),
    (
        "movie_credits",
        [
            "INSERT INTO movie_credits (movie_id, person_id, credit_id, credit_type, inserted_at, updated_at)
             VALUES (16, 23, 'c16', 'cast', now(), now())",
            "UPDATE movie_credits SET person_id = 22 WHERE movie_id = 16",
            "DELETE FROM movie_credits WHERE movie_id = 16",
        ],
    ),
    (
        "person_metrics",
        [
            "INSERT INTO person_metrics (person_id, metric_type, score, calculated_at, inserted_at, updated_at)
             VALUES (23, 'quality_score', 5, now(), now(), now())",
            "UPDATE person_metrics SET score = 6 WHERE person_id = 23",
            "DELETE FROM person_metrics WHERE person_id = 23",
        ],
    ),
    (
        "festival_nominations",
        [
            "INSERT INTO festival_nominations (ceremony_id, category_id, movie_id, inserted_at, updated_at)
             VALUES (32, 41, 16, now(), now())",
            "UPDATE festival_nominations SET won = true WHERE movie_id = 16",
            "DELETE FROM festival_nominations WHERE movie_id = 16",
        ],
    ),
    (
        "movie_genres",
        [
            "INSERT INTO movie_genres VALUES (16, 51)",
            "WITH other AS (INSERT INTO genres (id, tmdb_id, name, inserted_at, updated_at)
                            VALUES (59, 99, 'Noir', now(), now()) RETURNING id)
             UPDATE movie_genres SET genre_id = other.id FROM other WHERE movie_id = 16",
            "DELETE FROM movie_genres WHERE movie_id = 16",
        ],
    ),
    (
        "movie_production_countries",
        [
            "INSERT INTO movie_production_countries VALUES (16, 61)",
            "WITH other AS (INSERT INTO production_countries (id, iso_3166_1, name, inserted_at, updated_at)
                            VALUES (69, 'AT', 'Austria', now(), now()) RETURNING id)
             UPDATE movie_production_countries SET production_country_id = other.id FROM other WHERE movie_id = 16",
            "DELETE FROM movie_production_countries WHERE movie_id = 16",
        ],
    ),
];

async fn load(pool: &PgPool, state: &[&'static str]) {
    for file in state {
        sqlx::raw_sql(*file).execute(pool).await.unwrap();
    }
}

async fn attached(pool: &PgPool, state: &[&'static str]) -> Store {
    load(pool, state).await;
    migrated(pool, metrics()).await
}

/// Empties the queue; returns the distinct pairs of movie and table, in order.
async fn queued(pool: &PgPool) -> Vec<(Option<i64>, String)> {
    let mut rows: Vec<(Option<i64>, String)> =
        sqlx::query_as("DELETE FROM cinegraph.score_refresh_queue RETURNING movie_id, reason")
            .fetch_all(pool)
            .await
            .unwrap();
    rows.sort();
    rows
}

/// The host's objects and rows, as `pg_dump` writes them.
async fn dump(pool: &PgPool) -> String {
    let bin: String =
        sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetch_one(pool).await.unwrap();
    let beside_server = std::path::Path::new(&bin).join("pg_dump");
    let program = if beside_server.exists() { beside_server } else { "pg_dump".into() };
    let options = pool.connect_options();
    let url = std::env::var("DATABASE_URL").unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/{}", options.get_database().unwrap());
    let output = Command::new(program).args(["--inserts", "--dbname", &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // `pg_dump` writes a new random key each time.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

/// Runs the program on the test's database.
fn cinegraph(pool: &PgPool, arguments: &[&str]) -> Output {
    let url = url(pool);
    Command::new(env!("CARGO_BIN_EXE_cinegraph"))
        .args(arguments)
        .env("CINEGRAPH_DATABASE_URL", url)
        .env("CINEGRAPH_LOG_FILTER", "error")
        .output()
        .unwrap()
}

async fn scores_are_right(pool: PgPool, state: &[&'static str]) {
    load(&pool, state).await;
    let service = TestService::on(pool).await;
    service.refresh_scores().await;

    let stored: Vec<(i64, f64, f64, f64, f64, f64)> = sqlx::query_as(
        "SELECT movie_id, popular_opinion_score, critical_acclaim_score, industry_recognition_score,
                cultural_impact_score, people_quality_score
         FROM cinegraph.movie_discovery_scores ORDER BY movie_id",
    )
    .fetch_all(&service.pool)
    .await
    .unwrap();

    let expected = [
        (
            11,
            Inputs {
                tmdb_rating: Some(7.5),
                imdb_rating: Some(7.9),
                metascore: Some(86.0),
                tomatometer: Some(93.0),
                popularity: Some(60.0),
                nominations: 10,
                wins: 2,
                lists: 1,
                people: vec![70.0, 40.0],
            },
        ),
        // A count of user lists is not a popularity: the raw record's popularity is used, or none.
        (12, Inputs { tmdb_rating: Some(6.8), popularity: Some(12.5), ..Inputs::default() }),
        (13, Inputs { imdb_rating: Some(f64::NAN), ..Inputs::default() }),
        (
            14,
            Inputs {
                tmdb_rating: Some(8.1),
                imdb_rating: Some(12.0),
                lists: 2,
                people: vec![70.0, 70.0, 40.0],
                ..Inputs::default()
            },
        ),
        (16, Inputs::default()),
    ];
    let expected = expected.map(|(id, inputs)| {
        let [popular, critical, industry, cultural, people] = ScoreVector::of(&inputs).0;
        (id, popular, critical, industry, cultural, people)
    });
    assert_eq!(stored, expected);
    let response = service.data("{ predictions(first: 1) { nodes { score movie { title } } } }").await;
    let first = &response["predictions"]["nodes"][0];
    assert_eq!(first["movie"]["title"], "The Worked Example");
    assert!((first["score"].as_f64().unwrap() - 76.2).abs() < 0.05, "{first}");
}

#[sqlx::test(migrations = false)]
async fn scores_are_right_on_a_database_of_2025(pool: PgPool) {
    scores_are_right(pool, STATE_A).await;
}

#[sqlx::test(migrations = false)]
async fn scores_are_right_on_a_database_of_2026(pool: PgPool) {
    scores_are_right(pool, STATE_H).await;
}

#[sqlx::test(migrations = false)]
async fn profiles_of_every_period_are_mapped(pool: PgPool) {
    let store = attached(&pool, STATE_H).await;

    let profiles = store.profiles().await.unwrap();

    let expected = [
        ("Balanced", [0.2, 0.2, 0.2, 0.2, 0.2]),
        ("Cinegraph Editorial", [0.15, 0.35, 0.2, 0.15, 0.15]),
        ("Crowd Pleaser", [0.2, 0.2, 0.1, 0.4, 0.05]),
        ("Without Categories", [0.2, 0.2, 0.2, 0.2, 0.2]),
    ];
    assert_eq!(profiles.len(), expected.len());
    for (profile, (name, raw)) in profiles.iter().zip(expected) {
        let weights = Weights::normalised(raw).unwrap();
        let close = |criterion| (profile.weights.of(criterion) - weights.of(criterion)).abs() < 1e-12;
        assert_eq!(profile.name, name);
        assert!(Criterion::ALL.into_iter().all(close), "{profile:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn popular_opinion_of_august_2025_is_mapped(pool: PgPool) {
    let store = attached(&pool, STATE_A).await;

    let profiles = store.profiles().await.unwrap();

    let crowd_pleaser = profiles.iter().find(|profile| profile.name == "Crowd Pleaser").unwrap();
    assert!((crowd_pleaser.weights.of(Criterion::CulturalImpact) - 0.4 / 0.95).abs() < 1e-12);
}

async fn detaching_leaves_no_trace(pool: PgPool, state: &[&'static str]) {
    load(&pool, state).await;
    let before = dump(&pool).await;
    let store = migrated(&pool, metrics()).await;
    assert_ne!(dump(&pool).await, before);

    let detached = store.detach().await.unwrap();

    assert_same_lines(&dump(&pool).await, &before);
    assert_eq!(detached.triggers.len(), 9);
    let again = store.detach().await.unwrap();
    assert!(again.triggers.is_empty() && again.indexes.is_empty());
}

/// Compares line by line, so that a failure shows the first difference instead of two dumps.
#[track_caller]
fn assert_same_lines(left: &str, right: &str) {
    let difference = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    assert_eq!(difference, None);
    assert_eq!(left.lines().count(), right.lines().count());
}

#[sqlx::test(migrations = false)]
async fn detaching_leaves_no_trace_on_a_database_of_2025(pool: PgPool) {
    detaching_leaves_no_trace(pool, STATE_A).await;
}

#[sqlx::test(migrations = false)]
async fn detaching_leaves_no_trace_on_a_database_of_2026(pool: PgPool) {
    detaching_leaves_no_trace(pool, STATE_H).await;
}

#[sqlx::test(migrations = false)]
async fn write_queues_its_movie_once(pool: PgPool) {
    attached(&pool, STATE_A).await;
    let movie = |table: &str, id| (Some(id), table.to_owned());

    for (table, statements) in WRITES {
        let expected: &[i64] = match table {
            "movies" => &[99],
            "person_metrics" => &[11],
            _ => &[16],
        };
        for statement in statements {
            sqlx::query(statement).execute(&pool).await.unwrap();
            let expected: Vec<_> = expected.iter().map(|id| movie(table, *id)).collect();
            assert_eq!(queued(&pool).await, expected, "{statement}");
        }
    }

    sqlx::query("UPDATE external_metrics SET movie_id = 16 WHERE movie_id = 12 AND metric_type = 'rating_average'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(queued(&pool).await, [movie("external_metrics", 12), movie("external_metrics", 16)]);
}

#[sqlx::test(migrations = false)]
async fn a_write_that_changes_no_score_and_no_filter_queues_nothing(pool: PgPool) {
    attached(&pool, STATE_A).await;

    for statement in [
        "UPDATE movies SET title = title || '', tagline = 'Again', tmdb_data = tmdb_data || '{\"budget\": 1}'",
        "UPDATE external_metrics SET fetched_at = now(), text_value = 'again'",
        "UPDATE movie_credits SET character = 'Someone Else'",
        "UPDATE person_metrics SET calculated_at = now()",
        "UPDATE person_metrics SET score = 1 WHERE metric_type = 'director_quality'",
        "UPDATE festival_nominations SET prize_name = 'Prize'",
        "UPDATE movie_genres SET genre_id = genre_id",
        "UPDATE movie_production_countries SET movie_id = movie_id",
        "UPDATE genres SET name = 'Renamed'",
        "DELETE FROM genres WHERE id = 4711",
        "DELETE FROM movies WHERE id = 4711",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
        assert_eq!(queued(&pool).await, [], "{statement}");
    }

    for filter in ["title = title || '!'", "original_language = 'de'"] {
        let update = format!("UPDATE movies SET {filter} WHERE id = 12");
        sqlx::query(sqlx::AssertSqlSafe(update)).execute(&pool).await.unwrap();
        assert_eq!(queued(&pool).await, [(Some(12), "movies".to_owned())], "{filter}");
    }
    let popularity = "UPDATE movies SET tmdb_data = tmdb_data || '{\"popularity\": 1}' WHERE id = 12";
    sqlx::query(popularity).execute(&pool).await.unwrap();
    assert_eq!(queued(&pool).await, [(Some(12), "movies".to_owned())]);
}

#[sqlx::test(migrations = false)]
async fn truncate_queues_all_movies(pool: PgPool) {
    attached(&pool, STATE_A).await;

    sqlx::query("TRUNCATE external_metrics").execute(&pool).await.unwrap();

    assert_eq!(queued(&pool).await, [(None, "external_metrics".to_owned())]);
}

#[sqlx::test(migrations = false)]
async fn change_of_many_people_queues_all_movies(pool: PgPool) {
    attached(&pool, STATE_A).await;
    let people = "WITH person AS (INSERT INTO people (tmdb_id, name, inserted_at, updated_at)
                                  SELECT 10000 + n, 'Person ' || n, now(), now() FROM generate_series(1, 10001) AS n
                                  RETURNING id)
                  INSERT INTO person_metrics (person_id, metric_type, score, calculated_at, inserted_at, updated_at)
                  SELECT id, 'quality_score', 50, now(), now(), now() FROM person";

    sqlx::query(people).execute(&pool).await.unwrap();

    assert_eq!(queued(&pool).await, [(None, "person_metrics".to_owned())]);
}

#[sqlx::test(migrations = false)]
async fn metrics_of_a_thousand_movies_queue_each_once(pool: PgPool) {
    attached(&pool, STATE_A).await;
    let movies = "INSERT INTO movies (tmdb_id, title, inserted_at, updated_at)
                 SELECT 100000 + n, 'Film ' || n, now(), now() FROM generate_series(1, 1000) AS n";
    sqlx::query(movies).execute(&pool).await.unwrap();
    queued(&pool).await;
    let metrics =
        "INSERT INTO external_metrics (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
                   SELECT m.id, 'bulk', 'metric_' || n, n, now(), now(), now()
                   FROM movies AS m CROSS JOIN generate_series(1, 100) AS n WHERE m.tmdb_id > 100000";

    let with = Instant::now();
    let written = sqlx::query(metrics).execute(&pool).await.unwrap().rows_affected();
    let with = with.elapsed();

    assert_eq!(written, 100_000);
    assert_eq!(queued(&pool).await.len(), 1000);
    sqlx::query("DELETE FROM external_metrics WHERE source = 'bulk'").execute(&pool).await.unwrap();
    sqlx::query("ALTER TABLE external_metrics DISABLE TRIGGER USER").execute(&pool).await.unwrap();
    let without = Instant::now();
    sqlx::query(metrics).execute(&pool).await.unwrap();
    let without = without.elapsed();
    println!("100,000 metrics: {with:?} with triggers, {without:?} without");
    // Triggers add some tens of per cent on an idle machine; the bound allows for a busy one.
    assert!(with < 3 * without + Duration::from_secs(1), "{with:?} with triggers, {without:?} without");
}

async fn host_can_write(pool: &PgPool, broken: &str) {
    for (_, statements) in WRITES {
        for statement in statements {
            let written = sqlx::query(statement).execute(pool).await;
            let written = written.unwrap_or_else(|error| panic!("{broken}: {statement}: {error}")).rows_affected();
            assert_eq!(written, 1, "{broken}: {statement}");
        }
    }
    // Deleting a movie cascades to its credits, metrics and nominations.
    sqlx::query("DELETE FROM movies WHERE id = 11").execute(pool).await.unwrap();
    let left = "SELECT count(*) FROM external_metrics WHERE movie_id = 11";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(pool).await.unwrap(), 0);
    for (table, _) in WRITES {
        let truncate = AssertSqlSafe(format!("TRUNCATE {table} CASCADE"));
        sqlx::query(truncate).execute(pool).await.unwrap_or_else(|error| panic!("{broken}: {table}: {error}"));
    }
}

#[sqlx::test(migrations = false)]
async fn a_missing_queue_harms_no_write(pool: PgPool) {
    attached(&pool, STATE_A).await;
    sqlx::query("ALTER TABLE cinegraph.score_refresh_queue RENAME TO gone").execute(&pool).await.unwrap();

    host_can_write(&pool, "queue renamed").await;
}

#[sqlx::test(migrations = false)]
async fn a_renamed_schema_harms_no_write(pool: PgPool) {
    attached(&pool, STATE_A).await;
    sqlx::query("ALTER SCHEMA cinegraph RENAME TO gone").execute(&pool).await.unwrap();

    host_can_write(&pool, "schema renamed").await;
}

#[sqlx::test(migrations = false)]
async fn a_dropped_schema_harms_no_write(pool: PgPool) {
    attached(&pool, STATE_H).await;
    sqlx::query("DROP SCHEMA cinegraph CASCADE").execute(&pool).await.unwrap();

    host_can_write(&pool, "schema dropped").await;
}

#[sqlx::test(migrations = false)]
async fn locked_queue_hardly_delays_a_write(pool: PgPool) {
    attached(&pool, STATE_A).await;
    let mut locked = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE cinegraph.score_refresh_queue").execute(&mut *locked).await.unwrap();

    let started = Instant::now();
    let update = "UPDATE movies SET release_date = '2024-01-01' WHERE id = 12";
    sqlx::query(update).execute(&pool).await.unwrap();

    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[sqlx::test(migrations = false)]
async fn host_movies_are_not_replaced(pool: PgPool) {
    let store = attached(&pool, STATE_A).await;
    let movies = tempfile::tempdir().unwrap();
    let csv = "tmdb_id,imdb_id,title,release_date,original_language,import_status\n";
    std::fs::write(movies.path().join("movies.csv"), csv).unwrap();

    let imported = import_csv(&store, movies.path(), Generated::Replace, &Clock::system(), &mut |_| ()).await;
    let generated = generate(&store, GenerateRequest { movies: 10, seed: 1 }, &mut |_| ()).await;

    assert!(imported.unwrap_err().to_string().contains("another application"));
    assert!(generated.unwrap_err().to_string().contains("another application"));
}

#[sqlx::test(migrations = false)]
async fn person_metrics_of_the_host_are_not_written(pool: PgPool) {
    attached(&pool, STATE_A).await;

    let refused = cinegraph(&pool, &["refresh", "people"]);
    let all = cinegraph(&pool, &["refresh", "all"]);

    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("person_quality_enabled"), "{text}");
    assert!(all.status.success(), "{}", String::from_utf8_lossy(&all.stderr));
    let theirs = "SELECT count(*) FROM person_metrics WHERE metadata ->> 'version' = '2.0'";
    assert_eq!(sqlx::query_scalar::<_, i64>(theirs).fetch_one(&pool).await.unwrap(), 2);
}

#[sqlx::test(migrations = false)]
async fn migrating_says_what_it_found_and_added(pool: PgPool) {
    load(&pool, STATE_H).await;

    let first = cinegraph(&pool, &["migrate"]);
    let second = cinegraph(&pool, &["migrate"]);
    let detached = cinegraph(&pool, &["migrate", "--detach"]);

    let text = |output: Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (applied, first): (Vec<_>, Vec<_>) =
        text(first).lines().map(str::to_owned).partition(|line| line.starts_with("Migrations applied: own schema, "));
    assert_eq!(applied.len(), 1);
    insta::assert_snapshot!(first.join("\n"));
    insta::assert_snapshot!(text(second));
    insta::assert_snapshot!(text(detached));
}

#[sqlx::test(migrations = false)]
async fn migrating_again_changes_nothing(pool: PgPool) {
    let store = attached(&pool, STATE_H).await;
    let before = dump(&pool).await;

    let again = store.migrate().await.unwrap();

    assert_eq!((again.migrations.len(), again.indexes.len(), again.triggers.len()), (0, 0, 0));
    assert_same_lines(&dump(&pool).await, &before);
}

#[sqlx::test(migrations = false)]
async fn cinegraphs_movie_tables_have_every_index(pool: PgPool) {
    let store = open(&pool.connect_options(), metrics());

    let first = store.migrate().await.unwrap();
    let second = store.migrate().await.unwrap();

    assert_eq!((first.found, first.indexes.len(), first.triggers.len()), (SchemaVariant::Empty, 0, 9));
    assert_eq!((second.found, second.indexes.len(), second.triggers.len()), (SchemaVariant::Ours, 0, 0));
}

#[sqlx::test(migrations = false)]
async fn two_instances_migrate_one_after_the_other(pool: PgPool) {
    load(&pool, STATE_H).await;
    let (one, other) = (open(&pool.connect_options(), metrics()), open(&pool.connect_options(), metrics()));

    let (one, other) = tokio::join!(one.migrate(), other.migrate());

    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.triggers.len() + other.triggers.len(), 9);
    assert!(one.indexes.is_empty() != other.indexes.is_empty());
}

#[sqlx::test(migrations = false)]
async fn writers_wait_for_the_lock_timeout_at_most(pool: PgPool) {
    load(&pool, STATE_A).await;
    let store = open(&pool.connect_options(), metrics());
    let mut writer = pool.begin().await.unwrap();
    sqlx::query("UPDATE movies SET title = 'Being Written' WHERE id = 12").execute(&mut *writer).await.unwrap();
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.movies'::regclass)";

    let queue_behind = async {
        until(&pool, waiting).await;
        let started = Instant::now();
        sqlx::query("UPDATE movies SET title = 'Queued' WHERE id = 13").execute(&pool).await.unwrap();
        let waited = started.elapsed();
        until(&pool, waiting).await;
        writer.commit().await.unwrap();
        waited
    };
    let (migrated, waited) = tokio::join!(store.migrate(), queue_behind);

    assert!(waited < Duration::from_secs(4), "{waited:?}");
    assert_eq!(migrated.unwrap().triggers.len(), 9);
}

/// Waits until a query returns true.
async fn until(pool: &PgPool, condition: &'static str) {
    let holds = async {
        while !sqlx::query_scalar::<_, bool>(condition).fetch_one(pool).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), holds).await.expect(condition);
}

#[sqlx::test(migrations = false)]
async fn an_index_that_was_interrupted_is_built_again(pool: PgPool) {
    let store = attached(&pool, STATE_H).await;
    let name = "cinegraph_movies_release_date_idx";
    sqlx::query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass")
        .bind(name)
        .execute(&pool)
        .await
        .unwrap();

    let again = store.migrate().await.unwrap();

    assert_eq!(again.indexes, [name]);
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'cinegraph_movies_release_date_idx'::regclass";
    assert!(sqlx::query_scalar::<_, bool>(valid).fetch_one(&pool).await.unwrap());
}

#[sqlx::test(migrations = false)]
async fn schema_variants_are_distinguished(pool: PgPool) {
    load(&pool, STATE_H).await;
    let store = open(&pool.connect_options(), metrics());
    let mut found = vec![store.migrate().await.unwrap().found];

    for earlier in [
        "DROP TABLE prediction_models CASCADE",
        "ALTER TABLE movie_score_caches RENAME critics_score TO ivory_tower_score",
        "DROP TABLE movie_score_caches",
        "DROP TABLE prediction_cache",
    ] {
        sqlx::query(earlier).execute(&pool).await.unwrap();
        found.push(store.migrate().await.unwrap().found);
    }

    let expected = [
        SchemaVariant::June2026,
        SchemaVariant::FinalLenses,
        SchemaVariant::March2026,
        SchemaVariant::August21,
        SchemaVariant::August17,
    ];
    assert_eq!(found, expected);
}

#[sqlx::test(migrations = false)]
async fn lists_without_a_table_go_by_their_keys(pool: PgPool) {
    load(&pool, STATE_A).await;
    sqlx::query("DROP TABLE movie_lists").execute(&pool).await.unwrap();
    let service = TestService::on(pool).await;
    service.refresh_scores().await;

    let names = service.store.list_names(&[]).await.unwrap();

    let keys: Vec<_> = names.iter().map(|list| (list.key.as_str(), list.name.as_str())).collect();
    assert_eq!(keys, [("1001_movies", "1001_movies"), ("criterion", "criterion")]);
    let absent = "SELECT to_regclass('public.movie_lists') IS NULL";
    assert!(sqlx::query_scalar::<_, bool>(absent).fetch_one(&service.pool).await.unwrap());
}

#[sqlx::test(migrations = false)]
async fn unrelated_tables_are_not_touched(pool: PgPool) {
    let store = open(&pool.connect_options(), metrics());
    sqlx::query("CREATE TABLE public.people (id bigint, tmdb_id integer, name text)").execute(&pool).await.unwrap();
    let taken = store.migrate().await.unwrap_err().to_string();
    sqlx::query("CREATE TABLE public.movies (id bigint)").execute(&pool).await.unwrap();
    let incomplete = store.migrate().await.unwrap_err().to_string();

    assert!(taken.contains("people"), "{taken}");
    assert!(incomplete.contains("external_metrics, ") && incomplete.contains("movies.title"), "{incomplete}");
    let untouched = "SELECT to_regnamespace('cinegraph') IS NULL";
    assert!(sqlx::query_scalar::<_, bool>(untouched).fetch_one(&pool).await.unwrap());
}

/// A role for one test, dropped at its end.
struct Role {
    name: String,
    options: PgConnectOptions,
}

impl Role {
    async fn new(pool: &PgPool, part: &str) -> Self {
        let options = pool.connect_options().as_ref().clone();
        let database = options.get_database().unwrap().to_owned();
        let name = format!("{part}_{}", &database[database.len().saturating_sub(40)..]);
        run(
            pool,
            format!(
                r#"DROP ROLE IF EXISTS "{name}"; CREATE ROLE "{name}" LOGIN PASSWORD 'secret';
                   GRANT CREATE ON DATABASE "{database}" TO "{name}";"#
            ),
        )
        .await;
        let options = options.username(&name).password("secret");
        Self { name, options }
    }

    async fn drop(self, pool: &PgPool) {
        run(pool, format!(r#"DROP OWNED BY "{0}" CASCADE; DROP ROLE "{0}""#, self.name)).await;
    }
}

async fn run(pool: &PgPool, statements: String) {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn the_owner_of_the_tables_need_not_be_superuser(pool: PgPool) {
    let owner = Role::new(&pool, "owner").await;
    run(&pool, format!(r#"ALTER SCHEMA public OWNER TO "{}""#, owner.name)).await;
    let mut connection = PgConnection::connect_with(&owner.options).await.unwrap();
    for file in STATE_H {
        sqlx::raw_sql(*file).execute(&mut connection).await.unwrap();
    }
    let before = dump(&pool).await;
    let store = open(&owner.options, metrics());

    let migrated = store.migrate().await.unwrap();
    assert_eq!((migrated.triggers.len(), migrated.indexes.is_empty()), (9, false));
    let mut write = connection.begin().await.unwrap();
    sqlx::query("UPDATE external_metrics SET value = 1 WHERE movie_id = 12").execute(&mut *write).await.unwrap();
    let queued = "SELECT movie_id FROM cinegraph.score_refresh_queue";
    assert_eq!(sqlx::query_scalar::<_, i64>(queued).fetch_one(&mut *write).await.unwrap(), 12);
    write.rollback().await.unwrap();
    store.detach().await.unwrap();

    assert_same_lines(&dump(&pool).await, &before);
    store.close().await;
    connection.close().await.unwrap();
    run(&pool, "ALTER SCHEMA public OWNER TO pg_database_owner".to_owned()).await;
    owner.drop(&pool).await;
}

#[sqlx::test(migrations = false)]
async fn role_without_privileges_gets_an_error_that_names_them(pool: PgPool) {
    load(&pool, STATE_H).await;
    let stranger = Role::new(&pool, "stranger").await;
    run(&pool, format!(r#"GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{}""#, stranger.name)).await;
    run(&pool, format!(r#"REVOKE SELECT ON genres FROM "{}""#, stranger.name)).await;
    let store = open(&stranger.options, metrics());

    let refused = store.migrate().await.unwrap_err().to_string();

    for lacking in ["CREATE on schema public", "SELECT on public.genres", "ownership of public.movies"] {
        assert!(refused.contains(lacking), "{refused}");
    }
    let untouched = "SELECT to_regnamespace('cinegraph') IS NULL";
    assert!(sqlx::query_scalar::<_, bool>(untouched).fetch_one(&pool).await.unwrap());
    store.close().await;
    stranger.drop(&pool).await;
}

#[sqlx::test(migrations = false)]
async fn detaching_does_not_drop_dependent_host_views(pool: PgPool) {
    let store = attached(&pool, STATE_A).await;
    let view = "CREATE VIEW public.best AS SELECT * FROM cinegraph.movie_discovery_scores";
    sqlx::query(view).execute(&pool).await.unwrap();

    let refused = store.detach().await.unwrap_err().to_string();

    assert!(refused.contains("public.best"), "{refused}");
}
