//! The programs in examples/: each runs as its user runs it.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::{NodeClient, TestService};

/// What an example printed.
struct Printed {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

/// Runs a command in a directory of examples/ against the service at this URL.
async fn run(directory: &str, program: &str, arguments: &[&str], url: &str) -> Printed {
    let mut command = Command::new(program);
    command.args(arguments).env("CINEGRAPH_URL", url).stdin(Stdio::null()).kill_on_drop(true);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(directory));
    let output = command.output().await.unwrap_or_else(|error| panic!("{program}: {error}"));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Printed { succeeded: output.status.success(), stdout, stderr }
}

/// The same for an example that has to succeed without a warning; returns what it printed.
async fn run_quietly(directory: &str, program: &str, arguments: &[&str], url: &str) -> String {
    let Printed { succeeded, stdout, stderr } = run(directory, program, arguments, url).await;
    assert!(succeeded && stderr.is_empty(), "{directory}: {stderr}\n{stdout}");
    assert!(!stdout.contains("WARN") && !stdout.contains("warning"), "{directory}: {stdout}");
    stdout
}

/// A service with generated movies; returns its URL too, and the candidates of the 1990s as the examples print them.
async fn service(pool: PgPool) -> (TestService, String, Vec<String>) {
    let service = TestService::on(pool).await;
    service.fill(300).await;
    service.follow_versions();
    let query = "{ predictions(decade: 1990, first: 100) { edges { node { rank score movie { title year } } } } }";
    let data = service.data(query).await;
    let candidates = data["predictions"]["edges"].as_array().unwrap().iter().map(|edge| {
        let (node, movie) = (&edge["node"], &edge["node"]["movie"]);
        let (title, score) = (movie["title"].as_str().unwrap(), node["score"].as_f64().unwrap());
        format!("{}. {title} ({}), {score:.1}", node["rank"], movie["year"])
    });
    let (candidates, url) = (candidates.collect(), format!("http://{}", service.listen().await));
    (service, url, candidates)
}

/// A client with a cache joins two pages of five, reads the code of an error, and receives the top.
async fn client_lists_and_follows(pool: PgPool, example: &str) -> TestService {
    let (service, url, candidates) = service(pool).await;
    NodeClient::install_example(example).await;
    let printed = run_quietly(example, "npm", &["start", "--silent"], &url).await;
    let lines: Vec<_> = printed.lines().skip_while(|line| !line.ends_with("of the 1990s:")).skip(1).collect();
    assert_eq!(lines[..10], candidates[..10], "{printed}");
    assert!(lines[10..].iter().any(|line| line.starts_with("NOT_FOUND: ")), "{printed}");
    let updates: Vec<_> = candidates[..3].iter().map(|line| format!("ENTERED {line}")).collect();
    assert_eq!(lines[lines.len() - 3..], updates, "{printed}");
    service
}

/// The client sent a query by its hash, and the text after the error about it.
fn assert_persists(service: &TestService) {
    let unknown = service.counted("cinegraph_graphql_errors_total", &[("code", "PERSISTED_QUERY_NOT_FOUND")]);
    assert_eq!(unknown, 1, "one document, sent once");
}

#[sqlx::test(migrations = false)]
async fn apollo_example_works_without_warnings(pool: PgPool) {
    assert_persists(&client_lists_and_follows(pool, "apollo").await);
}

#[sqlx::test(migrations = false)]
async fn urql_example_works_without_warnings(pool: PgPool) {
    assert_persists(&client_lists_and_follows(pool, "urql").await);
}

#[sqlx::test(migrations = false)]
async fn relay_example_works_without_warnings(pool: PgPool) {
    drop(client_lists_and_follows(pool, "relay").await);
}

#[sqlx::test(migrations = false)]
async fn curl_example_works_without_warnings(pool: PgPool) {
    let (_service, url, candidates) = service(pool).await;
    let printed = run_quietly("curl", "./run.sh", &[], &url).await;
    let total = format!("{{\"data\":{{\"predictions\":{{\"totalCount\":{}}}}}}}\n304\n", candidates.len());
    assert!(printed.contains(&total), "{printed}");
    assert!(printed.contains("\"code\":\"BAD_USER_INPUT\",\"field\":\"first\""), "{printed}");
    assert!(!printed.contains("PERSISTED_QUERY_NOT_FOUND"), "{printed}");
    assert_eq!(printed.matches("\"kind\":\"ENTERED\"").count(), 3, "{printed}");
    let again = run_quietly("curl", "./run.sh", &[], &url).await;
    assert_eq!(again, printed, "the persisted query is known now");
}

#[sqlx::test(migrations = false)]
async fn python_example_pages_through_a_decade(pool: PgPool) {
    let (_service, url, candidates) = service(pool).await;
    let printed = run_quietly("python", "./decade.py", &["1990"], &url).await;
    assert_eq!(printed.lines().collect::<Vec<_>>(), candidates);

    let refused = run("python", "./decade.py", &["1990", "Missing"], &url).await;
    assert!(!refused.succeeded && refused.stderr.starts_with("NOT_FOUND: "), "{}", refused.stderr);
}

#[tokio::test]
async fn python_example_sends_again_what_it_is_asked_to() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let respond = async || match REQUESTS.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let extensions = json!({ "code": "SERVICE_UNAVAILABLE", "retryAfter": 0 });
            let errors = json!([{ "message": "Try again.", "extensions": extensions }]);
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "errors": errors })))
        }
        turn => {
            let edge = json!({ "node": { "rank": turn, "score": 1, "movie": { "title": "Film", "year": 1990 } } });
            let page = json!({ "hasNextPage": turn < 2, "endCursor": "cursor" });
            (StatusCode::OK, Json(json!({ "data": { "predictions": { "edges": [edge], "pageInfo": page } } })))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, Router::new().route("/graphql", post(respond))).into_future());
    let printed = run_quietly("python", "./decade.py", &[], &url).await;
    assert_eq!(printed, "1. Film (1990), 1.0\n2. Film (1990), 1.0\n");
    server.abort();
}
