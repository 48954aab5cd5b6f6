//! Soak test: the mixed load on a running service while a script injects faults. Prints one line a minute. Checks at the
//! end that memory stayed flat, every error had `Retry-After`, and metrics match the counts of the clients.
//!
//! SOAK_ADDRESS, SOAK_ADMIN: public and admin address. SOAK_SECONDS: duration. SOAK_RATE: requests per second, of all
//! clients.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::cached::{CLIENTS, as_float, changes, visit};
use super::harness::{Client, HttpResponse, metrics, text};
use super::setting;

/// Maximum interval between printed lines.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Interval of memory samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum ratio of memory outside the caches, last quarter to first.
const GROWTH: f64 = 1.1;

/// Number of problems printed per line and at the end.
const PROBLEMS_PRINTED: usize = 3;

/// Memory growth is checked in runs of at least this length; shorter ones are still filling caches.
const MEMORY_CHECK_FROM: Duration = Duration::from_mins(20);

/// Maximum time for background refreshes to complete after the last request.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the load.
///
/// # Errors
/// Fails if a check fails.
pub(crate) fn run(runtime: &Runtime, database: &str) -> Result<()> {
    let address: SocketAddr = setting("SOAK_ADDRESS", "127.0.0.1:8080")?;
    let admin: SocketAddr = setting("SOAK_ADMIN", "127.0.0.1:9464")?;
    let (seconds, rate): (u32, u32) = (setting("SOAK_SECONDS", "3600")?, setting("SOAK_RATE", "300")?);
    let lasts = Duration::from_secs(seconds.into());
    let pause = Duration::from_secs(CLIENTS) / rate;
    let (done, stats) = (AtomicBool::new(false), Mutex::new(LoadStats::default()));
    let (total, memory) = thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let (done, stats) = (&done, &stats);
            scope.spawn(move || client(address, seed, pause, done, stats));
        }
        scope.spawn(|| runtime.block_on(change(database, lasts)));
        let watched = watch(admin, lasts, &stats);
        done.store(true, Ordering::Relaxed);
        watched
    })?;
    let total = total.merge(stats.into_inner().map_err(|_| anyhow!("a client panicked"))?);
    println!("\ntotal: {}", total.line());

    let mut problems = total.problems();
    problems.extend(memory_growth(&memory).filter(|_| lasts >= MEMORY_CHECK_FROM));
    problems.extend(counter_mismatches(&total, admin)?);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    println!("All checks passed.");
    Ok(())
}

/// Responses that clients received.
#[derive(Default)]
struct LoadStats {
    /// Responses without errors: cached, stale, loaded.
    sources: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    /// Entries in `errors`, by their code.
    codes: BTreeMap<String, u64>,
    /// Responses with errors.
    failed: u64,
    /// Error responses other than 503 with `Retry-After`, and requests without a response.
    unexpected: Vec<String>,
    took: Vec<Duration>,
}

impl LoadStats {
    fn record(&mut self, response: &HttpResponse, took: Duration) {
        self.took.push(took);
        *self.statuses.entry(response.status).or_default() += 1;
        if response.status == 200 && !String::from_utf8_lossy(&response.body).contains("\"errors\":") {
            let status = response.header("cache-status").unwrap_or_default();
            let source = if status.contains("detail=stale") {
                "stale"
            } else if status.contains("; hit") {
                "cached"
            } else {
                "loaded"
            };
            *self.sources.entry(source).or_default() += 1;
            return;
        }
        self.failed += 1;
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        for error in errors {
            let code = error["extensions"]["code"].as_str().unwrap_or("none");
            *self.codes.entry(code.to_owned()).or_default() += 1;
        }
        let is_announced = |error: &Value| {
            error["extensions"]["code"] == "SERVICE_UNAVAILABLE" && error["extensions"]["retryAfter"].is_u64()
        };
        if errors.is_empty() || !errors.iter().all(is_announced) || response.header("retry-after").is_none() {
            self.add_problem(format!("{} {body}", response.status));
        }
    }

    fn add_problem(&mut self, problem: String) {
        if self.unexpected.len() < PROBLEMS_PRINTED {
            println!("{problem}");
        }
        self.unexpected.push(problem);
    }

    fn merge(mut self, other: Self) -> Self {
        for (source, count) in other.sources {
            *self.sources.entry(source).or_default() += count;
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        self.failed += other.failed;
        self.unexpected.extend(other.unexpected);
        self.took.extend(other.took);
        self
    }

    fn line(&self) -> String {
        let mut took = self.took.clone();
        took.sort();
        let at = |share: usize| took.get(took.len() * share / 100).copied().map_or_else(String::new, text);
        let mut line = format!("{:6} requests", took.len());
        for (source, count) in &self.sources {
            let _ = write!(line, "  {source} {count}");
        }
        for (status, count) in &self.statuses {
            let _ = write!(line, "  {status}: {count}");
        }
        for (code, count) in &self.codes {
            let _ = write!(line, "  {code} {count}");
        }
        let longest = took.last().copied().map_or_else(String::new, text);
        let _ = write!(line, "  p50 {}  p99 {}  longest {longest}", at(50), at(99));
        line
    }

    fn problems(&self) -> Vec<String> {
        let count = self.unexpected.len();
        let first = self
            .unexpected
            .iter()
            .take(PROBLEMS_PRINTED)
            .map(|problem| format!("unexpected error, one of {count}: {problem}"));
        first.collect()
    }
}

/// One client, which sends requests at a fixed pace.
fn client(address: SocketAddr, seed: u64, pause: Duration, done: &AtomicBool, stats: &Mutex<LoadStats>) -> Result<()> {
    let with_stats =
        |what: &dyn Fn(&mut LoadStats)| stats.lock().map(|mut stats| what(&mut stats)).map_err(|_| anyhow!("poisoned"));
    let mut random = SmallRng::seed_from_u64(seed);
    let mut connection = None;
    // Staggered starts, so that clients do not send in bursts.
    let mut next = Instant::now() + pause.mul_f64(as_float(seed) / as_float(CLIENTS));
    while !done.load(Ordering::Relaxed) {
        let mut send = |body: &str| {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next = Instant::now().max(next) + pause;
            let mut client = match connection.take() {
                Some(client) => client,
                None => Client::connect(address)?,
            };
            let started = Instant::now();
            let response = client.exchange(body)?;
            let took = started.elapsed();
            with_stats(&|stats| stats.record(&response, took))?;
            connection = Some(client);
            Ok(response.body)
        };
        let visited = visit(&mut random, &mut send);
        // A response with errors ends a visit and is already recorded.
        if let (Err(error), None) = (visited, &connection) {
            with_stats(&|stats| stats.add_problem(format!("no response: {error:#}")))?;
        }
    }
    Ok(())
}

/// Changes ratings and profiles; retries while the database is unavailable.
async fn change(database: &str, lasts: Duration) {
    let started = Instant::now();
    while let Some(left) = lasts.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        if changes(database, left).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Prints statistics sixty times, and at least once a minute; returns the total and the memory samples.
fn watch(admin: SocketAddr, lasts: Duration, stats: &Mutex<LoadStats>) -> Result<(LoadStats, Vec<Memory>)> {
    let (started, mut printed) = (Instant::now(), Duration::ZERO);
    let print_every = (lasts / 60).clamp(SAMPLE_INTERVAL, REPORT_INTERVAL);
    let (mut total, mut memory, mut fallbacks_before) = (LoadStats::default(), Vec::new(), 0.0);
    while started.elapsed() < lasts {
        thread::sleep(SAMPLE_INTERVAL);
        let metrics = metrics(admin)?;
        let bytes = |name| sum(&metrics, name, "") / 1e6;
        let now = Memory {
            resident: bytes("process_resident_memory_bytes"),
            cached: bytes("cinegraph_cache_estimated_bytes"),
        };
        memory.push(now);
        if started.elapsed() < printed + print_every {
            continue;
        }
        printed = started.elapsed();
        let recent = mem::take(&mut *stats.lock().map_err(|_| anyhow!("a client panicked"))?);
        let fallbacks = sum(&metrics, "cinegraph_fallback_requests_total", "");
        println!(
            "{:5.0} s  {}  {:.0} fallbacks  {:.1} MB, {:.1} allocated, {:.1} of that cached",
            printed.as_secs_f64(),
            recent.line(),
            fallbacks - fallbacks_before,
            now.resident,
            // Growth here but not in the caches is a leak.
            sum(&metrics, "cinegraph_allocator_bytes", "state=\"allocated\"") / 1e6,
            now.cached
        );
        fallbacks_before = fallbacks;
        total = total.merge(recent);
    }
    Ok((total, memory))
}

/// The sum of all series of one name that have these labels.
fn sum(metrics: &str, name: &str, labels: &str) -> f64 {
    let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
    metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// A sample of the memory of the service, in MB.
#[derive(Clone, Copy)]
struct Memory {
    resident: f64,
    /// Estimated size of the caches, which is bounded.
    cached: f64,
}

/// An error text if memory outside the caches grew by more than [`GROWTH`] from the first to the last quarter.
fn memory_growth(memory: &[Memory]) -> Option<String> {
    let quarter = memory.len() / 4;
    let (first, last) = (&memory[..quarter], &memory[memory.len() - quarter..]);
    let mean =
        |of: fn(&Memory) -> f64, part: &[Memory]| part.iter().map(of).sum::<f64>() / as_float(part.len().max(1) as u64);
    let [resident, cached] = [|memory: &Memory| memory.resident, |memory: &Memory| memory.cached]
        .map(|of| (mean(of, first), mean(of, last)));
    println!("resident memory: {:.1} MB in the first quarter, {:.1} MB in the last", resident.0, resident.1);
    println!("of that in caches: {:.1} MB, {:.1} MB", cached.0, cached.1);
    let (first, last) = (resident.0 - cached.0, resident.1 - cached.1);
    (last > first * GROWTH).then(|| format!("memory outside the caches grew from {first:.1} to {last:.1} MB"))
}

/// Counters of the service that differ from those of its clients or contradict each other.
fn counter_mismatches(total: &LoadStats, admin: SocketAddr) -> Result<Vec<String>> {
    let started = Instant::now();
    loop {
        let found = compare(total, &metrics(admin)?);
        if found.is_empty() || started.elapsed() > SETTLE_TIMEOUT {
            return Ok(found);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn compare(total: &LoadStats, metrics: &str) -> Vec<String> {
    let of = |name: &str, labels: &str| sum(metrics, name, labels);
    let all = as_float(total.took.len() as u64);
    let mut pairs = vec![
        ("requests to /graphql", all, of("http_server_request_duration_seconds_count", "http_route=\"/graphql\"")),
        ("SLO requests", all, of("cinegraph_slo_requests_total", "surface=\"api\"")),
        (
            "good SLO requests",
            all - as_float(total.failed),
            of("cinegraph_slo_requests_total", "surface=\"api\",result=\"good\""),
        ),
        ("operations", all, of("graphql_server_request_duration_seconds_count", "")),
        (
            "successful operations",
            all - as_float(total.failed),
            of("graphql_server_request_duration_seconds_count", "outcome=\"ok\""),
        ),
        ("errors", as_float(total.codes.values().sum()), of("cinegraph_graphql_errors_total", "")),
        ("requests in flight", 0.0, of("http_server_active_requests", "")),
        ("operations in flight", 0.0, of("graphql_server_request_active", "")),
        (
            "misses, and leaders and followers",
            of("cinegraph_cache_lookups_total", "result=\"miss\""),
            of("cinegraph_cache_single_flight_total", ""),
        ),
        (
            "stale hits, and their refreshes",
            of("cinegraph_cache_lookups_total", "result=\"stale\""),
            of("cinegraph_cache_revalidations_total", ""),
        ),
        (
            "lookups, and those in L1",
            of("cinegraph_cache_lookups_total", "") - of("cinegraph_cache_lookups_total", "result=\"bypass\""),
            of("cinegraph_cache_layer_requests_total", "layer=\"l1\""),
        ),
    ];
    let status = |status: u16| format!("http_route=\"/graphql\",http_response_status_code=\"{status}\"");
    pairs.extend(total.statuses.iter().map(|(&code, &count)| {
        ("one status", as_float(count), of("http_server_request_duration_seconds_count", &status(code)))
    }));
    pairs.extend(total.codes.iter().map(|(code, &count)| {
        ("one code", as_float(count), of("cinegraph_graphql_errors_total", &format!("code=\"{code}\"")))
    }));
    let differ = pairs.into_iter().filter(|(_, expected, found)| expected != found);
    differ.map(|(what, expected, found)| format!("{what}: {expected} expected, {found} counted")).collect()
}
