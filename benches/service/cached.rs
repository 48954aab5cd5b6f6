//! Cached responses: a cached page compared with a bare static route, the cost of a hit, a stale hit and a miss, and a
//! mixed load with the caches on and off.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::harness::{Server, catalogue, metrics, text, times};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

const PROFILES: [&str; 5] = ["Balanced", "Crowd Pleaser", "Critics Choice", "Award Winner", "Cult Classic"];
const DECADES: [i32; 11] = [2020, 2010, 2000, 1990, 1980, 1970, 1960, 1950, 1940, 1930, 1920];
const SELECTIONS: [&str; 3] = [
    "rank score likelihood breakdown { criterion value weight contribution } movie { title year }",
    "rank score movie { title year genres { name } }",
    "rank score coverage movie { title releaseDate originalLanguage }",
];
/// Clients of the mixed load.
pub(super) const CLIENTS: u64 = 64;
/// Distinct pages that the cached load cycles through.
const PAGES: usize = 1_000;
/// Maximum number of pages per profile and decade.
const PAGES_OF_ONE: usize = 30;

/// How often each side is measured.
const ROUNDS: usize = 5;

/// Measures cached responses on a catalogue of `movies`.
pub(crate) fn measure(runtime: &tokio::runtime::Runtime, url: &str, movies: u32) -> Result<()> {
    let database = runtime.block_on(catalogue(url, movies))?;
    println!("\n## Cached responses, {movies} movies\n");
    cached_page(runtime, &database)?;
    costs(runtime, &database)
}

/// Measures the mixed load on a catalogue of `movies`, for `seconds` with the caches on and as long with them off.
pub(crate) fn measure_mixed(runtime: &tokio::runtime::Runtime, url: &str, movies: u32, seconds: u32) -> Result<()> {
    let database = runtime.block_on(catalogue(url, movies))?;
    println!("\n## Mixed load, {movies} movies, {CLIENTS} clients, {seconds} s each\n");
    println!("| caches | requests | requests/s | p50 | p99 | fresh | stale | not cached | errors | statements |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    mixed(runtime, &database, "on", seconds)?;
    mixed(runtime, &database, "off", seconds)
}

/// Compares a thousand cached pages with the same bytes from a bare route, by `wrk`.
fn cached_page(runtime: &tokio::runtime::Runtime, database: &str) -> Result<()> {
    let server = Server::start(database, &[])?;
    let (requests, responses): (Vec<_>, Vec<_>) = pages(&server)?.into_iter().unzip();
    println!("{PAGES} pages in turn, {} bytes on average\n", responses.iter().map(Vec::len).sum::<usize>() / PAGES);
    println!("| connections | bare static route | cached | ratio | median of the rounds | p99 | errors |");
    println!("|---|---|---|---|---|---|---|");
    let bare = runtime.block_on(bare_route(responses))?;
    let script = script(&requests)?;
    for connections in [32, 320] {
        // Alternating, because the machine is shared.
        let rounds = (0..ROUNDS)
            .map(|_| Ok((wrk(bare, &script, connections)?, wrk(server.address, &script, connections)?)))
            .collect::<Result<Vec<_>>>()?;
        let best = |side: fn(&(Load, Load)) -> &Load| {
            let all = rounds.iter().map(side);
            all.max_by(|a, b| a.rate.total_cmp(&b.rate)).context("there are rounds")
        };
        let (bare, cached) = (best(|round| &round.0)?, best(|round| &round.1)?);
        println!(
            "| {connections} | {:.0}/s | {:.0}/s | {:.2} | {:.2} | {} | {} |",
            bare.rate,
            cached.rate,
            cached.rate / bare.rate,
            median(rounds.iter().map(|(bare, cached)| cached.rate / bare.rate).collect()),
            cached.p99,
            rounds.iter().map(|(_, cached)| cached.errors).sum::<u64>()
        );
    }
    Ok(())
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The same HTTP server with a route that returns the same responses in turn.
async fn bare_route(responses: Vec<Vec<u8>>) -> Result<SocketAddr> {
    let responses: Arc<[Bytes]> = responses.into_iter().map(Bytes::from).collect();
    let served = Arc::new(AtomicUsize::new(0));
    let response = move || {
        let response = responses[served.fetch_add(1, Ordering::Relaxed) % responses.len()].clone();
        async move { ([(CONTENT_TYPE, "application/json")], response) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/graphql", post(response))).await });
    Ok(address)
}

/// Requests for pages of 25 movies with breakdown, in scrolling order for every profile and decade, and the responses.
/// The service then has them cached.
pub(crate) fn pages(server: &Server) -> Result<Vec<(String, Vec<u8>)>> {
    let query = format!(
        "query Page($profile: String, $decade: Int!, $after: String) {{ predictions(profile: $profile, decade: $decade, \
         first: 25, after: $after) {{ totalCount pageInfo {{ endCursor hasNextPage }} nodes {{ {} }} }} }}",
        SELECTIONS[0]
    );
    let (mut client, mut pages) = (server.client()?, Vec::new());
    for (profile, decade) in PROFILES.iter().flat_map(|profile| DECADES.map(|decade| (profile, decade))) {
        let mut after = Value::Null;
        for _ in 0..PAGES_OF_ONE {
            let variables = json!({ "profile": profile, "decade": decade, "after": after });
            let request = json!({ "query": query, "variables": variables }).to_string();
            let response = client.post(&request)?;
            let info = serde_json::from_slice::<Value>(&response)?["data"]["predictions"]["pageInfo"].take();
            if info["hasNextPage"] != true || pages.len() == PAGES {
                break;
            }
            pages.push((request, response));
            after = info["endCursor"].clone();
        }
    }
    ensure!(pages.len() == PAGES, "there are only {} pages", pages.len());
    Ok(pages)
}

/// The script by which `wrk` sends these bodies in turn.
pub(crate) fn script(bodies: &[String]) -> Result<PathBuf> {
    let mut script = "local bodies = {\n".to_owned();
    for body in bodies {
        let _ = writeln!(script, "[==[{body}]==],");
    }
    script += "}\nlocal headers = { [\"Content-Type\"] = \"application/json\" }\nlocal requests, i = {}, 0\n\
               for n, body in ipairs(bodies) do requests[n] = wrk.format(\"POST\", \"/graphql\", headers, body) end\n\
               function request() i = i % #requests + 1 return requests[i] end\n";
    let path = Path::new("target/bench/pages.lua");
    fs::create_dir_all("target/bench")?;
    fs::write(path, script)?;
    Ok(path.to_owned())
}

pub(crate) struct Load {
    pub(crate) rate: f64,
    p99: String,
    errors: u64,
}

pub(crate) fn wrk(address: SocketAddr, script: &Path, connections: u32) -> Result<Load> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--duration", "8s", "--latency", "--connections", &connections.to_string()])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{address}/"))
        .output()
        .context("wrk is missing: apt-get install wrk")?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = |start: &str, nth: usize| {
        let line = report.lines().map(str::trim).find(|line| line.starts_with(start))?;
        line.split_whitespace().nth(nth).map(str::to_owned)
    };
    let count = |text: Option<String>| text.and_then(|text| text.trim_end_matches(',').parse().ok()).unwrap_or(0);
    let socket: u64 = [3, 5, 7, 9].iter().map(|&nth| count(word("Socket errors:", nth))).sum();
    Ok(Load {
        rate: word("Requests/sec:", 1).and_then(|rate| rate.parse().ok()).with_context(|| report.clone())?,
        p99: word("99%", 1).unwrap_or_default(),
        errors: socket + count(word("Non-2xx", 4)),
    })
}

/// Latency of a hit, a stale hit and a miss.
fn costs(runtime: &tokio::runtime::Runtime, database: &str) -> Result<()> {
    let server = Server::start(database, &[])?;
    let pages = pages(&server)?;
    let mut client = server.client()?;
    let hit = times(PAGES, |i| client.timed(&pages[i].0))?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(database).await?;
        let raise =
            "SELECT cinegraph.raise_version('scores', '', decade, false) FROM generate_series(1920, 2020, 10) decade";
        sqlx::raw_sql(raise).execute(&mut connection).await
    })?;
    // Within five seconds of its load an entry counts as fresh despite a soft invalidation.
    thread::sleep(Duration::from_secs(7));
    // The service has closed the idle connection meanwhile.
    let mut client = server.client()?;
    let stale = times(PAGES / 4, |i| client.timed(&pages[i * 4].0))?;
    let miss = times(PAGES, |i| client.timed(&never_seen(i, 2020, 25)))?;
    println!("\n| one request after the other | median | p99 | worst |\n|---|---|---|---|");
    hit.print("hit");
    stale.print("stale, with a concurrent refresh");
    miss.print("miss: new custom weights, page of 25 with titles");
    Ok(())
}

fn never_seen(i: usize, decade: i32, first: usize) -> String {
    let selection = SELECTIONS[i % 3];
    let query = format!(
        "{{ predictions(decade: {decade}, first: {first}, weights: {{ popularOpinion: {}, criticalAcclaim: 1500, \
         industryRecognition: 1200, culturalImpact: 900.5, peopleQuality: 777 }}) {{ nodes {{ {selection} }} }} }}",
        i + 1
    );
    json!({ "query": query }).to_string()
}

/// The load of the design: cold start, five profiles, eleven decades, four pages, three selections, all by a power law;
/// one in ten with new custom weights, one in ten a validation, a filter on every tenth. Meanwhile, each minute, one
/// profile and 500 ratings change.
fn mixed(runtime: &tokio::runtime::Runtime, database: &str, caches: &str, seconds: u32) -> Result<()> {
    let enabled = if caches == "on" { "true" } else { "false" };
    let server = Server::start(database, &[("CINEGRAPH_CACHE_ENABLED", enabled)])?;
    let statements = |runtime: &tokio::runtime::Runtime| {
        runtime.block_on(async {
            let mut connection = PgConnection::connect(database).await?;
            sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(&mut connection).await?;
            let reads = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                         WHERE d.datname = current_database() AND query ILIKE '%select%' AND query NOT ILIKE '%bench changes%'
                           AND query NOT ILIKE '%data_versions%' AND query NOT ILIKE '%score_refresh_queue%'";
            anyhow::Ok(sqlx::query_scalar::<_, i64>(reads).fetch_one(&mut connection).await?)
        })
    };
    let before = statements(runtime)?;
    let (done, errors) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let mut latencies = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                scope.spawn({
                    let (server, done, errors) = (&server, &done, &errors);
                    move || client(server, seed, done, errors)
                })
            })
            .collect();
        let changed = runtime.block_on(changes(database, Duration::from_secs(u64::from(seconds))));
        done.store(true, Ordering::Relaxed);
        let latencies =
            clients.into_iter().map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
        let latencies = latencies.collect::<Result<Vec<_>>>()?.concat();
        changed.map(|()| latencies)
    })?;
    let took = started.elapsed().as_secs_f64();
    let statements = statements(runtime)? - before;
    latencies.sort();
    let sources = sources(&server)?;
    let all: u64 = sources.iter().sum();
    let share = |count: u64| format!("{:.1} %", 100.0 * as_float(count) / as_float(all.max(1)));
    let count = latencies.len();
    println!(
        "| {caches} | {count} | {:.0} | {} | {} | {} | {} | {} | {} | {statements} ({:.3} a request) |",
        as_float(count as u64) / took,
        text(latencies[count / 2]),
        text(latencies[count * 99 / 100]),
        share(sources[0]),
        share(sources[1]),
        share(sources[2] + sources[3]),
        errors.into_inner(),
        as_float(statements.unsigned_abs()) / as_float(count as u64),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^53")]
pub(super) fn as_float(count: u64) -> f64 {
    count as f64
}

/// Number of predictions served fresh, stale, computed from memory, from the database and by the direct query.
fn sources(server: &Server) -> Result<[u64; 5]> {
    let metrics = metrics(server.admin)?;
    let count = |source: &str| {
        let series = format!("cinegraph_prediction_duration_seconds_count{{source=\"{source}\",");
        let of_it = metrics.lines().filter(|line| line.starts_with(&series));
        of_it.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    };
    Ok(["cache_fresh", "cache_stale", "memory", "database", "fallback"].map(count))
}

/// One client, which sends requests until the load ends.
fn client(server: &Server, seed: u64, done: &AtomicBool, errors: &AtomicU64) -> Result<Vec<Duration>> {
    let (mut random, mut client, mut latencies) = (SmallRng::seed_from_u64(seed), server.client()?, Vec::new());
    while !done.load(Ordering::Relaxed) {
        let mut send = |body: &str| {
            let started = Instant::now();
            let response = client.post(body);
            latencies.push(started.elapsed());
            response
        };
        if let Err(error) = visit(&mut random, &mut send) {
            if errors.fetch_add(1, Ordering::Relaxed) < 3 {
                eprintln!("{error:#}");
            }
            client = server.client()?;
        }
    }
    Ok(latencies)
}

/// One query of the mixed load, or a walk through pages.
pub(super) fn visit(random: &mut SmallRng, send: &mut impl FnMut(&str) -> Result<Vec<u8>>) -> Result<()> {
    let profile = PROFILES[zipf(random, PROFILES.len())];
    let decade = DECADES[zipf(random, DECADES.len())];
    let selection = SELECTIONS[zipf(random, SELECTIONS.len())];
    match random.random_range(0..10) {
        0 => parse_page(&send(&never_seen(random.random_range(0..1_000_000), decade, 25))?).map(|_| ()),
        1 => {
            let decade = decade - 10;
            let query = format!("{{ decadeValidation(profile: \"{profile}\", decade: {decade}) {{ hits accuracy }} }}");
            parse_page(&send(&json!({ "query": query }).to_string())?).map(|_| ())
        }
        _ => {
            let filter = if random.random_range(0..10) == 0 { "filter: {genres: [\"Drama\"]}" } else { "" };
            walk(send, profile, decade, selection, filter, zipf(random, 4))
        }
    }
}

/// The part of a response that a client needs. Parsing more would take CPU time from the service.
#[derive(Deserialize)]
struct PageResponse {
    errors: Option<Value>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    predictions: Option<Page>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    end_cursor: Option<String>,
    has_next_page: bool,
}

/// The page info of a response.
///
/// # Errors
/// Fails if the response has errors.
fn parse_page(bytes: &[u8]) -> Result<Option<PageInfo>> {
    let response: PageResponse = serde_json::from_slice(bytes)?;
    ensure!(response.errors.is_none(), "{}", String::from_utf8_lossy(bytes));
    Ok(response.data.context("no data")?.predictions.and_then(|page| page.page_info))
}

/// Requests a page after all pages before it, like a user who scrolls.
fn walk(
    send: &mut impl FnMut(&str) -> Result<Vec<u8>>,
    profile: &str,
    decade: i32,
    selection: &str,
    filter: &str,
    page: usize,
) -> Result<()> {
    let mut after = String::new();
    for _ in 0..=page {
        let query = format!(
            "{{ predictions(profile: \"{profile}\", decade: {decade}, {filter} {after}) {{ totalCount \
             pageInfo {{ endCursor hasNextPage }} nodes {{ {selection} }} }} }}"
        );
        match parse_page(&send(&json!({ "query": query }).to_string())?)? {
            Some(PageInfo { end_cursor: Some(cursor), has_next_page: true }) => after = format!("after: {cursor:?}"),
            _ => break,
        }
    }
    Ok(())
}

/// A random index below `count` with Zipf weights 1/1, 1/2, 1/3, …
fn zipf(random: &mut SmallRng, count: usize) -> usize {
    let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / as_float(rank as u64)).collect();
    let mut left = random.random_range(0.0..weights.iter().sum());
    weights
        .iter()
        .position(|weight| {
            left -= weight;
            left < 0.0
        })
        .unwrap_or(count - 1)
}

/// Changes 500 ratings a minute, one at a time, and a profile once a minute.
pub(super) async fn changes(database: &str, during: Duration) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(120));
    for tick in 0.. {
        ticks.tick().await;
        if started.elapsed() >= during {
            break;
        }
        sqlx::query(
            "/* bench changes */ UPDATE external_metrics SET value = 5 + (value * 7.3)::numeric % 5
             WHERE id = (SELECT id FROM external_metrics WHERE source = 'imdb' AND metric_type = 'rating_average'
                         AND id > (random() * (SELECT max(id) FROM external_metrics))::bigint ORDER BY id LIMIT 1)",
        )
        .execute(&mut connection)
        .await?;
        if tick % 500 == 250 {
            sqlx::raw_sql(
                "/* bench changes */ UPDATE metric_weight_profiles SET description = 'changed at ' || now() WHERE name = 'Cult Classic';
                 SELECT cinegraph.raise_version('profiles', '', 0, true)",
            )
            .execute(&mut connection)
            .await?;
        }
    }
    Ok(())
}
