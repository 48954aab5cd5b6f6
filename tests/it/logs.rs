//! The log of the running program.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::cli::{Server, get, run};
use super::support::{Movie, PostgresServer, RedisServer, TestService, until, url};

const PAGE: &str = "{ predictions(decade: 1990) { nodes { score movie { title } } } }";

fn warnings(server: &Server, message: &str) -> Vec<Value> {
    let of_it = |line: &Value| line["level"] == "WARN" && line["message"] == message;
    server.log().into_iter().filter(of_it).collect()
}

#[sqlx::test(migrations = false)]
async fn debug_lines_show_the_text_of_statements(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let server = Server::with(&url(&pool), &[("CINEGRAPH_LOG_FILTER", "debug")]);

    server.execute(&json!({ "query": "{ movies(titleContains: \"Love\") { nodes { title } } }" }).to_string());
    let statement = || {
        let of_it = |line: &Value| line["message"] == "statement" && line["query_name"] == "movies_by_title";
        server.log().into_iter().find(of_it)
    };
    until("the statement is logged", async || statement().is_some()).await;

    let statement = statement().unwrap();
    let sql = statement["sql"].as_str().unwrap();
    assert_eq!(statement["level"], "DEBUG");
    assert!(sql.contains("$1") && !statement.to_string().contains("Love"), "{statement}");
    for line in server.log() {
        assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
        assert!(
            ["timestamp", "level", "target", "service", "version"].iter().all(|key| line[key].is_string()),
            "{line}"
        );
    }
    let targets: Vec<_> = server.log().iter().map(|line| line["target"].as_str().unwrap().to_owned()).collect();
    assert!(targets.iter().any(|target| !target.starts_with("cinegraph")), "lines of libraries are among them");
}

#[sqlx::test(migrations = false)]
async fn lines_say_whether_their_trace_is_sampled(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    service.refresh().await;
    for (sampler, sampled) in [("always_on", true), ("always_off", false)] {
        let settings = [
            // Nothing listens there: what counts is the decision.
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("OTEL_TRACES_SAMPLER", sampler),
        ];
        let server = Server::with(&url(&pool), &settings);
        server.execute(&json!({ "query": "{ profiles { name } }" }).to_string());
        let operation = || server.log().into_iter().find(|line| line["message"] == "graphql operation");
        until("the operation is logged", async || operation().is_some()).await;
        let line = operation().unwrap();
        assert_eq!((line["trace_id"].as_str().unwrap().len(), &line["sampled"]), (32, &json!(sampled)));
    }
}

/// A server with a migrated database, and a role that is not the superuser.
async fn database() -> (PostgresServer, String) {
    let server = PostgresServer::start().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    let service = TestService::on(pool.clone()).await;
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    pool.close().await;
    server.run("CREATE ROLE small LOGIN; GRANT postgres TO small").await;
    let url = server.url("postgres").replace("postgres@", "small@");
    (server, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reason_why_the_database_refuses_is_logged_once() {
    let (mut database, url) = database().await;
    let server = Server::start(&url);
    let is_up = || get(&server.admin, "/metrics").1.contains("cinegraph_db_up{pool=\"primary\"} 1\n");
    let reasons = || warnings(&server, "no connection to the database");
    until("the database is up", async || is_up()).await;
    assert_eq!(reasons(), Vec::<Value>::new());

    let lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'small'";
    for (change, reason) in [
        ("ALTER ROLE small CONNECTION LIMIT 0", "too many connections for role"),
        ("ALTER ROLE small CONNECTION LIMIT -1 NOLOGIN", "is not permitted to log in"),
    ] {
        database.run(change).await;
        database.run(lost).await;
        let said = || reasons().iter().filter(|line| line["error"].as_str().unwrap().contains(reason)).count();
        until(reason, async || said() > 0 && !is_up()).await;
        // The pings of some seconds, and requests, meet the same error.
        for number in 0..20 {
            let query = format!("{{ movies(titleContains: \"a{number}\") {{ nodes {{ title }} }} }}");
            server.execute(&json!({ "query": query }).to_string());
        }
        assert_eq!(said(), 1, "{reason}");
    }
    database.run("ALTER ROLE small LOGIN").await;
    until("the database is up again", async || is_up()).await;

    database.stop();
    until("the database is down", async || !is_up()).await;
    let refused = || reasons().iter().filter(|line| line["error"].as_str().unwrap().contains("refused")).count();
    until("the reason is logged", async || refused() > 0).await;
    database.start_again().await;
    until("the database is up again", async || is_up()).await;
    assert_eq!(refused(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_and_worker_wait_for_a_database_that_starts_later() {
    let (mut database, url) = database().await;
    for (command, done) in [(&["serve", "--http-addr", "127.0.0.1:0"][..], "serving"), (&["worker"], "worker started")]
    {
        database.stop();
        let server = Server::running(&url, command, "waiting for the database");
        database.start_again().await;
        until("it has started", async || server.log().iter().any(|line| line["message"] == done)).await;
        let warned = warnings(&server, "waiting for the database");
        assert_eq!(warned.len(), 1);
        assert!(warned[0]["error"].as_str().unwrap().contains("Connection refused"), "{}", warned[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named_and_not_shown() {
    let (database, url) = database().await;
    // Not asked for until the server requires it.
    let url = url.replace("small@", "small:wr0ng-s3cr3t@");
    let server = Server::start(&url);

    database.run("ALTER ROLE small PASSWORD 'right'").await;
    database.require_password("small").await;
    database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'small'").await;
    let reason = "password authentication failed for user \"small\"";
    let said = || {
        let lines = warnings(&server, "no connection to the database");
        lines.iter().filter(|line| line["error"].as_str().unwrap().contains(reason)).count()
    };
    until("the reason is logged", async || said() == 1).await;
    until("readiness reports the database", async || {
        let (_, checks) = get(&server.public, "/health/ready");
        let checks: Value = serde_json::from_str(&checks).unwrap();
        checks["checks"]["database"] != "ok"
    })
    .await;

    let refused = run(&url, &["serve", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
    let last = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"].as_str().map(|error| error.matches(reason).count()), Some(1), "{last}");
    let log = server.log().iter().map(Value::to_string).collect::<String>();
    for text in [log, last, String::from_utf8(refused.stderr).unwrap()] {
        assert!(!text.contains("wr0ng-s3cr3t"), "{text}");
    }
}

#[sqlx::test(migrations = false)]
async fn reason_why_redis_refuses_is_logged_once(pool: PgPool) {
    let (service, redis) = (TestService::on(pool.clone()).await, RedisServer::start().await);
    Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh().await;
    let server = Server::with(&url(&pool), &[("CINEGRAPH_REDIS_URL", &redis.url())]);
    let reasons = |part: &str| {
        let said = warnings(&server, "redis command failed");
        said.iter().filter(|line| line["error"].as_str().unwrap().contains(part)).count()
    };
    assert_eq!(server.execute(&json!({ "query": PAGE }).to_string()).0, 200);

    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let mut first = 0;
    until("a write is refused", async || {
        first = first % 100 + 1;
        // Another profile's page is another entry to write.
        sqlx::query("SELECT cinegraph.raise_version('scores', '', 1990, true)").execute(&pool).await.unwrap();
        let query = format!("{{ predictions(decade: 1990, first: {first}) {{ totalCount }} }}");
        server.execute(&json!({ "query": query }).to_string());
        reasons("read only replica") > 0
    })
    .await;
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    redis.command(&["CONFIG", "SET", "requirepass", "another"]);
    redis.command(&["-a", "another", "CLIENT", "KILL", "TYPE", "normal"]);
    until("the password is missing", async || {
        server.execute(&json!({ "query": PAGE }).to_string());
        reasons("uthentication") > 0
    })
    .await;
    assert_eq!((reasons("read only replica"), reasons("uthentication")), (1, 1));
}
