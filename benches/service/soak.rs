//! The mixed load on a service that runs already, for a long time, while others make its servers fail: one line a minute,
//! and at the end whether memory stayed flat, errors were announced, and the service counted what its clients did.
//!
//! SOAK_ADDRESS, SOAK_ADMIN: where it listens. SOAK_SECONDS: for how long. SOAK_RATE: questions a second, of all clients.

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
use super::harness::{Answer, Client, metrics, text};
use super::setting;

/// How often a line is printed, at least.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How much larger memory beside the caches may be in the last quarter than in the first.
const GROWTH: f64 = 1.1;

/// How many answers that should not be are printed, of each line's and in the end.
const COMPLAINTS: usize = 3;

/// A run that lasts less is still filling its caches.
const JUDGED_FROM: Duration = Duration::from_mins(20);

/// How long the last refreshes may take after the last question.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// Runs the load, and fails when what it found is not as it must be.
pub(crate) fn run(runtime: &Runtime, database: &str) -> Result<()> {
    let address: SocketAddr = setting("SOAK_ADDRESS", "127.0.0.1:8080")?;
    let admin: SocketAddr = setting("SOAK_ADMIN", "127.0.0.1:9464")?;
    let (seconds, rate): (u32, u32) = (setting("SOAK_SECONDS", "3600")?, setting("SOAK_RATE", "300")?);
    let lasts = Duration::from_secs(seconds.into());
    let pause = Duration::from_secs(CLIENTS) / rate;
    let (done, told) = (AtomicBool::new(false), Mutex::new(Told::default()));
    let (total, memory) = thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let (done, told) = (&done, &told);
            scope.spawn(move || client(address, seed, pause, done, told));
        }
        scope.spawn(|| runtime.block_on(change(database, lasts)));
        let watched = watch(admin, lasts, &told);
        done.store(true, Ordering::Relaxed);
        watched
    })?;
    let total = total.and(told.into_inner().map_err(|_| anyhow!("a client panicked"))?);
    println!("\nin all: {}", total.line());

    let mut problems = total.problems();
    problems.extend(grown(&memory).filter(|_| lasts >= JUDGED_FROM));
    problems.extend(disagreements(&total, admin)?);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    println!("All is as it must be.");
    Ok(())
}

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Of whole answers: kept, stale, made.
    sources: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    /// Entries in `errors`, by their code.
    codes: BTreeMap<String, u64>,
    /// Answers with errors.
    faulty: u64,
    /// Answers with errors that the service did not announce, and why questions had no answer.
    unannounced: Vec<String>,
    took: Vec<Duration>,
}

impl Told {
    fn note(&mut self, answer: &Answer, took: Duration) {
        self.took.push(took);
        *self.statuses.entry(answer.status).or_default() += 1;
        if answer.status == 200 && !String::from_utf8_lossy(&answer.body).contains("\"errors\":") {
            let status = answer.header("cache-status").unwrap_or_default();
            let source = if status.contains("detail=stale") {
                "stale"
            } else if status.contains("; hit") {
                "kept"
            } else {
                "made"
            };
            *self.sources.entry(source).or_default() += 1;
            return;
        }
        self.faulty += 1;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        for error in errors {
            let code = error["extensions"]["code"].as_str().unwrap_or("none");
            *self.codes.entry(code.to_owned()).or_default() += 1;
        }
        let announces = |error: &Value| {
            error["extensions"]["code"] == "SERVICE_UNAVAILABLE" && error["extensions"]["retryAfter"].is_u64()
        };
        if errors.is_empty() || !errors.iter().all(announces) || answer.header("retry-after").is_none() {
            self.complain(format!("{} {body}", answer.status));
        }
    }

    fn complain(&mut self, problem: String) {
        if self.unannounced.len() < COMPLAINTS {
            println!("{problem}");
        }
        self.unannounced.push(problem);
    }

    fn and(mut self, other: Self) -> Self {
        for (source, count) in other.sources {
            *self.sources.entry(source).or_default() += count;
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        self.faulty += other.faulty;
        self.unannounced.extend(other.unannounced);
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
        let count = self.unannounced.len();
        let first =
            self.unannounced.iter().take(COMPLAINTS).map(|problem| format!("unannounced, one of {count}: {problem}"));
        first.collect()
    }
}

/// One client, asking at its pace.
fn client(address: SocketAddr, seed: u64, pause: Duration, done: &AtomicBool, told: &Mutex<Told>) -> Result<()> {
    let note = |what: &dyn Fn(&mut Told)| told.lock().map(|mut told| what(&mut told)).map_err(|_| anyhow!("poisoned"));
    let mut random = SmallRng::seed_from_u64(seed);
    let mut connection = None;
    // Clients begin one after the other, so that they do not ask all at once.
    let mut next = Instant::now() + pause.mul_f64(as_float(seed) / as_float(CLIENTS));
    while !done.load(Ordering::Relaxed) {
        let mut ask = |body: &str| {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next = Instant::now().max(next) + pause;
            let mut client = match connection.take() {
                Some(client) => client,
                None => Client::connect(address)?,
            };
            let started = Instant::now();
            let answer = client.exchange(body)?;
            let took = started.elapsed();
            note(&|told| told.note(&answer, took))?;
            connection = Some(client);
            Ok(answer.body)
        };
        let visited = visit(&mut random, &mut ask);
        // An answer with errors ends a visit, and has been noted.
        if let (Err(error), None) = (visited, &connection) {
            note(&|told| told.complain(format!("no answer: {error:#}")))?;
        }
    }
    Ok(())
}

/// Changes ratings and profiles, the database being away now and then.
async fn change(database: &str, lasts: Duration) {
    let started = Instant::now();
    while let Some(left) = lasts.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        if changes(database, left).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Prints what was told, sixty times and once a minute at least; returns all of it, and the resident memory meanwhile.
fn watch(admin: SocketAddr, lasts: Duration, told: &Mutex<Told>) -> Result<(Told, Vec<Memory>)> {
    let (started, mut printed) = (Instant::now(), Duration::ZERO);
    let print_every = (lasts / 60).clamp(LOOK_EVERY, LINE_EVERY);
    let (mut total, mut memory, mut direct) = (Told::default(), Vec::new(), 0.0);
    while started.elapsed() < lasts {
        thread::sleep(LOOK_EVERY);
        let metrics = metrics(admin)?;
        let bytes = |name| sum(&metrics, name, "") / 1e6;
        let now =
            Memory { resident: bytes("process_resident_memory_bytes"), kept: bytes("cinegraph_cache_estimated_bytes") };
        memory.push(now);
        if started.elapsed() < printed + print_every {
            continue;
        }
        printed = started.elapsed();
        let lately = mem::take(&mut *told.lock().map_err(|_| anyhow!("a client panicked"))?);
        let instead = sum(&metrics, "cinegraph_fallback_requests_total", "");
        println!(
            "{:5.0} s  {}  {:.0} loads by the direct query  {:.1} MB, {:.1} allocated, {:.1} of that kept",
            printed.as_secs_f64(),
            lately.line(),
            instead - direct,
            now.resident,
            // What grows here and not in the caches is lost.
            sum(&metrics, "cinegraph_allocator_bytes", "state=\"allocated\"") / 1e6,
            now.kept
        );
        direct = instead;
        total = total.and(lately);
    }
    Ok((total, memory))
}

/// The sum of all series of one name that have these labels.
fn sum(metrics: &str, name: &str, labels: &str) -> f64 {
    let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
    metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// What the service holds at a time, in MB.
#[derive(Clone, Copy)]
struct Memory {
    resident: f64,
    /// By caches, which have a limit.
    kept: f64,
}

/// Says when the last quarter needs more memory than the first, beside what caches keep: those may fill.
fn grown(memory: &[Memory]) -> Option<String> {
    let quarter = memory.len() / 4;
    let (first, last) = (&memory[..quarter], &memory[memory.len() - quarter..]);
    let mean =
        |of: fn(&Memory) -> f64, part: &[Memory]| part.iter().map(of).sum::<f64>() / as_float(part.len().max(1) as u64);
    let [resident, kept] =
        [|memory: &Memory| memory.resident, |memory: &Memory| memory.kept].map(|of| (mean(of, first), mean(of, last)));
    println!("resident memory: {:.1} MB in the first quarter, {:.1} MB in the last", resident.0, resident.1);
    println!("of that kept by caches: {:.1} MB, {:.1} MB", kept.0, kept.1);
    let (first, last) = (resident.0 - kept.0, resident.1 - kept.1);
    (last > first * GROWTH).then(|| format!("memory beside the caches grew from {first:.1} to {last:.1} MB"))
}

/// Where the service's counters are not what its clients counted, or do not agree with each other.
fn disagreements(total: &Told, admin: SocketAddr) -> Result<Vec<String>> {
    let started = Instant::now();
    loop {
        let found = compare(total, &metrics(admin)?);
        if found.is_empty() || started.elapsed() > SETTLED_WITHIN {
            return Ok(found);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn compare(total: &Told, metrics: &str) -> Vec<String> {
    let of = |name: &str, labels: &str| sum(metrics, name, labels);
    let all = as_float(total.took.len() as u64);
    let mut pairs = vec![
        ("requests to /graphql", all, of("http_server_request_duration_seconds_count", "http_route=\"/graphql\"")),
        ("requests of the promise", all, of("cinegraph_slo_requests_total", "")),
        ("good ones", all - as_float(total.faulty), of("cinegraph_slo_requests_total", "result=\"good\"")),
        ("operations", all, of("graphql_server_request_duration_seconds_count", "")),
        (
            "operations that went well",
            all - as_float(total.faulty),
            of("graphql_server_request_duration_seconds_count", "outcome=\"ok\""),
        ),
        ("errors", as_float(total.codes.values().sum()), of("cinegraph_graphql_errors_total", "")),
        ("requests in flight", 0.0, of("http_server_active_requests", "")),
        ("operations in flight", 0.0, of("graphql_server_request_active", "")),
        (
            "misses, and who computed or waited",
            of("cinegraph_cache_lookups_total", "result=\"miss\""),
            of("cinegraph_cache_single_flight_total", ""),
        ),
        (
            "stale answers, and their refreshes",
            of("cinegraph_cache_lookups_total", "result=\"stale\""),
            of("cinegraph_cache_revalidations_total", ""),
        ),
        (
            "look-ups, and those in L1",
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
