//! The service over HTTP compared with the query that it replaces, on the same movies. Writes plans to `target/bench`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::harness::{Server, Times, catalogue, cinegraph, text, times};
use anyhow::{Context, Result};
use cinegraph::store::{ORIGINAL_PREDICTIONS, original_validation};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

const ORIGINAL_INDEXES: &str = include_str!("../original-indexes.sql");
const DIRECT: &str = include_str!("../../src/store/sql/columns_from_view.sql");

/// The measured decade: it has 87,000 candidates among a million generated movies, the size that the budgets assume.
const DECADE: i32 = 2020;
/// Requests of each kind, enough for a 99th percentile.
const REQUESTS: usize = 300;
/// Weights of the default profile.
const BALANCED: [f64; 5] = [0.2, 0.2, 0.2, 0.2, 0.2];

pub(crate) async fn measure(url: &str, movies: u32) -> Result<()> {
    println!("\n## {movies} movies\n");
    let database = catalogue(url, movies).await?;
    let mut connection = PgConnection::connect(&database).await?;
    conditions(&mut connection).await?;
    refreshes(&database, &mut connection).await?;
    sqlx::raw_sql(ORIGINAL_INDEXES).execute(&mut connection).await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
    let original = Original::measure(&mut connection, movies).await?;
    println!("### The {DECADE}s compared with the original query\n");
    println!("| what | Cinegraph | original query | ratio |\n|---|---|---|---|");
    println!("| direct query: columns from the base tables | {} | | |", text(direct(&mut connection).await?));
    service(&database, &original)
}

async fn conditions(connection: &mut PgConnection) -> Result<()> {
    let settings = "SELECT version() || '; ' || string_agg(name || '=' || current_setting(name), ' ' ORDER BY name)
        FROM pg_settings WHERE name IN ('shared_buffers', 'work_mem', 'jit', 'fsync', 'effective_cache_size',
                                        'random_page_cost', 'max_parallel_workers_per_gather')";
    let settings: String = sqlx::query_scalar(settings).fetch_one(&mut *connection).await?;
    println!("{settings}\n");
    let counts = "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM movie_credits),
                         (SELECT count(*) FROM external_metrics), (SELECT count(*) FROM festival_nominations)";
    let row = sqlx::query(counts).fetch_one(connection).await?;
    let count = |i: usize| row.get::<i64, _>(i);
    println!("{} people, {} credits, {} metrics, {} nominations\n", count(0), count(1), count(2), count(3));
    Ok(())
}

/// Recomputes all derived data, in order of dependency.
async fn refreshes(database: &str, connection: &mut PgConnection) -> Result<()> {
    println!("| refresh | time |\n|---|---|");
    sqlx::raw_sql("TRUNCATE cinegraph.movie_discovery_scores").execute(connection).await?;
    println!("| person quality | {} |", text(cinegraph(database, &["refresh", "people"])?));
    println!("| scores, all to be stored | {} |", text(cinegraph(database, &["refresh", "scores"])?));
    println!("| scores, none changed | {} |", text(cinegraph(database, &["refresh", "scores"])?));
    println!("| blind scores and snapshot | {} |\n", text(cinegraph(database, &["refresh", "snapshot"])?));
    Ok(())
}

/// Latencies of the original application.
struct Original {
    predictions: Duration,
    validation: Duration,
    all_validations: Duration,
}

impl Original {
    async fn measure(connection: &mut PgConnection, movies: u32) -> Result<Self> {
        let validation = original_validation();
        let plan = original(connection, &format!("EXPLAIN (ANALYZE, BUFFERS) {ORIGINAL_PREDICTIONS}"), DECADE).await?.1;
        fs::write(Path::new("target/bench").join(format!("original-plan-{movies}.txt")), plan)?;
        let predictions = median(connection, ORIGINAL_PREDICTIONS).await?;
        let one = median(connection, &validation).await?;
        let mut all_validations = Duration::ZERO;
        for decade in (1880..2020).step_by(10) {
            all_validations += original(connection, &validation, decade).await?.0;
        }
        Ok(Self { predictions, validation: one, all_validations })
    }
}

async fn median(connection: &mut PgConnection, query: &str) -> Result<Duration> {
    original(connection, query, DECADE).await?;
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(original(connection, query, DECADE).await?.0);
    }
    times.sort();
    Ok(times[1])
}

/// Duration, and the text if the query is an EXPLAIN.
async fn original(connection: &mut PgConnection, query: &str, decade: i32) -> Result<(Duration, String)> {
    let started = Instant::now();
    let mut query = sqlx::query(AssertSqlSafe(query.to_owned()));
    for weight in BALANCED {
        query = query.bind(weight);
    }
    let rows = query.bind(first_day(decade)?).bind(first_day(decade + 10)?).fetch_all(connection).await?;
    let taken = started.elapsed();
    let lines: Vec<String> = rows.iter().filter_map(|row| row.try_get::<String, _>(0).ok()).collect();
    Ok((taken, lines.join("\n")))
}

async fn direct(connection: &mut PgConnection) -> Result<Duration> {
    sqlx::raw_sql("SET jit = off").execute(&mut *connection).await?;
    let started = Instant::now();
    let query = sqlx::query(DIRECT).bind(first_day(DECADE)?).bind(first_day(DECADE + 10)?);
    query.fetch_all(connection).await?;
    Ok(started.elapsed())
}

fn first_day(year: i32) -> Result<chrono::NaiveDate> {
    chrono::NaiveDate::from_ymd_opt(year, 1, 1).context("no such year")
}

/// All requests over HTTP on loopback, sequentially on one connection.
fn service(database: &str, original: &Original) -> Result<()> {
    let server = Server::start(database, &[])?;
    let mut client = server.client()?;
    // Connects to the database, so that cold requests do not include it.
    client.query(&predictions(1880, 0, ""))?;
    let started = server.memory()?;

    let first = client.query(&predictions(DECADE, 0, ""))?;
    let fresh = times(REQUESTS, |i| Ok(client.query(&predictions(DECADE, i + 1, ""))?.0))?;
    let filter = r#"filter: {genres: ["Drama"], titleContains: "the"}"#;
    let filtered = times(REQUESTS, |i| Ok(client.query(&predictions(DECADE, 1000 + i, filter))?.0))?;
    let mut cursor = first.1["predictions"]["pageInfo"]["endCursor"].clone();
    let deep = times(REQUESTS, |_| {
        let (time, data) = client.query(&predictions(DECADE, 0, &format!("after: {cursor}")))?;
        cursor = data["predictions"]["pageInfo"]["endCursor"].clone();
        Ok(time)
    })?;
    let total = &first.1["predictions"]["totalCount"];
    against(&format!("predictions, cold ({total} candidates)"), first.0, original.predictions);
    against("predictions, new custom weights, page of 25 (median)", fresh.median, original.predictions);
    against("predictions, deep page (median)", deep.median, original.predictions);
    against("predictions, filter by genre and title (median)", filtered.median, original.predictions);

    let first = client.query(&decade_validation(DECADE, 0))?.0;
    let one = times(REQUESTS, |i| Ok(client.query(&decade_validation(DECADE, i + 1))?.0))?;
    let first_all = client.query(&validation(0))?.0;
    let all = times(REQUESTS / 5, |i| Ok(client.query(&validation(i + 1))?.0))?;
    against("validation of the decade, cold", first, original.validation);
    against("validation of the decade, new custom weights (median)", one.median, original.validation);
    against("validation of all decades, others cold", first_all, original.all_validations);
    against("validation of all decades, new custom weights (median)", all.median, original.all_validations);

    println!("\n| latency over HTTP | median | p99 | worst |\n|---|---|---|---|");
    fresh.print("new custom weights, page of 25 with ranks and titles");
    deep.print("deep page, the same");
    filtered.print("filter by genre and title, the same");
    one.print("validation of the decade");
    all.print("validation of all decades");
    beside_validations(&server)?.print("a query without data, while validations of all decades run");

    for decade in (1880..2030).step_by(10) {
        client.query(&predictions(decade, 0, ""))?;
    }
    let (loaded, peak) = server.memory()?;
    println!(
        "\nMemory of the server: {} MB at start, {loaded} MB with all decades loaded, {peak} MB at most.",
        started.0
    );
    Ok(())
}

/// Latency of other requests while validations occupy the runtime.
fn beside_validations(server: &Server) -> Result<Times> {
    let done = AtomicBool::new(false);
    let (mut busy, mut client) = (server.client()?, server.client()?);
    thread::scope(|scope| {
        scope.spawn(|| {
            (5000..)
                .take_while(|_| !done.load(Ordering::Relaxed))
                .try_for_each(|i| busy.query(&validation(i)).map(|_| ()))
        });
        let beside = times(REQUESTS, |_| {
            thread::sleep(Duration::from_millis(3));
            Ok(client.query("{ __typename }")?.0)
        });
        done.store(true, Ordering::Relaxed);
        beside
    })
}

fn weights(i: usize) -> String {
    let i = i + 1;
    format!(
        "weights: {{popularOpinion: {i}, criticalAcclaim: 1500, industryRecognition: 1200, culturalImpact: 900.5, \
         peopleQuality: 777}}"
    )
}

fn predictions(decade: i32, i: usize, arguments: &str) -> String {
    let weights = weights(i);
    format!(
        "{{ predictions(decade: {decade}, {weights}, {arguments}) {{ totalCount pageInfo {{ endCursor }} \
         nodes {{ rank score movie {{ title releaseDate }} }} }} }}"
    )
}

fn decade_validation(decade: i32, i: usize) -> String {
    let weights = weights(i);
    format!("{{ decadeValidation(decade: {decade}, {weights}) {{ listed hits accuracy baselineAccuracy }} }}")
}

fn validation(i: usize) -> String {
    let weights = weights(i);
    format!("{{ validation({weights}) {{ decades {{ decade listed hits accuracy }} overall {{ accuracy lift }} }} }}")
}

fn against(what: &str, cinegraph: Duration, original: Duration) {
    let ratio = original.as_secs_f64() / cinegraph.as_secs_f64();
    println!("| {what} | {} | {} | {ratio:.0} × |", text(cinegraph), text(original));
}
