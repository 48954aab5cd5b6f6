//! The first ten minutes: what `cinegraph demo` says and allows.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::process::Command;

use crate::cli::{Server, catalogue, cinegraph, get, run, said};
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
