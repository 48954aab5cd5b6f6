//! The first ten minutes: what `cinegraph demo` says and allows, and what `cinegraph prove` measures.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::{Server, catalogue, cinegraph, get, imported, run, said};
use crate::support::{NodeClient, url};

/// The start of the banner of generated movies.
const BANNER: &str = "generated and do not exist";

/// Starts the demo on a test's database, with few movies.
fn demo(pool: &PgPool) -> Server {
    Server::running(&url(pool), &["demo", "--films", "2000", "--http-addr", "127.0.0.1:0"], "serving")
}

fn data_origin(server: &Server) -> Value {
    let (_, response) = server.post("/graphql", &json!({ "query": "{ dataOrigin }" }).to_string());
    serde_json::from_str::<Value>(&response).unwrap()["data"]["dataOrigin"].take()
}

#[sqlx::test(migrations = false)]
async fn a_running_demo_says_that_its_movies_are_generated_until_real_ones_replace_them(pool: PgPool) {
    let server = demo(&pool);
    assert!(get(&server.public, "/").1.contains(BANNER));
    assert!(get(&server.public, "/validation").1.contains(BANNER));
    assert_eq!(data_origin(&server), "GENERATED");

    let files = catalogue();
    let files = files.path().to_str().unwrap();
    let refused = run(&url(&pool), &["import", "csv", files]);
    assert!(!refused.status.success() && said(&refused).contains("--replace-generated"), "{}", said(&refused));
    assert!(get(&server.public, "/").1.contains(BANNER));
    let replaced = run(&url(&pool), &["import", "csv", files, "--replace-generated"]);
    assert!(replaced.status.success(), "{}", said(&replaced));

    crate::support::until("the banner is gone", async || !get(&server.public, "/").1.contains(BANNER)).await;
    assert_eq!(data_origin(&server), "IMPORTED");
}

#[sqlx::test(migrations = false)]
async fn with_json_logs_every_line_of_a_demo_is_json(pool: PgPool) {
    let arguments = ["demo", "--films", "1000", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
    let mut command = cinegraph(&url(&pool), &[&arguments[..], &["--log-format", "json"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));

    let serving = lines
        .by_ref()
        .map(|line| line.unwrap())
        .map(|line| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .find(|line| line["message"] == "serving")
        .expect("it ended before it served");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();

    assert_eq!(serving["generated"], true);
    for (name, path) in [("page", "/"), ("api", "/graphql"), ("explorer", "/graphiql"), ("metrics", "/metrics")] {
        assert!(serving[name].as_str().unwrap().ends_with(path), "{serving}");
    }
    assert!(serving["curl"].as_str().unwrap().starts_with("curl "), "{serving}");
    assert_eq!(said(&output), "");
}

/// Frontends on other ports of this machine, as people develop them, and GraphiQL, without any network but loopback.
#[sqlx::test(migrations = false)]
async fn frontends_and_the_explorer_work_in_a_browser_without_a_network(pool: PgPool) {
    let explorer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/share/cinegraph/graphiql");
    let fetched = Command::new("scripts/graphiql.sh").arg(&explorer).output().await.unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let explorer = explorer.to_str().unwrap().to_owned();
    let server = Server::configured(
        &url(&pool),
        &["demo", "--films", "2000", "--http-addr", "127.0.0.1:0"],
        &[("CINEGRAPH_GRAPHIQL_DIR", &explorer)],
        "serving",
    );
    let frontend = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let folder = NodeClient::install("page").await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-timeout=120000", "explorer.mjs"]).current_dir(&folder).kill_on_drop(true);
    node.env("PAGE_URL", format!("http://{}", server.public)).env("FRONTEND_PORT", frontend.port().to_string());
    let output = node.output().await.expect("node is there");

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

/// What `prove` must leave as it is.
async fn state(pool: &PgPool) -> Vec<String> {
    let tables = "SELECT 'versions ' || string_agg(v::text, ' ' ORDER BY v) FROM cinegraph.data_versions v
                  UNION ALL SELECT 'queue ' || count(*) FROM cinegraph.score_refresh_queue
                  UNION ALL SELECT 'scores ' || md5(string_agg(s::text, ' ' ORDER BY movie_id))
                            FROM cinegraph.movie_discovery_scores s
                  UNION ALL SELECT 'tasks ' || coalesce(string_agg(t::text, ' ' ORDER BY t), '') FROM cinegraph.tasks t";
    sqlx::query_scalar(tables).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn prove_measures_every_criterion_changes_nothing_and_the_page_shows_the_result(pool: PgPool) {
    let (database, data_dir) = (imported(&pool), TempDir::new().unwrap());
    let data_dir = data_dir.path().to_str().unwrap();
    let server = Server::configured(
        &database,
        &["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"],
        &[("CINEGRAPH_DATA_DIR", data_dir)],
        "serving",
    );
    assert!(get(&server.public, "/proof").1.contains("Nothing has been measured"));
    let before = state(&pool).await;

    let mut command = cinegraph(&database, &["prove", "--json", "--load-time", "1"]);
    let output = command.env("CINEGRAPH_DATA_DIR", data_dir).output().unwrap();

    let proof: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    assert_eq!(state(&pool).await, before);
    let positive = |pointer: &str| proof.pointer(pointer).and_then(Value::as_f64).is_some_and(|number| number > 0.0);
    for figure in [
        "/page_load/original_seconds",
        "/page_load/cold_seconds",
        "/page_load/cached_seconds",
        "/hit_ratio/hits",
        "/statements/ours",
        "/progressive/first_seconds",
        "/users/0/requests",
        "/users/1/p99_seconds",
    ] {
        assert!(positive(figure), "{figure}: {proof:#}");
    }
    // Two statements of the original for the two decades: predictions of the 2020s, validation of the 1990s.
    let names = proof["page_load"]["original_statements"].as_array().unwrap();
    let names: Vec<_> = names.iter().map(|statement| statement["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["predictions, 2020s", "validation, 1990s"]);
    let requests = |load: usize| proof["users"][load]["requests"].as_u64().unwrap();
    assert_eq!(proof["statements"]["requests"].as_u64(), Some(requests(0) + requests(1)));
    assert_eq!((&proof["users"][0]["errors"], &proof["users"][1]["errors"]), (&json!(0), &json!(0)));
    let page = get(&server.public, "/proof").1;
    for part in ["Page load", "Cache hit ratio", "Database statements", "Progressive loading", "Ten times the users"] {
        assert!(page.contains(part), "{part} is missing");
    }
}

#[sqlx::test(migrations = false)]
async fn an_original_that_takes_longer_than_its_limit_is_stopped(pool: PgPool) {
    let store = crate::support::migrated(&pool, crate::support::metrics()).await;
    let decade = cinegraph::scoring::Decade::CURRENT;
    let weights = cinegraph::scoring::Weights::normalised([1.0; 5]).unwrap();
    let time = async |query: &str, limit| store.time_original(query, decade, &weights, limit).await;

    let slow = "SELECT pg_sleep(60), $1, $2, $3, $4, $5, $6::date, $7::date";
    assert_eq!(time(slow, Duration::from_millis(50)).await.unwrap(), None);
    let writing = "WITH w AS (DELETE FROM movies RETURNING 1) SELECT $1, $2, $3, $4, $5, $6::date, $7::date FROM w";
    assert!(time(writing, Duration::from_secs(10)).await.is_err(), "it is read-only");
    let original = time(cinegraph::store::ORIGINAL_PREDICTIONS, Duration::from_secs(30)).await.unwrap();
    assert!(original.is_some());
}

#[sqlx::test(migrations = false)]
async fn prove_without_movies_says_what_to_do(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    let output = run(&url(&pool), &["prove"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cinegraph demo") || said(&output).contains("1001_movies"), "{}", said(&output));
    assert!(!fs::exists(std::env::temp_dir().join("proof.json")).unwrap());
}
