//! Identity of the database: nothing that was cached of one history of the data is served as that of another.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::{Server, get, run, stderr_of};
use crate::support::{Movie, PostgresServer, RedisServer, Socket, TestService, until, url};

/// Queries of every kind that is cached: rankings, one movie, its details, validations, reference data, texts.
const QUERIES: [&str; 8] = [
    "{ predictions(decade: 1990, first: 20) { totalCount nodes { rank score movie { title year genres { name } } } } }",
    "{ predictions(decade: 1990, profile: \"Critics Choice\", filter: { genres: [\"Drama\"] }) { totalCount nodes { score } } }",
    "{ confirmedAdditions(decade: 1990) { totalCount nodes { score movie { title } } } }",
    "{ prediction(by: { tmdbId: 1 }) { rank score movie { title } } }",
    "{ movies(titleContains: \"film\", first: 20) { nodes { title } } }",
    "{ validation { overall { listed hits population } } }",
    "{ decadeValidation(decade: 1990) { listed hits hitFilms { nodes { movie { title } } } } }",
    "{ lists { key name } genres { name } profiles { name } }",
];

/// Twelve movies of the 1990s, a quarter of them listed; scored.
async fn nineties(pool: &PgPool) -> TestService {
    let service = TestService::on(pool.clone()).await;
    for number in 0..12_u8 {
        let mut movie = Movie::new(&format!("Film {number}")).released("1994-05-01").genre("Drama");
        movie = movie.rated(f64::from(number) / 2.0, f64::from(number) / 2.0);
        movie = if number % 4 == 0 { movie.on(&["1001_movies"]) } else { movie };
        movie.insert(pool).await;
    }
    service.refresh().await;
    service
}

/// Statements that give the movies other titles and ratings.
const OTHER_MOVIES: &str = "UPDATE public.movies SET title = 'Other film ' || id;
     UPDATE public.external_metrics SET value = 9 - value WHERE metric_type = 'rating_average'";

async fn change(pool: &PgPool, statements: &'static str) {
    sqlx::raw_sql(statements).execute(pool).await.unwrap();
}

/// The data of every query.
async fn responses(service: &TestService) -> Vec<Value> {
    let mut responses = Vec::new();
    for query in QUERIES {
        responses.push(service.data(query).await);
    }
    responses
}

/// The data of every query, computed by a service that has cached nothing.
async fn computed(pool: &PgPool) -> Vec<Value> {
    responses(&TestService::on(pool.clone()).await).await
}

/// The data of every query, from a running program.
fn served(server: &Server) -> Vec<Value> {
    QUERIES.iter().map(|query| execute(server, query)["data"].take()).collect()
}

fn execute(server: &Server, query: &str) -> Value {
    let (_, _, body) = server.execute(&json!({ "query": query }).to_string());
    serde_json::from_str(&body).unwrap()
}

fn identity_changes(server: &Server) -> bool {
    get(&server.admin, "/metrics").1.lines().any(|line| line == "cinegraph_database_identity_changes_total 1")
}

/// The identity that `/status` shows.
fn epoch(server: &Server) -> String {
    let status: Value = serde_json::from_str(&get(&server.admin, "/status").1).unwrap();
    status["database_identity"]["epoch"].as_str().unwrap_or_default().to_owned()
}

async fn etag_and_cursor(service: &TestService) -> (String, String) {
    let query = "{ predictions(decade: 1990, first: 2) { pageInfo { endCursor } } }";
    let response = service.send(query, json!({}), &[]).await;
    let etag = response.headers()["etag"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    (etag, body["data"]["predictions"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned())
}

#[sqlx::test(migrations = false)]
async fn two_databases_with_the_same_counters_share_a_redis_without_sharing_results(pool: PgPool) {
    let redis = RedisServer::start().await;
    drop(nineties(&pool).await);
    // A clone within the cluster: the same random value, the same counters, the same everything but the data.
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&pool).await.unwrap();
    // Names have 63 bytes at most.
    let clone_name = format!("clone_{}", &name[name.len().saturating_sub(40)..]);
    let options = pool.connect_options().as_ref().clone();
    pool.close().await;
    let mut admin = PgConnection::connect_with(&options.clone().database("postgres")).await.unwrap();
    until("the database is cloned", async || {
        let clone = format!("CREATE DATABASE \"{clone_name}\" TEMPLATE \"{name}\"");
        sqlx::raw_sql(AssertSqlSafe(clone)).execute(&mut admin).await.is_ok()
    })
    .await;
    let (pool, clone) = (
        PgPool::connect_with(options.clone()).await.unwrap(),
        PgPool::connect_with(options.database(&clone_name)).await.unwrap(),
    );
    let versions = "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM cinegraph.data_versions AS v";
    change(&clone, OTHER_MOVIES).await;
    TestService::on(clone.clone()).await.refresh().await;
    change(&clone, "TRUNCATE cinegraph.data_versions").await;
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT v::text FROM cinegraph.data_versions AS v").fetch_all(&pool).await.unwrap();
    sqlx::query(
        "INSERT INTO cinegraph.data_versions SELECT (v::cinegraph.data_versions).* FROM unnest($1::text[]) AS v",
    )
    .bind(rows)
    .execute(&clone)
    .await
    .unwrap();
    let of = async |pool: &PgPool| sqlx::query_scalar::<_, String>(versions).fetch_one(pool).await.unwrap();
    assert_eq!(of(&pool).await, of(&clone).await);

    let (wanted, wanted_of_clone) = (computed(&pool).await, computed(&clone).await);
    assert_ne!(wanted, wanted_of_clone);
    for _ in 0..2 {
        let one = TestService::sharing(pool.clone(), Some(&redis.url())).await;
        let other = TestService::sharing(clone.clone(), Some(&redis.url())).await;
        assert_eq!((responses(&one).await, responses(&other).await), (wanted.clone(), wanted_of_clone.clone()));
        until("both databases have entries in Redis", async || redis.command(&["DBSIZE"]).parse::<u32>().unwrap() > 3)
            .await;
    }
    // Instances of one database do share.
    let hits = [("layer", "l2"), ("result", "hit")];
    let third = TestService::sharing(pool.clone(), Some(&redis.url())).await;
    assert_eq!(responses(&third).await, wanted);
    assert!(third.counted("cinegraph_cache_layer_requests_total", &hits) > 0);
    drop((third, clone));
    until("the clone is dropped", async || {
        let drop = format!("DROP DATABASE \"{clone_name}\" WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await.is_ok()
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn nothing_cached_survives_a_new_identity(pool: PgPool) {
    let redis = RedisServer::start().await;
    drop(nineties(&pool).await);
    let service = TestService::sharing(pool.clone(), Some(&redis.url())).await;
    let before = responses(&service).await;
    let (etag, cursor) = etag_and_cursor(&service).await;
    let next = format!("{{ predictions(decade: 1990, first: 2, after: \"{cursor}\") {{ nodes {{ rank }} }} }}");
    assert_eq!(service.data(&next).await["predictions"]["nodes"][0]["rank"], 3);

    // The data changes behind the counters, as those of a copy do.
    change(&pool, "UPDATE movies SET title = 'Another ' || title; DELETE FROM cinegraph.score_refresh_queue").await;
    assert_eq!(responses(&service).await, before, "nothing shows that the data has changed");
    let output = run(&url(&pool), &["migrate", "--new-identity"]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("has a new identity"), "{output:?}");
    service.see_changes().await;

    assert_eq!(service.counted("cinegraph_database_identity_changes_total", &[]), 1);
    assert_eq!(responses(&service).await, computed(&pool).await);
    assert_eq!(service.refusal(&next).await, ("BAD_USER_INPUT".to_owned(), Some("after".to_owned())));
    let query = "{ predictions(decade: 1990, first: 2) { pageInfo { endCursor } } }";
    let unchanged = service.send(query, json!({}), &[("if-none-match", &etag)]).await;
    assert_eq!(unchanged.status().as_u16(), 200);
    let (new_etag, new_cursor) = etag_and_cursor(&service).await;
    assert!(new_etag != etag && new_cursor != cursor);
    assert_eq!(service.send(query, json!({}), &[("if-none-match", &new_etag)]).await.status().as_u16(), 304);
}

#[sqlx::test(migrations = false)]
async fn a_database_that_was_set_back_gets_another_identity_once(pool: PgPool) {
    let redis = RedisServer::start().await;
    drop(nineties(&pool).await);
    let services = [
        TestService::sharing(pool.clone(), Some(&redis.url())).await,
        TestService::sharing(pool.clone(), Some(&redis.url())).await,
    ];
    for service in &services {
        responses(service).await;
    }
    let identity = async || {
        sqlx::query_scalar::<_, String>("SELECT identity::text FROM cinegraph.installation")
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    let before = identity().await;

    // As after a snapshot of the machine was restored: the same server, files and timeline, and an older state.
    change(
        &pool,
        "UPDATE public.movies SET title = 'Restored ' || title; DELETE FROM cinegraph.score_refresh_queue;
         UPDATE cinegraph.data_versions SET version = greatest(version - 1, floor) WHERE scope <> 'reference';
         UPDATE cinegraph.data_versions SET version = version - 1, floor = 0 WHERE scope = 'snapshot'",
    )
    .await;
    services[0].see_changes().await;
    let after = identity().await;
    assert_ne!(after, before);
    services[1].see_changes().await;
    assert_eq!(identity().await, after, "the second instance adopts the identity that the first one drew");
    let wanted = computed(&pool).await;
    for service in &services {
        assert_eq!(responses(service).await, wanted);
        assert_eq!(service.counted("cinegraph_database_identity_changes_total", &[]), 1);
    }
}

#[sqlx::test(migrations = false)]
async fn live_updates_go_on_in_another_history(pool: PgPool) {
    let service = nineties(&pool).await;
    let mut socket = Socket::open(service.listen().await).await;
    socket
        .subscribe(
            "1",
            "subscription { predictionUpdates(decade: 1990, top: 3) { kind prediction { movie { title } } } }",
        )
        .await;
    until("the subscription runs", async || service.counted("cinegraph_subscriptions_active", &[]) == 1).await;
    change(&pool, OTHER_MOVIES).await;
    TestService::on(pool.clone()).await.refresh().await;
    // The counters of the new history are lower than those that the subscription has seen.
    change(
        &pool,
        "UPDATE cinegraph.data_versions SET version = 1, floor = 0;
         UPDATE cinegraph.installation SET identity = gen_random_uuid()",
    )
    .await;
    service.see_changes().await;
    let mut kinds = Vec::new();
    while kinds.len() < 6 {
        kinds.push(socket.next("1").await["data"]["predictionUpdates"]["kind"].take());
    }
    assert_eq!(kinds[..3], ["LEFT", "LEFT", "LEFT"].map(Value::from));
    assert_eq!(kinds[3..], ["ENTERED", "ENTERED", "ENTERED"].map(Value::from));
}

#[sqlx::test(migrations = false)]
async fn detach_and_attach_under_a_running_instance(pool: PgPool) {
    let redis = RedisServer::start().await;
    drop(nineties(&pool).await);
    let server = Server::with(&url(&pool), &[("CINEGRAPH_REDIS_URL", &redis.url())]);
    let before = served(&server);
    assert_eq!((&before, epoch(&server).len()), (&computed(&pool).await, 16));
    let old_epoch = epoch(&server);

    assert!(run(&url(&pool), &["migrate", "--detach"]).status.success());
    change(&pool, OTHER_MOVIES).await;
    assert!(run(&url(&pool), &["migrate"]).status.success());
    assert!(run(&url(&pool), &["refresh", "all"]).status.success());

    until("the instance has noticed", async || identity_changes(&server)).await;
    assert_ne!(epoch(&server), old_epoch);
    // The score table was empty for a moment, and results of the direct query are cached for three seconds.
    let wanted = computed(&pool).await;
    assert_ne!(wanted, before);
    until("every response is that of the new data", async || served(&server) == wanted).await;
}

/// A relay whose target can be exchanged, as a name that a failover moves to another server.
struct Relay {
    address: SocketAddr,
    target: Arc<Mutex<(SocketAddr, CancellationToken)>>,
    _task: AbortOnDropHandle<()>,
}

impl Relay {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new((target, CancellationToken::new())));
        let current = Arc::clone(&target);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (target, moved) = current.lock().unwrap().clone();
                tokio::spawn(moved.run_until_cancelled_owned(async move {
                    let Ok(mut server) = TcpStream::connect(target).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }));
            }
        });
        Self { address, target, _task: AbortOnDropHandle::new(task) }
    }

    /// Closes all connections; new ones go to `target`.
    fn move_to(&self, target: SocketAddr) {
        let mut current = self.target.lock().unwrap();
        current.1.cancel();
        *current = (target, CancellationToken::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_to_a_standby_that_lacked_the_last_changes() {
    let redis = RedisServer::start().await;
    let mut primary = PostgresServer::start().await;
    let pool = PgPool::connect(&primary.url("postgres")).await.unwrap();
    drop(nineties(&pool).await);
    let mut standby = primary.replica().await;
    standby.stop();
    let relay = Relay::to(primary.address()).await;
    let database = format!("postgres://postgres@{}/postgres", relay.address);
    // Without jobs, so that nothing but this test raises a version.
    let settings = [("CINEGRAPH_REDIS_URL", redis.url())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let serve = ["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"];
    let servers = [(); 2].map(|()| Server::configured(&database, &serve, &settings, "serving"));

    // The changes that the standby lacks. The old primary and the new one raise the same versions, for other data.
    change(&pool, OTHER_MOVIES).await;
    TestService::on(pool.clone()).await.refresh_scores().await;
    let lost = computed(&pool).await;
    for server in &servers {
        until("the last changes are served", async || served(server) == lost).await;
    }
    primary.kill();
    standby.start_again().await;
    standby.run("SELECT pg_promote()").await;
    relay.move_to(standby.address());
    let pool = PgPool::connect(&standby.url("postgres")).await.unwrap();
    change(&pool, "UPDATE public.movies SET title = 'Kept ' || title WHERE id % 2 = 0").await;
    TestService::on(pool.clone()).await.refresh_scores().await;

    let wanted = computed(&pool).await;
    for server in &servers {
        until("the instance has noticed", async || identity_changes(server)).await;
        until("the data of the new primary is served", async || served(server) == wanted).await;
    }
    assert_eq!(epoch(&servers[0]), epoch(&servers[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_database_in_the_place_of_the_old_one() {
    let server = PostgresServer::start().await;
    server.run("CREATE DATABASE films").await;
    let pool = PgPool::connect(&server.url("films")).await.unwrap();
    drop(nineties(&pool).await);
    pool.close().await;
    until("the backup is taken", async || {
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        sqlx::raw_sql("CREATE DATABASE backup TEMPLATE films").execute(&mut admin).await.is_ok()
    })
    .await;
    let instance = Server::start(&server.url("films"));
    let pool = PgPool::connect(&server.url("films")).await.unwrap();
    change(&pool, OTHER_MOVIES).await;
    TestService::on(pool.clone()).await.refresh_scores().await;
    let lost = computed(&pool).await;
    until("the changes are served", async || served(&instance) == lost).await;
    pool.close().await;

    server.run("ALTER DATABASE films ALLOW_CONNECTIONS false").await;
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'films'").await;
    until("the databases are exchanged", async || {
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let exchange = "ALTER DATABASE films RENAME TO lost; ALTER DATABASE backup RENAME TO films";
        sqlx::raw_sql(exchange).execute(&mut admin).await.is_ok()
    })
    .await;
    let pool = PgPool::connect(&server.url("films")).await.unwrap();
    let wanted = computed(&pool).await;
    assert_ne!(wanted, lost);
    until("the instance has noticed", async || identity_changes(&instance)).await;
    assert_eq!(served(&instance), wanted);
}

#[tokio::test]
async fn without_the_right_to_read_the_cluster_and_the_timeline_the_schema_is_the_identity() {
    let server = PostgresServer::start().await;
    server.run("CREATE ROLE films LOGIN; GRANT CREATE ON SCHEMA public TO films; GRANT CREATE ON DATABASE postgres TO films;
                REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn), pg_current_wal_lsn() FROM PUBLIC").await;
    let pool = PgPool::connect(&server.url("postgres").replace("postgres@", "films@")).await.unwrap();
    let service = nineties(&pool).await;
    let identity = service.store.identity().await.unwrap();
    assert_eq!((identity.system, identity.timeline, identity.is_standby), (None, None, false));
    assert_eq!(responses(&service).await, computed(&pool).await);
    assert_eq!(service.counted("cinegraph_database_identity_changes_total", &[]), 0);
    service.store.renew_identity().await.unwrap();
    service.see_changes().await;
    assert_eq!(service.counted("cinegraph_database_identity_changes_total", &[]), 1);
}
