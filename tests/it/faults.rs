//! Faults of real servers under continuous load: which responses clients get, how long they wait, and how soon the
//! service recovers.
//!
//! `make test` keeps each fault short. With CINEGRAPH_FAULT_SECONDS=30 (`make faults`) each fault lasts that long under
//! 32 clients, which start ten seconds earlier. The report of each fault is one line on standard error.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cinegraph::app::{App, ServeOptions};
use cinegraph::config::{Config, Overrides};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{
    LoadGenerator, PostgresServer, RedisServer, ResponseRecord, ResponseSource, TestService, count_by_source,
    send_once, until, url,
};

/// Serialises the fault tests, because they measure latency.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

/// Environment variable: duration of each fault, in seconds.
const SECONDS: &str = "CINEGRAPH_FAULT_SECONDS";

/// The service has recovered after this long without an unusual response.
const QUIET: Duration = Duration::from_secs(1);

/// Maximum time from the end of a fault to recovery.
const RECOVERY: Duration = Duration::from_secs(10);

/// Maximum latency: two timeouts of an unresponsive server, for a connection and for a result, plus a margin.
const LONGEST: Duration = Duration::from_secs(6);

/// Enough movies for pages of every decade.
const CATALOGUE_SIZE: u32 = 300;

/// A running service that uses the servers of a test.
pub(crate) struct Service {
    app: Arc<App>,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Service {
    async fn start(settings: &[(&str, String)]) -> Self {
        Self::with(settings, ServeOptions { jobs: false, warming: true }).await
    }

    pub(crate) async fn with(settings: &[(&str, String)], options: ServeOptions) -> Self {
        let anywhere = ["CINEGRAPH_HTTP_ADDR", "CINEGRAPH_ADMIN_ADDR"].map(|name| (name, "127.0.0.1:0".to_owned()));
        let variables = settings.iter().chain(&anywhere).map(|(name, value)| ((*name).to_owned(), value.clone()));
        let config = Config::from_layers(None, variables, &Overrides::default()).unwrap();
        let app = Arc::new(App::start(config).await.unwrap());
        let (stop, (ready, started)) = (CancellationToken::new(), oneshot::channel());
        let (serving, token) = (Arc::clone(&app), stop.clone());
        let served = tokio::spawn(async move {
            let ready = |addresses: cinegraph::app::Addresses| _ = ready.send(addresses.public);
            serving.serve(&token, options, ready).await.unwrap();
        });
        Self { app, address: started.await.unwrap(), stop, served }
    }

    /// The sum of all series of one name that have these labels.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.app.metrics.recorder.render();
        let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
        text.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn state_of(&self, breaker: &str) -> &'static str {
        let is = |state: &str| {
            let labels = format!("breaker=\"{breaker}\",state=\"{state}\"");
            self.metric("cinegraph_circuit_breaker_state", &labels) > 0.0
        };
        ["closed", "half_open", "open"].into_iter().find(|state| is(state)).unwrap_or("changing")
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap();
        if let Some(app) = Arc::into_inner(self.app) {
            app.stop().await.unwrap();
        }
    }
}

/// A fault of a service under load before, during and after it.
struct Trial<'a> {
    service: &'a Service,
    fault: &'static str,
    clients: LoadGenerator,
    began: Instant,
}

/// The responses during a fault, and all of the trial.
struct Outcome {
    fault: &'static str,
    during: Vec<ResponseRecord>,
    all: Vec<ResponseRecord>,
}

/// Duration of a fault, and number of clients.
fn extent() -> (Duration, usize) {
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or((Duration::from_secs(2), 4), |seconds| (Duration::from_secs(seconds), 32))
}

impl<'a> Trial<'a> {
    /// Starts the load; returns after a third of the duration, when the fault may begin.
    async fn of(service: &'a Service, fault: &'static str, query: fn(u64) -> String) -> Self {
        let (lasts, count) = extent();
        let clients = LoadGenerator::start(service.address, count, query);
        tokio::time::sleep(lasts / 3).await;
        Self { service, fault, clients, began: Instant::now() }
    }

    /// Waits for the duration of the fault.
    async fn last(&self) {
        tokio::time::sleep(extent().0).await;
    }

    /// Waits for recovery and prints a report.
    ///
    /// # Panics
    /// If the service does not recover within [`RECOVERY`].
    async fn end(self) -> Outcome {
        let ended = Instant::now();
        let mut usual = false;
        while !usual && ended.elapsed() < RECOVERY + QUIET {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = Instant::now();
            let recent = self.clients.since(now.checked_sub(QUIET).unwrap_or(now));
            usual = now - ended > QUIET && !recent.is_empty() && recent.iter().all(ResponseRecord::is_usual);
        }
        let all = self.clients.end().await;
        let unusual_until = all.iter().filter(|record| !record.is_usual()).map(|record| record.at).max();
        let normal_after = unusual_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(ended));
        let longest = all.iter().map(|record| record.took).max().unwrap_or_default();
        let during: Vec<_> = all.iter().filter(|record| (self.began..ended).contains(&record.at)).cloned().collect();
        let cached_p99 = percentile(&during, ResponseSource::Cached, 0.99);
        let breakers = ["cache_l2", "score_table", "replica"].map(|breaker| {
            let count = |name: &str| self.service.metric(name, &format!("breaker=\"{breaker}\""));
            let [transitions, fallbacks] =
                ["cinegraph_circuit_breaker_transitions_total", "cinegraph_fallback_requests_total"].map(count);
            format!(
                "{breaker} {} after {transitions} transitions, {fallbacks} fallbacks",
                self.service.state_of(breaker)
            )
        });
        let _ = writeln!(
            std::io::stderr(),
            "fault: {} | before and after: {}| during: {}| longest {longest:.0?}, cached p99 {cached_p99:.1?}, recovered \
             after {normal_after:.1?} | {}",
            self.fault,
            count_by_source(
                &all.iter().filter(|record| !(self.began..ended).contains(&record.at)).cloned().collect::<Vec<_>>()
            ),
            count_by_source(&during),
            breakers.join("; "),
        );
        assert!(usual, "{}: not recovered within {RECOVERY:?}: {:?}", self.fault, all.last());
        Outcome { fault: self.fault, during, all }
    }
}

impl ResponseRecord {
    fn is_usual(&self) -> bool {
        matches!(self.source, ResponseSource::Cached | ResponseSource::Loaded)
    }
}

impl Outcome {
    /// Every response arrived within `longest`, and was usual or from an `expected` source.
    #[track_caller]
    fn assert_only(self, longest: Duration, expected: &[ResponseSource]) -> Self {
        let expected = |record: &ResponseRecord| record.is_usual() || expected.contains(&record.source);
        let unexpected = self.all.iter().find(|record| !expected(record));
        let problem = unexpected.and_then(|record| record.problem.as_deref());
        assert!(unexpected.is_none(), "{}: {unexpected:?}: {problem:?}", self.fault);
        let late = self.all.iter().find(|record| record.took > longest);
        assert!(late.is_none(), "{}: {late:?}", self.fault);
        self
    }

    /// At least one response during the fault was from `source`.
    #[track_caller]
    fn assert_some(self, source: ResponseSource) -> Self {
        assert!(self.during.iter().any(|record| record.source == source), "{}: no response was {source:?}", self.fault);
        self
    }
}

fn percentile(records: &[ResponseRecord], source: ResponseSource, share: f64) -> Duration {
    let mut took: Vec<_> = records.iter().filter(|record| record.source == source).map(|record| record.took).collect();
    took.sort();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let place = (took.len() as f64 * share) as usize;
    took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A cached page, an uncached one, reference data, and a validation.
fn mixed(number: u64) -> String {
    match number % 4 {
        0 => "{ predictions(decade: 1990) { nodes { rank score source movie { title genres { name } } } } }".to_owned(),
        1 => format!(
            "{{ predictions(decade: 1990, first: 5, filter: {{ titleContains: \"{number:x}\" }}) {{ \
             totalCount nodes {{ rank score source }} }} }}"
        ),
        2 => "{ lists { key } profiles { name } }".to_owned(),
        _ => "{ decadeValidation(decade: 1980) { hits accuracy } }".to_owned(),
    }
}

/// Pages of one decade alone.
fn nineties(number: u64) -> String {
    mixed(number % 2 + number / 2 * 4)
}

/// Pages of eight decades.
fn decades(number: u64) -> String {
    nineties(number / 8).replace("decade: 1990", &format!("decade: {}", 1930 + number % 8 * 10))
}

/// A server with a catalogue and all its scores.
pub(crate) async fn catalogue() -> PostgresServer {
    let server = PostgresServer::start().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(CATALOGUE_SIZE).await;
    pool.close().await;
    server
}

fn on(server: &PostgresServer) -> (&'static str, String) {
    ("CINEGRAPH_DATABASE_URL", server.url("postgres"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_failures_cause_no_failed_requests() {
    let _turn = TURN.lock().await;
    let (server, mut redis) = (catalogue().await, RedisServer::start().await);
    let service = Service::start(&[on(&server), ("CINEGRAPH_REDIS_URL", redis.url())]).await;
    let longest = Duration::from_secs(2);

    let trial = Trial::of(&service, "Redis killed", mixed).await;
    redis.kill();
    trial.last().await;
    assert_ne!(service.state_of("cache_l2"), "closed");
    redis.start_again().await;
    trial.end().await.assert_only(longest, &[]).assert_some(ResponseSource::Loaded);

    let trial = Trial::of(&service, "Redis frozen", mixed).await;
    redis.freeze();
    trial.last().await;
    redis.thaw();
    trial.end().await.assert_only(longest, &[]).assert_some(ResponseSource::Cached).assert_some(ResponseSource::Loaded);

    for (fault, reply) in
        [("Redis refusing connections", &b""[..]), ("Redis returning garbage", b"*3\r\n$zz\r\nHTTP/1.1 200")]
    {
        let trial = Trial::of(&service, fault, mixed).await;
        redis.kill();
        let stand_in = StandIn::start(redis.port(), reply);
        trial.last().await;
        stand_in.end();
        redis.start_again().await;
        trial.end().await.assert_only(longest, &[]);
    }
    until("the cache_l2 breaker is closed and Redis is up", async || {
        service.state_of("cache_l2") == "closed" && service.metric("cinegraph_cache_l2_up", "") > 0.0
    })
    .await;
    service.end().await;
}

/// A listener on the port of a Redis that sends a few bytes and closes each connection.
struct StandIn {
    stop: Arc<AtomicBool>,
    port: u16,
    listening: std::thread::JoinHandle<()>,
}

impl StandIn {
    fn start(port: u16, reply: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.and_then(|mut stream| stream.write_all(reply));
            }
        });
        Self { stop, port, listening }
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the blocking accept, so that the thread sees the flag.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        self.listening.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_service_serves_stale_responses() {
    let _turn = TURN.lock().await;
    let mut server = catalogue().await;
    let service = Service::start(&[on(&server)]).await;

    let trial = Trial::of(&service, "PostgreSQL killed", mixed).await;
    server.kill();
    trial.last().await;
    server.start_again().await;
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]).assert_some(ResponseSource::Stale);

    let trial = Trial::of(&service, "PostgreSQL frozen", mixed).await;
    server.freeze();
    trial.last().await;
    server.thaw();
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]).assert_some(ResponseSource::Stale);

    let trial = Trial::of(&service, "PostgreSQL restarted", mixed).await;
    server.stop();
    server.start_again().await;
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]);

    let trial = Trial::of(&service, "PostgreSQL out of connections", mixed).await;
    let hoard = hoard(&server).await;
    trial.last().await;
    drop(hoard);
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]).assert_some(ResponseSource::Stale);

    service.end().await;
}

/// Takes all connections of a server, after terminating those of the service.
async fn hoard(server: &PostgresServer) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    loop {
        match PgConnection::connect(&server.url("postgres")).await {
            Ok(connection) => taken.push(connection),
            Err(_) if taken.is_empty() => {}
            Err(_) => {
                sqlx::query("SET application_name = 'hoard'").execute(&mut taken[0]).await.unwrap();
                let others: i64 = sqlx::query_scalar(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'cinegraph'",
                )
                .fetch_one(&mut taken[0])
                .await
                .unwrap();
                if others == 0 {
                    return taken;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_uncached_queries_are_unavailable_within_a_deadline() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let service = Service::start(&[on(&server)]).await;

    let trial = Trial::of(&service, "PostgreSQL frozen, uncached queries", |number| {
        format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
    })
    .await;
    server.freeze();
    // Longer than every timeout of the service.
    tokio::time::sleep(LONGEST).await;
    server.thaw();
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Unavailable]).assert_some(ResponseSource::Unavailable);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_usable_score_table_the_direct_query_serves() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let service = Service::start(&[on(&server)]).await;
    for (fault, begin, end) in [
        (
            "score table renamed away",
            "ALTER TABLE cinegraph.movie_discovery_scores RENAME TO elsewhere;
             SELECT cinegraph.raise_version('scores', '', decade, true) FROM generate_series(1930, 2000, 10) AS decade",
            "ALTER TABLE cinegraph.elsewhere RENAME TO movie_discovery_scores",
        ),
        (
            "score table of another formula",
            "UPDATE cinegraph.movie_discovery_scores SET formula_version = formula_version + 1;
             SELECT cinegraph.raise_version('scores', '', decade, true) FROM generate_series(1930, 2000, 10) AS decade",
            "UPDATE cinegraph.movie_discovery_scores SET formula_version = formula_version - 1",
        ),
    ] {
        let trial = Trial::of(&service, fault, decades).await;
        server.run(begin).await;
        until("the score_table breaker is open", async || service.state_of("score_table") == "open").await;
        trial.last().await;
        server.run(end).await;
        // Fallback results are served, then as stale, until the TTL of fallbacks has passed and they are reloaded.
        trial
            .end()
            .await
            .assert_only(LONGEST, &[ResponseSource::Direct, ResponseSource::Stale])
            .assert_some(ResponseSource::Direct);
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_serves_within_the_lag_limit_and_the_primary_beyond_it() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let mut replica = server.replica().await;
    let settings = [
        on(&server),
        ("CINEGRAPH_REPLICA_URL", replica.url("postgres")),
        ("CINEGRAPH_REPLICA_MAX_LAG_SECONDS", "1".to_owned()),
    ];
    let service = Service::start(&settings).await;
    let replica_uses = || service.metric("db_client_connection_wait_time_seconds_count", "pool=\"replica\"");
    let fallbacks = || service.metric("cinegraph_fallback_requests_total", "breaker=\"replica\"");
    // After a hard invalidation the next request loads the decade.
    let changed = async || server.run("SELECT cinegraph.raise_version('scores', '', 1990, true)").await;
    let loads_from_replica = async || {
        let before = replica_uses();
        changed().await;
        send_once(service.address, &mixed(0)).await;
        replica_uses() > before
    };
    until("the replica is used", loads_from_replica).await;

    let trial = Trial::of(&service, "replica behind", nineties).await;
    let (before, loaded) = (fallbacks(), replica_uses());
    replica.run("SELECT pg_wal_replay_pause()").await;
    changed().await;
    // The replica lacks a change that the service has seen, so the primary serves long before the measured lag exceeds
    // the limit.
    until("the primary is used instead", async || fallbacks() > before).await;
    trial.last().await;
    until("the lag is measured", async || service.metric("cinegraph_replica_lag_seconds", "") > 1.0).await;
    let uses_before = replica_uses();
    changed().await;
    send_once(service.address, &mixed(0)).await;
    assert!(uses_before >= loaded && replica_uses() == uses_before, "the lagging replica must not be used");
    replica.run("SELECT pg_wal_replay_resume()").await;
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]);
    until("the replica is used again", loads_from_replica).await;

    let trial = Trial::of(&service, "replica killed", nineties).await;
    replica.kill();
    changed().await;
    trial.last().await;
    replica.start_again().await;
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]);
    until("the replica is used again", loads_from_replica).await;

    let trial = Trial::of(&service, "replica frozen", nineties).await;
    replica.freeze();
    changed().await;
    trial.last().await;
    replica.thaw();
    trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]);
    until("the replica is used again", loads_from_replica).await;

    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_see_a_change_after_a_lost_notify_connection() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let services = [Service::start(&[on(&server)]).await, Service::start(&[on(&server)]).await];
    let trials = [
        Trial::of(&services[0], "notify connection cut, first of two", mixed).await,
        Trial::of(&services[1], "notify connection cut, second of two", mixed).await,
    ];
    server
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%';
             UPDATE movie_lists SET name = name || ' changed';
             SELECT cinegraph.raise_version('reference', '', 0, true)",
        )
        .await;
    for service in &services {
        let sees = async || send_once(service.address, "{ lists { name } }").await.1.contains(" changed");
        until("the change is visible", sees).await;
    }
    for trial in trials {
        trial.end().await.assert_only(LONGEST, &[ResponseSource::Stale]);
    }
    let [first, second] = services;
    first.end().await;
    second.end().await;
}

/// Whether a connection of Cinegraph waits for a lock.
const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                     AND application_name = 'cinegraph' AND wait_event_type = 'Lock')";

/// Runs the program on a database; kills it as soon as the query `state` returns true.
async fn killed_when(pool: &PgPool, arguments: &[&str], state: &'static str) {
    let mut program = program(pool, arguments).spawn().unwrap();
    until(state, async || sqlx::query_scalar(state).fetch_one(pool).await.unwrap()).await;
    assert_eq!(program.try_wait().unwrap(), None, "{arguments:?} ended before it could be killed");
    program.kill().unwrap();
    program.wait().unwrap();
}

/// Rolls `holder` back, and waits until the backends of the killed program have exited.
async fn release(pool: &PgPool, holder: Transaction<'_, Postgres>) {
    const GONE: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = 'cinegraph')";
    holder.rollback().await.unwrap();
    until("no backend of the program is left", async || sqlx::query_scalar(GONE).fetch_one(pool).await.unwrap()).await;
}

fn program(pool: &PgPool, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinegraph"));
    command.current_dir(std::env::temp_dir()).env("CINEGRAPH_DATABASE_URL", url(pool)).args(arguments);
    // The program rejects an unknown CINEGRAPH_ variable.
    command.env_remove(SECONDS).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[track_caller]
fn runs(pool: &PgPool, arguments: &[&str]) {
    assert!(program(pool, arguments).status().unwrap().success(), "{arguments:?}");
}

async fn count(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn killed_migration_is_completed_by_the_next(pool: PgPool) {
    killed_when(&pool, &["migrate"], "SELECT to_regclass('cinegraph._sqlx_migrations') IS NOT NULL").await;
    runs(&pool, &["migrate"]);
    runs(&pool, &["generate", "--films", "50"]);
}

#[sqlx::test(migrations = false)]
async fn killed_refresh_is_completed_by_the_next(pool: PgPool) {
    const SCORED: &str = "SELECT count(*) FROM cinegraph.movie_discovery_scores";
    TestService::on(pool.clone()).await.fill(CATALOGUE_SIZE).await;
    let scored = count(&pool, SCORED).await;
    sqlx::query("DELETE FROM cinegraph.movie_discovery_scores WHERE movie_id % 2 = 0").execute(&pool).await.unwrap();

    // The refresh blocks half way on a lock of the test.
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE cinegraph.movie_discovery_scores IN SHARE MODE").execute(&mut *holder).await.unwrap();
    killed_when(&pool, &["refresh", "scores"], WAITS).await;
    release(&pool, holder).await;

    assert!(count(&pool, SCORED).await < scored, "the killed refresh must leave nothing");
    runs(&pool, &["refresh", "scores"]);
    assert_eq!(count(&pool, SCORED).await, scored);
}

#[sqlx::test(migrations = false)]
async fn killed_import_leaves_nothing_and_the_next_completes(pool: PgPool) {
    const MOVIES: i64 = 2_000;
    runs(&pool, &["migrate"]);
    let directory = TempDir::new().unwrap();
    let mut text = "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n".to_owned();
    for id in 1..=MOVIES {
        writeln!(text, "{id},tt{id:07},Film {id},1994-03-04,false,full,en").unwrap();
    }
    std::fs::write(directory.path().join("movies.csv"), text).unwrap();
    let import = ["import", "csv", directory.path().to_str().unwrap()];

    let mut holder = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE movies IN SHARE MODE").execute(&mut *holder).await.unwrap();
    killed_when(&pool, &import, WAITS).await;
    release(&pool, holder).await;

    assert_eq!(count(&pool, "SELECT count(*) FROM movies").await, 0);
    runs(&pool, &import);
    assert_eq!(count(&pool, "SELECT count(*) FROM movies").await, MOVIES);
}
