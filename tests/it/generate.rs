//! The generated catalogue in the database.

use std::fmt::Write as _;

use cinegraph::services::generate::{GenerateError, GenerateRequest, GenerateSummary, Phase, generate};
use cinegraph_datagen::{Part, Table};
use sqlx::PgPool;

use crate::support::store_of;

const SEVEN: GenerateRequest = GenerateRequest { movies: 4_000, seed: 7 };

async fn generated(pool: &PgPool, request: GenerateRequest) -> GenerateSummary {
    generate(&store_of(pool), request, &mut |_| ()).await.expect("a catalogue")
}

/// A digest of every row of every table.
async fn digest(pool: &PgPool) -> String {
    let mut digest = String::new();
    for table in Table::ALL {
        let name = table.name();
        let sql =
            format!("SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM public.{name} AS t");
        let md5: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.expect("a digest");
        writeln!(digest, "{name} {md5}").expect("a string");
    }
    digest
}

async fn number(pool: &PgPool, sql: &'static str) -> f64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect(sql)
}

/// The mean of a metric of movies on the target list, and of the others.
async fn listed_and_others(pool: &PgPool, source: &str, metric: &str) -> (f64, f64) {
    let sql = "SELECT (avg(e.value) FILTER (WHERE m.canonical_sources ? '1001_movies')),
                      (avg(e.value) FILTER (WHERE NOT m.canonical_sources ? '1001_movies'))
               FROM external_metrics AS e JOIN movies AS m ON m.id = e.movie_id
               WHERE e.source = $1 AND e.metric_type = $2";
    sqlx::query_as(sql).bind(source).bind(metric).fetch_one(pool).await.expect("two means")
}

#[sqlx::test(migrations = "./migrations")]
async fn the_same_seed_gives_the_same_tables(pool: PgPool) {
    let summary = generated(&pool, SEVEN).await;
    let first = digest(&pool).await;

    let other = generated(&pool, GenerateRequest { seed: 8, ..SEVEN }).await;
    assert_ne!(digest(&pool).await, first);
    assert_ne!(other, summary);

    assert_eq!(generated(&pool, SEVEN).await, summary);
    assert_eq!(digest(&pool).await, first);
}

#[sqlx::test(migrations = "./migrations")]
async fn every_table_is_filled_as_the_summary_says(pool: PgPool) {
    let mut phases = Vec::new();
    let summary = generate(&store_of(&pool), SEVEN, &mut |progress| {
        assert!(progress.done <= progress.total);
        phases.push(progress.phase);
    })
    .await
    .expect("a catalogue");

    for table in Table::ALL {
        let sql = format!("SELECT count(*) FROM public.{}", table.name());
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&pool).await.expect("a count");
        assert!(rows > 0, "{} is empty", table.name());
        assert_eq!(summary.rows.get(&table).copied(), u64::try_from(rows).ok(), "{}", table.name());
    }
    assert_eq!(summary.rows[&Table::Movies], 4_000);
    phases.dedup();
    assert_eq!(
        phases,
        [
            Phase::Writing(Part::Lists),
            Phase::Writing(Part::People),
            Phase::Writing(Part::Movies),
            Phase::Writing(Part::Awards),
            Phase::Analyzing,
            Phase::Indexing
        ]
    );

    let (origin, detail): (String, serde_json::Value) =
        sqlx::query_as("SELECT catalogue_origin, catalogue_detail FROM cinegraph.installation")
            .fetch_one(&pool)
            .await
            .expect("an installation");
    assert_eq!((origin.as_str(), detail), ("generated", serde_json::json!({ "films": 4_000, "seed": 7 })));

    let next: i64 = sqlx::query_scalar("SELECT nextval('movies_id_seq')").fetch_one(&pool).await.expect("an id");
    assert_eq!(next, 4_001);
}

#[sqlx::test(migrations = "./migrations")]
async fn generation_keeps_indexes_and_foreign_keys(pool: PgPool) {
    let schema = || async {
        let sql = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
                   UNION ALL
                   SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                   WHERE connamespace = 'public'::regnamespace AND convalidated
                   ORDER BY 1";
        sqlx::query_scalar::<_, String>(sql).fetch_all(&pool).await.expect("a schema")
    };
    let before = schema().await;
    generated(&pool, SEVEN).await;
    assert_eq!(schema().await, before);
}

#[sqlx::test(migrations = "./migrations")]
async fn movies_span_all_decades_and_statuses(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let decades: Vec<i32> = sqlx::query_scalar(
        "SELECT DISTINCT cinegraph.decade(release_date) AS decade FROM movies
         WHERE release_date IS NOT NULL ORDER BY decade",
    )
    .fetch_all(&pool)
    .await
    .expect("decades");
    assert_eq!(decades, (1890..=2020).step_by(10).collect::<Vec<_>>());

    let soft = number(&pool, "SELECT avg((import_status = 'soft')::int)::float8 FROM movies").await;
    assert!((0.02..=0.04).contains(&soft), "{soft}");
    let undated = number(&pool, "SELECT avg((release_date IS NULL)::int)::float8 FROM movies").await;
    assert!((0.01..=0.03).contains(&undated), "{undated}");
    let listed = "SELECT count(*)::float8 FROM movies
                  WHERE canonical_sources ? '1001_movies' AND release_date >= '2020-01-01'";
    assert!((16.0..=20.0).contains(&number(&pool, listed).await));
}

#[sqlx::test(migrations = "./migrations")]
async fn listed_movies_tend_to_be_acclaimed(pool: PgPool) {
    generated(&pool, SEVEN).await;
    for (source, metric, least) in [
        ("tmdb", "rating_average", 0.5),
        ("imdb", "rating_average", 0.5),
        ("tmdb", "popularity_score", 2.0),
        ("metacritic", "metascore", 10.0),
        ("rotten_tomatoes", "tomatometer", 10.0),
    ] {
        let (listed, others) = listed_and_others(&pool, source, metric).await;
        assert!(listed > others + least, "{source} {metric}: {listed} of listed movies, {others} of others");
    }
    let both = "SELECT corr(a.value, b.value) FROM external_metrics AS a JOIN external_metrics AS b USING (movie_id)
                WHERE a.source = 'tmdb' AND a.metric_type = 'rating_average' AND a.value > 0
                  AND b.source = 'imdb' AND b.metric_type = 'rating_average'";
    let agreement = number(&pool, both).await;
    assert!((0.6..=0.95).contains(&agreement), "{agreement}");
}

#[sqlx::test(migrations = "./migrations")]
async fn most_movies_lack_critics_scores(pool: PgPool) {
    generated(&pool, SEVEN).await;
    for source in ["metacritic", "rotten_tomatoes"] {
        let movies: i64 = sqlx::query_scalar("SELECT count(*) FROM external_metrics WHERE source = $1")
            .bind(source)
            .fetch_one(&pool)
            .await
            .expect("a count");
        assert!((400..=1_600).contains(&movies), "{movies} of 4000 movies by {source}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn people_recur_within_a_career(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let most = "SELECT max(films)::float8
                FROM (SELECT count(*) AS films FROM movie_credits GROUP BY person_id) AS careers";
    assert!((15.0..=150.0).contains(&number(&pool, most).await), "{} movies", number(&pool, most).await);
    let mean = "SELECT count(*)::float8 / count(DISTINCT person_id) FROM movie_credits";
    assert!((2.0..=8.0).contains(&number(&pool, mean).await), "{} credits", number(&pool, mean).await);
    // A cohort starts within a few years, so a career of 40 years can appear a few years longer.
    let longest = "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY years) FROM (
                       SELECT (max(release_date) - min(release_date)) / 365.25::float8 AS years
                       FROM movie_credits JOIN movies ON movies.id = movie_id GROUP BY person_id) AS careers";
    assert!(number(&pool, longest).await < 55.0, "{} years", number(&pool, longest).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn nominations_cluster(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let nominated = "SELECT count(DISTINCT movie_id)::float8 / (SELECT count(*) FROM movies) FROM festival_nominations";
    assert!((0.1..=0.45).contains(&number(&pool, nominated).await), "{} nominated", number(&pool, nominated).await);
    let top = "SELECT sum(n) FILTER (WHERE place <= 0.1)::float8 / sum(n)::float8
               FROM (SELECT n, percent_rank() OVER (ORDER BY n DESC) AS place
                     FROM (SELECT count(*) AS n FROM festival_nominations GROUP BY movie_id) AS films) AS ranked";
    assert!(number(&pool, top).await > 0.3, "a tenth has {}", number(&pool, top).await);
    let listed = "SELECT avg((m.canonical_sources ? '1001_movies')::int)::float8
                  FROM festival_nominations AS n JOIN movies AS m ON m.id = n.movie_id WHERE n.won";
    assert!(number(&pool, listed).await > 0.3, "{} of the wins", number(&pool, listed).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn named_nominees_are_linked_when_the_movie_credits_them(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let unlinked = "SELECT avg((n.person_id IS NULL)::int)::float8 FROM festival_nominations AS n
                    WHERE n.details ? 'nominee_names'";
    assert!((0.1..=0.3).contains(&number(&pool, unlinked).await), "{} unlinked", number(&pool, unlinked).await);
    let elsewhere = "SELECT count(*)::float8 FROM festival_nominations AS n
                     WHERE n.person_id IS NOT NULL AND NOT EXISTS (
                         SELECT FROM movie_credits AS c JOIN people AS p ON p.id = c.person_id
                         WHERE c.movie_id = n.movie_id AND p.id = n.person_id AND p.name = n.details ->> 'nominee_names')";
    assert!(number(&pool, elsewhere).await < 0.5);
}

#[sqlx::test(migrations = "./migrations")]
async fn host_application_database_is_rejected(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let before = digest(&pool).await;
    sqlx::query("UPDATE cinegraph.installation SET owns_catalogue = false").execute(&pool).await.expect("an update");
    let refused = generate(&store_of(&pool), GenerateRequest { seed: 8, ..SEVEN }, &mut |_| ()).await;
    assert!(matches!(refused, Err(GenerateError::ForeignCatalogue)), "{refused:?}");
    assert_eq!(digest(&pool).await, before);
}

#[sqlx::test(migrations = "./migrations")]
async fn imported_movies_are_never_replaced(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let before = digest(&pool).await;
    sqlx::query("UPDATE cinegraph.installation SET catalogue_origin = 'imported'")
        .execute(&pool)
        .await
        .expect("an update");
    let refused = generate(&store_of(&pool), GenerateRequest { seed: 8, ..SEVEN }, &mut |_| ()).await;
    assert!(matches!(refused, Err(GenerateError::ImportedCatalogue)), "{refused:?}");

    sqlx::query("UPDATE cinegraph.installation SET catalogue_origin = NULL").execute(&pool).await.expect("an update");
    let refused = generate(&store_of(&pool), GenerateRequest { seed: 8, ..SEVEN }, &mut |_| ()).await;
    assert!(matches!(refused, Err(GenerateError::UnknownCatalogue)), "{refused:?}");
    assert_eq!(digest(&pool).await, before);
}

#[sqlx::test(migrations = "./migrations")]
async fn movie_count_out_of_range_is_rejected(pool: PgPool) {
    for movies in [0, 5_000_001] {
        let refused = generate(&store_of(&pool), GenerateRequest { movies, seed: 1 }, &mut |_| ()).await;
        assert!(matches!(refused, Err(GenerateError::MoviesOutOfRange { .. })), "{refused:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn one_movie_is_a_catalogue(pool: PgPool) {
    assert_eq!(generated(&pool, GenerateRequest { movies: 1, seed: 1 }).await.rows[&Table::Movies], 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn failure_half_way_keeps_the_previous_catalogue(pool: PgPool) {
    generated(&pool, SEVEN).await;
    let before = digest(&pool).await;
    sqlx::query("ALTER TABLE public.festival_ceremonies ADD CHECK (year < 2000) NOT VALID")
        .execute(&pool)
        .await
        .expect("a check");
    let failed = generate(&store_of(&pool), GenerateRequest { seed: 8, ..SEVEN }, &mut |_| ()).await;
    assert!(matches!(failed, Err(GenerateError::Database(_))), "{failed:?}");
    assert_eq!(digest(&pool).await, before);
}
