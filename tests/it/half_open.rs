//! Peers that fall silent without closing a connection: links that lose every packet, frozen instances, and servers that
//! have become read-only. No one waits for them without a limit, and nothing needs a restart.

use std::time::{Duration, Instant};

use chrono::NaiveDate;
use cinegraph::app::ServeOptions;
use cinegraph::store::{DatabaseSettings, ProfileId, SESSION_SETTINGS, StatementLimits, Store, StoreError, Task};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::cli::Server;
use crate::faults::{Service, TURN, catalogue};
use crate::support::{Link, LoadGenerator, PostgresServer, RedisServer, metrics, signal, until, within};

/// How soon another instance must do the work of one that has fallen silent.
const TAKEOVER: Duration = Duration::from_mins(1);

/// A query that no cache can answer.
fn uncached(number: u64) -> String {
    format!("{{ movies(titleContains: \"{number:x}\") {{ nodes {{ title }} }} }}")
}

fn through(link: &Link) -> String {
    format!("postgres://postgres@{}/postgres", link.address)
}

/// A store with short limits.
fn store(url: String, connections: u32) -> Store {
    let limit = Duration::from_secs(1);
    let settings = DatabaseSettings {
        url,
        max_connections: connections,
        acquire_timeout: limit,
        limits: StatementLimits { request: limit, direct_query: limit },
        direct_queries: 1,
    };
    Store::open(&settings, metrics().store).unwrap()
}

/// Moves the first movie by a day; returns its new release date.
async fn change_a_movie(pool: &PgPool) -> NaiveDate {
    sqlx::query_scalar(
        "UPDATE movies SET release_date = release_date + 1
         WHERE id = (SELECT min(movie_id) FROM cinegraph.movie_discovery_scores) RETURNING release_date",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// Whether the drain has seen this change.
async fn is_drained(pool: &PgPool, release_date: NaiveDate) -> bool {
    sqlx::query_scalar("SELECT release_date = $1 FROM cinegraph.movie_discovery_scores ORDER BY movie_id LIMIT 1")
        .bind(release_date)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_links_leak_no_connection_and_do_not_delay_the_end() {
    let _turn = TURN.lock().await;
    let server = catalogue().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    let link = Link::to(server.port()).await;
    let options = ServeOptions { jobs: true, warming: false };
    let service = Service::with(&[("CINEGRAPH_DATABASE_URL", through(&link))], options).await;
    let abandoned = || service.metric("cinegraph_db_connections_abandoned_total", "");

    for _ in 0..3 {
        let started = Instant::now();
        let clients = LoadGenerator::start(service.address, 4, uncached);
        until("queries are served", async || clients.since(started).iter().any(|record| record.problem.is_none()))
            .await;
        let before = abandoned();
        link.cut();
        until("statements are given up", async || abandoned() > before).await;
        link.restore();
        let changed = change_a_movie(&pool).await;
        within(TAKEOVER, "the drain goes on", async || is_drained(&pool, changed).await).await;
        clients.end().await;
    }

    until("every lost connection is closed", async || link.dead_connections() == 0).await;
    until("no connection of the pool is in use", async || {
        service.metric("db_client_connections", "state=\"used\",pool=\"primary\"") == 0.0
    })
    .await;
    link.cut();
    let started = Instant::now();
    service.end().await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_leases_and_listeners_end_when_the_link_is_lost() {
    let server = catalogue().await;
    let link = Link::to(server.port()).await;
    let store = store(through(&link), 4);
    let mut changes = store.change_profiles().await.unwrap();
    let unfinished = store.change_profiles();
    let lease = store.full_refresh().await.unwrap().unwrap();
    let versions = cinegraph::versions::Versions::default();
    let listener = store.listen().await.unwrap();

    link.cut();
    let started = Instant::now();
    let (changed, (), lost, followed) = tokio::join!(
        changes.profile(ProfileId(1)),
        // A transaction whose statement does not finish.
        async { drop(tokio::time::timeout(Duration::from_millis(500), unfinished).await) },
        lease.hold(std::future::pending::<Result<(), StoreError>>()),
        listener.follow(&versions),
    );
    drop(changes);

    assert!(matches!(changed, Err(StoreError::Unavailable(_))), "{changed:?}");
    assert!(lost.is_err() && followed.is_err());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    link.restore();
    until("every lost connection is closed", async || link.dead_connections() == 0).await;
    for _ in 0..8 {
        store.ping().await.unwrap();
    }
    // The lock is free, although the server learnt nothing from the client.
    within(TAKEOVER, "the lease has ended", async || store.full_refresh().await.unwrap().is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_a_frozen_instance_is_done_by_another_within_a_minute() {
    let server = catalogue().await;
    let url = server.url("postgres");
    let pool = PgPool::connect(&url).await.unwrap();
    let done = async |pool: &PgPool| -> bool {
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM cinegraph_jobs._private_jobs)")
            .fetch_one(pool)
            .await
            .unwrap()
    };
    let waiting = async |state: &str| -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE application_name = 'cinegraph' AND coalesce(wait_event_type, '') = $1",
        )
        .bind(state)
        .fetch_one(&pool)
        .await
        .unwrap()
    };
    let first = Server::running(&url, &["worker"], "worker started");
    // Before the worker has added the jobs that are due, none is there either. A training would take too long to be taken
    // over within the time.
    let trained = "SELECT EXISTS (SELECT FROM cinegraph.tasks WHERE name = 'model_train')";
    until("rankings are trained", async || sqlx::query_scalar(trained).fetch_one(&pool).await.unwrap()).await;
    until("nothing is due", async || done(&pool).await).await;

    // Stops writers of the score table in the middle of their transactions.
    let mut held = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE cinegraph.movie_discovery_scores IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let changed = change_a_movie(&pool).await;
    until("the drain works", async || waiting("Lock").await > 0).await;
    store(url.clone(), 2).request_task(Task::ScoreRefresh).await.unwrap();
    until("the refresh works", async || waiting("Lock").await > 1).await;
    signal("STOP", &[first.pid()]);
    held.rollback().await.unwrap();
    let frozen_at = Instant::now();

    let second = Server::running(&url, &["worker"], "worker started");
    within(TAKEOVER, "the drain goes on", async || is_drained(&pool, changed).await).await;
    within(TAKEOVER, "the job is done", async || done(&pool).await).await;
    assert!(frozen_at.elapsed() < TAKEOVER, "{:?}", frozen_at.elapsed());

    // The first one wakes up, finds its transactions gone, and goes on.
    signal("CONT", &[first.pid()]);
    drop(second);
    let changed = change_a_movie(&pool).await;
    until("the first instance drains again", async || is_drained(&pool, changed).await).await;
}

#[tokio::test]
async fn snapshots_wait_for_each_other_and_see_what_the_other_wrote() {
    let server = catalogue().await;
    let store = store(server.url("postgres"), 4);
    let lists = ["1001_movies".to_owned()];

    let (one, other) = tokio::join!(store.refresh_snapshot(&lists), store.refresh_snapshot(&[]));

    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn connections_to_a_server_that_became_read_only_are_replaced() {
    let server = catalogue().await;
    // As after a failover: open connections lead to a read-only server, new ones to the present primary.
    server.run("ALTER ROLE postgres SET default_transaction_read_only = on").await;
    let store = store(server.url("postgres"), 4);
    let pings = tokio::join!(store.ping(), store.ping(), store.ping(), store.ping());
    pings.0.and(pings.1).and(pings.2).and(pings.3).unwrap();
    server.run("BEGIN READ WRITE; ALTER ROLE postgres RESET default_transaction_read_only; COMMIT").await;

    let rejected = store.request_scores(None).await;
    assert!(matches!(rejected, Err(StoreError::Unavailable(_))), "{rejected:?}");

    for _ in 0..4 {
        store.request_scores(None).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_do_not_depend_on_the_isolation_level_of_the_server() {
    let server = PostgresServer::start().await;
    server.run("ALTER ROLE postgres SET default_transaction_isolation = serializable").await;
    let options: PgConnectOptions = server.url("postgres").parse().unwrap();
    let mut connection: PgConnection = options.options(SESSION_SETTINGS).connect().await.unwrap();

    let level: String = sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut connection).await.unwrap();

    assert_eq!(level, "read committed");
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_used_again_after_its_link_was_lost() {
    let _turn = TURN.lock().await;
    let (server, redis) = (catalogue().await, RedisServer::start().await);
    let link = Link::to(redis.port()).await;
    let service = Service::with(
        &[
            ("CINEGRAPH_DATABASE_URL", server.url("postgres")),
            ("CINEGRAPH_REDIS_URL", format!("redis://{}/", link.address)),
        ],
        ServeOptions { jobs: false, warming: true },
    )
    .await;
    until("Redis is up", async || service.metric("cinegraph_cache_l2_up", "") > 0.0).await;

    link.cut();
    until("Redis is away", async || service.metric("cinegraph_cache_l2_up", "") == 0.0).await;
    link.restore();

    until("Redis is up again", async || service.metric("cinegraph_cache_l2_up", "") > 0.0).await;
    until("the lost connection is closed", async || link.dead_connections() == 0).await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_is_exhausted_only_while_the_database_responds() {
    let server = catalogue().await;
    let link = Link::to(server.port()).await;
    let store = store(through(&link), 1);
    let watched = store.clone();
    tokio::spawn(async move { watched.watch_pool(Duration::from_millis(50)).await });
    store.ping().await.unwrap();
    assert_eq!(store.exhausted_since(), None);

    let changes = store.change_profiles().await.unwrap();
    until("the pool is exhausted", async || store.exhausted_since().is_some()).await;
    link.cut();
    until("it is an outage instead", async || store.exhausted_since().is_none()).await;
    link.restore();
    until("the pool is exhausted again", async || store.exhausted_since().is_some()).await;

    drop(changes);
    until("a statement gets a connection", async || store.ping().await.is_ok()).await;
    until("the pool is no longer exhausted", async || store.exhausted_since().is_none()).await;
}

/// The server itself notices that a client has vanished.
#[tokio::test]
async fn sessions_have_leases() {
    let server = PostgresServer::start().await;
    let options: PgConnectOptions = server.url("postgres").parse().unwrap();
    let mut connection: PgConnection = options.options(SESSION_SETTINGS).connect().await.unwrap();
    let mut shown = Vec::new();
    for setting in [
        "idle_in_transaction_session_timeout",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
        "tcp_user_timeout",
    ] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        shown.push(value);
    }
    assert_eq!(shown, ["20s", "10", "5", "4", "30000"]);
}
