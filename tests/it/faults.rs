//! Faults of real servers, under clients that ask without pause: what they are told, how long they wait, and when all is
//! as before.
//!
//! `make test` takes short looks. CINEGRAPH_FAULT_SECONDS=30 (`make faults`) lets each fault last that long, before 32
//! clients that begin ten seconds earlier; the report of each fault is one line on standard error.

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

use crate::support::{Crowd, From, PostgresServer, RedisServer, TestService, Told, ask_once, counts, until, url};

/// One fault at a time: they are measured.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

/// For how many seconds faults last.
const SECONDS: &str = "CINEGRAPH_FAULT_SECONDS";

/// All is as before when this long nothing unusual was told.
const QUIET: Duration = Duration::from_secs(1);

/// All must be as before within this time after the end of a fault.
const RECOVERY: Duration = Duration::from_secs(10);

/// A server that says nothing is waited for twice, for a connection and for an answer, and then some.
const LONGEST: Duration = Duration::from_secs(6);

/// As many films as make the questions worth asking.
const FILMS: u32 = 300;

/// A running service, on servers of the test's.
struct Service {
    app: Arc<App>,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Service {
    async fn start(settings: &[(&str, String)]) -> Self {
        let anywhere = ["CINEGRAPH_HTTP_ADDR", "CINEGRAPH_ADMIN_ADDR"].map(|name| (name, "127.0.0.1:0".to_owned()));
        let variables = settings.iter().chain(&anywhere).map(|(name, value)| ((*name).to_owned(), value.clone()));
        let config = Config::from_layers(None, variables, &Overrides::default()).unwrap();
        let app = Arc::new(App::start(config).await.unwrap());
        let (stop, (ready, started)) = (CancellationToken::new(), oneshot::channel());
        let (serving, token) = (Arc::clone(&app), stop.clone());
        let served = tokio::spawn(async move {
            let ready = |addresses: cinegraph::app::Addresses| _ = ready.send(addresses.public);
            serving.serve(&token, ServeOptions { jobs: false, warming: true }, ready).await.unwrap();
        });
        Self { app, address: started.await.unwrap(), stop, served }
    }

    /// The sum of all series of one name that have these labels.
    fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.app.metrics.render();
        let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
        text.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn state_of(&self, breaker: &str) -> &'static str {
        let is = |state: &str| {
            let labels = format!("breaker=\"{breaker}\",state=\"{state}\"");
            self.metric("cinegraph_circuit_breaker_state", &labels) > 0.0
        };
        ["closed", "half_open", "open"].into_iter().find(|state| is(state)).unwrap_or("turning")
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap();
        if let Some(app) = Arc::into_inner(self.app) {
            app.stop().await.unwrap();
        }
    }
}

/// A service that clients ask before, during and after a fault.
struct Trial<'a> {
    service: &'a Service,
    fault: &'static str,
    crowd: Crowd,
    began: Instant,
}

/// What came of it.
struct Outcome {
    fault: &'static str,
    during: Vec<Told>,
    all: Vec<Told>,
}

/// How long a fault lasts, and how many ask.
fn extent() -> (Duration, usize) {
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or((Duration::from_secs(2), 4), |seconds| (Duration::from_secs(seconds), 32))
}

impl<'a> Trial<'a> {
    /// Lets clients ask for a third of the time, and returns when the fault may begin.
    async fn of(service: &'a Service, fault: &'static str, question: fn(u64) -> String) -> Self {
        let (lasts, clients) = extent();
        let crowd = Crowd::ask(service.address, clients, question);
        tokio::time::sleep(lasts / 3).await;
        Self { service, fault, crowd, began: Instant::now() }
    }

    /// Lets the fault last.
    async fn last(&self) {
        tokio::time::sleep(extent().0).await;
    }

    /// Waits until all is as before, and says what happened.
    async fn end(self) -> Outcome {
        let ended = Instant::now();
        let mut usual = false;
        while !usual && ended.elapsed() < RECOVERY + QUIET {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = Instant::now();
            let lately = self.crowd.since(now.checked_sub(QUIET).unwrap_or(now));
            usual = now - ended > QUIET && !lately.is_empty() && lately.iter().all(Told::is_usual);
        }
        let all = self.crowd.end().await;
        let unusual_until = all.iter().filter(|told| !told.is_usual()).map(|told| told.at).max();
        let normal_after = unusual_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(ended));
        let longest = all.iter().map(|told| told.took).max().unwrap_or_default();
        let during: Vec<_> = all.iter().filter(|told| (self.began..ended).contains(&told.at)).cloned().collect();
        let kept = percentile(&during, From::Kept, 0.99);
        let breakers = ["cache_l2", "score_table", "replica"].map(|breaker| {
            let count = |name: &str| self.service.metric(name, &format!("breaker=\"{breaker}\""));
            let [turns, instead] =
                ["cinegraph_circuit_breaker_transitions_total", "cinegraph_fallback_requests_total"].map(count);
            format!("{breaker} {} after {turns} turns, {instead} times instead", self.service.state_of(breaker))
        });
        let _ = writeln!(
            std::io::stderr(),
            "fault: {} | before and after: {}| during: {}| longest {longest:.0?}, kept p99 {kept:.1?}, as before after \
             {normal_after:.1?} | {}",
            self.fault,
            counts(&all.iter().filter(|told| !(self.began..ended).contains(&told.at)).cloned().collect::<Vec<_>>()),
            counts(&during),
            breakers.join("; "),
        );
        assert!(usual, "{}: not as before within {RECOVERY:?}: {:?}", self.fault, all.last());
        Outcome { fault: self.fault, during, all }
    }
}

impl Told {
    fn is_usual(&self) -> bool {
        matches!(self.from, From::Kept | From::Loaded)
    }
}

impl Outcome {
    /// Nobody waited for longer, and nobody was told anything but this.
    #[track_caller]
    fn told_only(self, longest: Duration, expected: &[From]) -> Self {
        let expected = |told: &Told| told.is_usual() || expected.contains(&told.from);
        let unexpected = self.all.iter().find(|told| !expected(told));
        let problem = unexpected.and_then(|told| told.problem.as_deref());
        assert!(unexpected.is_none(), "{}: {unexpected:?}: {problem:?}", self.fault);
        let late = self.all.iter().find(|told| told.took > longest);
        assert!(late.is_none(), "{}: {late:?}", self.fault);
        self
    }

    /// Somebody was told this during the fault.
    #[track_caller]
    fn told_some(self, from: From) -> Self {
        assert!(self.during.iter().any(|told| told.from == from), "{}: nobody was told {from:?}", self.fault);
        self
    }
}

fn percentile(told: &[Told], from: From, share: f64) -> Duration {
    let mut took: Vec<_> = told.iter().filter(|told| told.from == from).map(|told| told.took).collect();
    took.sort();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let place = (took.len() as f64 * share) as usize;
    took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A page that is kept, one that nobody has asked for, reference data, and a backtest.
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

/// A server with a catalogue, all scores computed.
pub(crate) async fn catalogue() -> PostgresServer {
    let server = PostgresServer::start().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(FILMS).await;
    pool.close().await;
    server
}

fn on(server: &PostgresServer) -> (&'static str, String) {
    ("CINEGRAPH_DATABASE_URL", server.url("postgres"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_fails_in_any_way_costs_nobody_an_answer() {
    let _turn = TURN.lock().await;
    let (server, mut redis) = (catalogue().await, RedisServer::start().await);
    let service = Service::start(&[on(&server), ("CINEGRAPH_REDIS_URL", redis.url())]).await;
    let longest = Duration::from_secs(2);

    let trial = Trial::of(&service, "Redis killed", mixed).await;
    redis.kill();
    trial.last().await;
    assert_ne!(service.state_of("cache_l2"), "closed");
    redis.start_again().await;
    trial.end().await.told_only(longest, &[]).told_some(From::Loaded);

    let trial = Trial::of(&service, "Redis frozen", mixed).await;
    redis.freeze();
    trial.last().await;
    redis.thaw();
    trial.end().await.told_only(longest, &[]).told_some(From::Kept).told_some(From::Loaded);

    for (fault, says) in
        [("Redis refusing connections", &b""[..]), ("Redis returning garbage", b"*3\r\n$zz\r\nHTTP/1.1 200")]
    {
        let trial = Trial::of(&service, fault, mixed).await;
        redis.kill();
        let stand_in = StandIn::start(redis.port(), says);
        trial.last().await;
        stand_in.end();
        redis.start_again().await;
        trial.end().await.told_only(longest, &[]);
    }
    until("Redis is used again", async || {
        service.state_of("cache_l2") == "closed" && service.metric("cinegraph_cache_l2_up", "") > 0.0
    })
    .await;
    service.end().await;
}

/// Something that listens in the place of a Redis, says a few bytes and hangs up.
struct StandIn {
    stop: Arc<AtomicBool>,
    port: u16,
    listening: std::thread::JoinHandle<()>,
}

impl StandIn {
    fn start(port: u16, says: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.and_then(|mut stream| stream.write_all(says));
            }
        });
        Self { stop, port, listening }
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        // The last one, which it waits for.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        self.listening.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_service_serves_what_it_has_and_says_that_it_is_old() {
    let _turn = TURN.lock().await;
    let mut server = catalogue().await;
    let service = Service::start(&[on(&server)]).await;

    let trial = Trial::of(&service, "PostgreSQL killed", mixed).await;
    server.kill();
    trial.last().await;
    server.start_again().await;
    trial.end().await.told_only(LONGEST, &[From::Stale]).told_some(From::Stale);

    let trial = Trial::of(&service, "PostgreSQL frozen", mixed).await;
    server.freeze();
    trial.last().await;
    server.thaw();
    trial.end().await.told_only(LONGEST, &[From::Stale]).told_some(From::Stale);

    let trial = Trial::of(&service, "PostgreSQL restarted", mixed).await;
    server.stop();
    server.start_again().await;
    trial.end().await.told_only(LONGEST, &[From::Stale]);

    let trial = Trial::of(&service, "PostgreSQL out of connections", mixed).await;
    let hoard = hoard(&server).await;
    trial.last().await;
    drop(hoard);
    trial.end().await.told_only(LONGEST, &[From::Stale]).told_some(From::Stale);

    service.end().await;
}

/// Takes all connections of a server, also those that others had.
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
async fn what_was_never_asked_is_unavailable_without_a_database_and_nobody_hangs() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let service = Service::start(&[on(&server)]).await;

    let trial = Trial::of(&service, "PostgreSQL frozen, asked for what nobody has", |number| {
        format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
    })
    .await;
    server.freeze();
    // Longer than the service waits.
    tokio::time::sleep(LONGEST).await;
    server.thaw();
    trial.end().await.told_only(LONGEST, &[From::Unavailable]).told_some(From::Unavailable);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_usable_score_table_the_direct_query_answers() {
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
        until("the table is left alone", async || service.state_of("score_table") == "open").await;
        trial.last().await;
        server.run(end).await;
        // Answers of the direct query are looked at anew after a while; until then, and while that happens, they serve.
        trial.end().await.told_only(LONGEST, &[From::Direct, From::Stale]).told_some(From::Direct);
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_serves_while_it_is_near_and_the_primary_when_it_is_not() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let mut replica = server.replica().await;
    let settings = [
        on(&server),
        ("CINEGRAPH_REPLICA_URL", replica.url("postgres")),
        ("CINEGRAPH_REPLICA_MAX_LAG_SECONDS", "1".to_owned()),
    ];
    let service = Service::start(&settings).await;
    let asked = || service.metric("db_client_connection_wait_time_seconds_count", "pool=\"replica\"");
    let instead = || service.metric("cinegraph_fallback_requests_total", "breaker=\"replica\"");
    // A hard change makes the next question load its decade.
    let changed = async || server.run("SELECT cinegraph.raise_version('scores', '', 1990, true)").await;
    let loads_from_replica = async || {
        let before = asked();
        changed().await;
        ask_once(service.address, &mixed(0)).await;
        asked() > before
    };
    until("the replica is asked", loads_from_replica).await;

    let trial = Trial::of(&service, "replica behind", nineties).await;
    let (before, loaded) = (instead(), asked());
    replica.run("SELECT pg_wal_replay_pause()").await;
    changed().await;
    // It lacks a change that the service knows of, so it is the primary that answers, long before the lag says so.
    until("the primary is asked instead", async || instead() > before).await;
    trial.last().await;
    until("the lag is seen", async || service.metric("cinegraph_replica_lag_seconds", "") > 1.0).await;
    let left_alone = asked();
    changed().await;
    ask_once(service.address, &mixed(0)).await;
    assert!(left_alone >= loaded && asked() == left_alone, "it is too far behind to be asked");
    replica.run("SELECT pg_wal_replay_resume()").await;
    trial.end().await.told_only(LONGEST, &[From::Stale]);
    until("the replica is asked again", loads_from_replica).await;

    let trial = Trial::of(&service, "replica killed", nineties).await;
    replica.kill();
    changed().await;
    trial.last().await;
    replica.start_again().await;
    trial.end().await.told_only(LONGEST, &[From::Stale]);
    until("the replica is asked again", loads_from_replica).await;

    let trial = Trial::of(&service, "replica frozen", nineties).await;
    replica.freeze();
    changed().await;
    trial.last().await;
    replica.thaw();
    trial.end().await.told_only(LONGEST, &[From::Stale]);
    until("the replica is asked again", loads_from_replica).await;

    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_see_a_change_also_when_nobody_tells_them() {
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
             UPDATE movie_lists SET name = name || ' anew';
             SELECT cinegraph.raise_version('reference', '', 0, true)",
        )
        .await;
    for service in &services {
        let sees = async || ask_once(service.address, "{ lists { name } }").await.1.contains(" anew");
        until("the change is seen", sees).await;
    }
    for trial in trials {
        trial.end().await.told_only(LONGEST, &[From::Stale]);
    }
    let [first, second] = services;
    first.end().await;
    second.end().await;
}

/// Whether one of our connections waits for a lock.
const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                     AND application_name = 'cinegraph' AND wait_event_type = 'Lock')";

/// The program on a database, killed as soon as that is in some state.
async fn killed_when(pool: &PgPool, arguments: &[&str], state: &'static str) {
    let mut program = program(pool, arguments).spawn().unwrap();
    until(state, async || sqlx::query_scalar(state).fetch_one(pool).await.unwrap()).await;
    assert_eq!(program.try_wait().unwrap(), None, "{arguments:?} ended before it could be killed");
    program.kill().unwrap();
    program.wait().unwrap();
}

/// What a killed program has left behind in the server ends as soon as it no longer waits for `holder`.
async fn let_go(pool: &PgPool, holder: Transaction<'_, Postgres>) {
    const GONE: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = 'cinegraph')";
    holder.rollback().await.unwrap();
    until("nothing is left of it", async || sqlx::query_scalar(GONE).fetch_one(pool).await.unwrap()).await;
}

fn program(pool: &PgPool, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinegraph"));
    command.current_dir(std::env::temp_dir()).env("CINEGRAPH_DATABASE_URL", url(pool)).args(arguments);
    // No setting of the program's, so that it would refuse it.
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
async fn a_migration_that_was_killed_is_completed_by_the_next(pool: PgPool) {
    killed_when(&pool, &["migrate"], "SELECT to_regclass('cinegraph._sqlx_migrations') IS NOT NULL").await;
    runs(&pool, &["migrate"]);
    runs(&pool, &["generate", "--films", "50"]);
}

#[sqlx::test(migrations = false)]
async fn a_refresh_that_was_killed_is_completed_by_the_next(pool: PgPool) {
    const SCORED: &str = "SELECT count(*) FROM cinegraph.movie_discovery_scores";
    TestService::on(pool.clone()).await.fill(FILMS).await;
    let scored = count(&pool, SCORED).await;
    sqlx::query("DELETE FROM cinegraph.movie_discovery_scores WHERE movie_id % 2 = 0").execute(&pool).await.unwrap();

    // In the middle of it: it waits for a row that somebody else holds.
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE cinegraph.movie_discovery_scores IN SHARE MODE").execute(&mut *holder).await.unwrap();
    killed_when(&pool, &["refresh", "scores"], WAITS).await;
    let_go(&pool, holder).await;

    assert!(count(&pool, SCORED).await < scored, "nothing of it is there");
    runs(&pool, &["refresh", "scores"]);
    assert_eq!(count(&pool, SCORED).await, scored);
}

#[sqlx::test(migrations = false)]
async fn an_import_that_was_killed_leaves_nothing_and_the_next_is_whole(pool: PgPool) {
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
    let_go(&pool, holder).await;

    assert_eq!(count(&pool, "SELECT count(*) FROM movies").await, 0);
    runs(&pool, &import);
    assert_eq!(count(&pool, "SELECT count(*) FROM movies").await, MOVIES);
}
