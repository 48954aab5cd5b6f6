//! First use: `cinegraph demo` and `cinegraph prove`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::{Server, catalogue, cinegraph, get, imported, run, stderr_of};
use crate::support::{NodeClient, signal, url};

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
async fn demo_shows_the_generated_banner_until_movies_are_imported(pool: PgPool) {
    let server = demo(&pool);
    assert!(get(&server.public, "/").1.contains(BANNER));
    assert!(get(&server.public, "/validation").1.contains(BANNER));
    assert_eq!(data_origin(&server), "GENERATED");

    let files = catalogue();
    let files = files.path().to_str().unwrap();
    let rejected = run(&url(&pool), &["import", "csv", files]);
    let stderr = stderr_of(&rejected);
    assert!(!rejected.status.success() && stderr.contains("--replace-generated"), "{stderr}");
    assert!(get(&server.public, "/").1.contains(BANNER));
    let page_url = [("PAGE_URL", &*format!("http://{}", server.public))];
    let mut page = NodeClient::script("page", "replaced.mjs", &[], &page_url).await;
    assert_eq!(page.event("opened").await, 1, "the open page has the banner");
    let replaced = run(&url(&pool), &["import", "csv", files, "--replace-generated"]);
    assert!(replaced.status.success(), "{}", stderr_of(&replaced));

    let titles = page.event("titles").await;
    assert!(titles.as_array().unwrap().iter().all(|title| title.as_str().unwrap().starts_with("Film ")), "{titles}");
    crate::support::until("the banner is gone", async || !get(&server.public, "/").1.contains(BANNER)).await;
    assert_eq!(data_origin(&server), "IMPORTED");
}

#[sqlx::test(migrations = false)]
async fn demo_with_json_logs_prints_only_json(pool: PgPool) {
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
        assert!(serving[name].as_str().unwrap().contains(path), "{serving}");
    }
    assert!(serving["curl"].as_str().unwrap().starts_with("curl "), "{serving}");
    assert_eq!(stderr_of(&output), "");
}

/// GraphiQL and a frontend on another port of this machine, as in development, with no network but loopback.
#[sqlx::test(migrations = false)]
async fn explorer_and_cross_origin_frontends_work_offline(pool: PgPool) {
    let explorer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/share/cinegraph/graphiql");
    let fetch = Command::new("scripts/graphiql.sh").arg(&explorer).output().await.unwrap();
    assert!(fetch.status.success(), "{}", String::from_utf8_lossy(&fetch.stderr));
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
    let output = node.output().await.expect("node is installed");

    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
}

/// The state that `prove` must not change. The service that runs beside it records when it has warmed its caches.
async fn state(pool: &PgPool) -> Vec<String> {
    let tables = "SELECT 'versions ' || string_agg(v::text, ' ' ORDER BY v) FROM cinegraph.data_versions v
                  UNION ALL SELECT 'queue ' || count(*) FROM cinegraph.score_refresh_queue
                  UNION ALL SELECT 'scores ' || md5(string_agg(s::text, ' ' ORDER BY movie_id))
                            FROM cinegraph.movie_discovery_scores s
                  UNION ALL SELECT 'tasks ' || coalesce(string_agg(t::text, ' ' ORDER BY t), '') FROM cinegraph.tasks t
                            WHERE t::text NOT LIKE '(cache_warm,%'";
    sqlx::query_scalar(tables).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn prove_measures_every_criterion_and_changes_no_data(pool: PgPool) {
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
async fn slow_original_queries_are_stopped(pool: PgPool) {
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
async fn prove_without_movies_fails_with_instructions(pool: PgPool) {
    assert!(run(&url(&pool), &["migrate"]).status.success());
    let output = run(&url(&pool), &["prove"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr_of(&output);
    assert!(stderr.contains("cinegraph demo") || stderr.contains("1001_movies"), "{stderr}");
    assert!(!fs::exists(std::env::temp_dir().join("proof.json")).unwrap());
}

/// A folder in which the server's account can have its data.
fn traversable() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
    directory
}

#[test]
fn an_import_sets_up_the_embedded_database_itself() {
    let (directory, files) = (traversable(), catalogue());
    let data_dir = directory.path().join("data");
    let printed = |arguments: &[&str]| {
        let output = cinegraph("", arguments).env("CINEGRAPH_DATA_DIR", &data_dir).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr_of(&output));
        String::from_utf8(output.stdout).unwrap()
    };

    let summary = printed(&["import", "csv", files.path().to_str().unwrap()]);

    assert!(summary.contains("movies.csv                       40         40"), "{summary}");
    assert!(printed(&["predict", "--decade", "1990"]).contains("Film "));
}

#[test]
fn service_finds_its_embedded_database_on_another_port() {
    let directory = traversable();
    let data_dir = directory.path().join("data").display().to_string();
    let settings = [("CINEGRAPH_DATA_DIR", data_dir.as_str())];
    let arguments = ["demo", "--films", "300", "--http-addr", "127.0.0.1:0"];
    let server = Server::configured("", &arguments, &settings, "serving");
    let titles = |text: &str| {
        let query = format!("{{ movies(titleContains: \"{text}\") {{ nodes {{ title }} }} }}");
        server.post("/graphql", &json!({ "query": query }).to_string()).1
    };
    assert!(!titles("a").contains("errors"), "{}", titles("a"));

    // Crashes, and is restarted by another process.
    let pid_file = directory.path().join("data/postgres/data/postmaster.pid");
    let postmaster = fs::read_to_string(&pid_file).unwrap();
    let pid: u32 = postmaster.lines().next().unwrap().trim().parse().unwrap();
    signal("KILL", &[pid]);
    let status = cinegraph("", &["status"]).env("CINEGRAPH_DATA_DIR", &data_dir).output().unwrap();
    assert!(status.status.success(), "{}", stderr_of(&status));
    let port = |file: &str| file.lines().nth(3).unwrap().to_owned();
    assert_ne!(port(&postmaster), port(&fs::read_to_string(&pid_file).unwrap()));

    let started = Instant::now();
    while titles("e").contains("errors") {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", titles("e"));
        std::thread::sleep(Duration::from_millis(100));
    }
}
