//! The documents: every operation in them is executed verbatim, and returns the shape that they show.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{Socket, TestService, until};

const TOKEN: &str = "a-token-for-readers-of-the-documents";

/// A fenced block of a document.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    // Every second part of the text is inside a fence.
    let fenced = text.split("```").skip(1).step_by(2);
    let block = |(language, text): (&str, &str)| Block { language: language.into(), text: text.into() };
    fenced.map(|fenced| block(fenced.split_once('\n').unwrap())).collect()
}

#[sqlx::test(migrations = false)]
async fn documented_operations_return_the_documented_shape(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokens"), TOKEN).unwrap();
    let service = TestService::administered(pool, None, &folder.path().join("tokens")).await;
    service.fill(300).await;
    crate::learned::train(&service, 1).await;
    service.follow_versions();
    let address = service.listen().await;
    for (document, operations, responses) in [("README.md", 1, 1), ("docs/API.md", 13, 0), ("docs/frontend.md", 1, 0)] {
        let (mut executed, mut compared, mut last) = (0, 0, None);
        for Block { language, text } in blocks(document) {
            let response = match language.as_str() {
                "graphql" if text.starts_with("mutation ($text") => import_list(&service, &text).await,
                "graphql" if text.starts_with("subscription") => first_event(&service, address, &text).await,
                "graphql" => service.execute(&text, json!({})).await,
                "sh" if text.starts_with("curl -N ") => run_stream(address, &text).await,
                "sh" if text.contains("/graphql") => run_command(address, &text).await,
                "js" => run_script(address, &text).await,
                "json" => {
                    let documented: Value = serde_json::from_str(&text).unwrap();
                    let response: Value = last.take().expect("an operation precedes its response");
                    assert!(
                        same_shape(&documented, &response),
                        "{document} shows {documented:#}\nand got {response:#}"
                    );
                    compared += 1;
                    continue;
                }
                _ => continue,
            };
            executed += 1;
            let fields = response["data"].as_object().unwrap_or_else(|| panic!("{document}: {text}\n{response:#}"));
            assert!(response.get("errors").is_none(), "{document}: {text}\n{response:#}");
            assert!(fields.values().all(|value| !value.is_null()), "{document}: {text}\n{response:#}");
            last = Some(response);
        }
        assert_eq!((executed, compared), (operations, responses), "{document}");
    }
}

/// Runs the documented import of a list with a token, for a list of one movie.
async fn import_list(service: &TestService, mutation: &str) -> Value {
    let id: i32 = sqlx::query_scalar("SELECT min(tmdb_id) FROM movies").fetch_one(&service.pool).await.unwrap();
    let authorization = format!("Bearer {TOKEN}");
    let response =
        service.send(mutation, json!({ "text": id.to_string() }), &[("authorization", &authorization)]).await;
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

/// Runs a documented command with a token; returns the JSON that it prints.
async fn run_command(address: SocketAddr, command: &str) -> Value {
    let output = shell(address, command).output().await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {command}\n{output:?}"))
}

/// Runs a documented script, which defines `data` and `errors`; returns the response that they were read from.
async fn run_script(address: SocketAddr, script: &str) -> Value {
    let print = "console.log(JSON.stringify({ data, errors }));";
    run_command(address, &format!("node --input-type=module <<'END'\n{script}{print}\nEND\n")).await
}

#[test]
fn guide_explains_every_error_code() {
    let [reference, guide] = ["docs/API.md", "docs/frontend.md"]
        .map(|document| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap());
    let codes = reference.lines().find(|line| line.starts_with("GRAPHQL_PARSE_FAILED · ")).unwrap();
    let rows: String =
        guide.lines().filter(|line| line.starts_with("| ")).filter_map(|row| row.split(" | ").next()).collect();
    for code in codes.split(" · ") {
        assert!(rows.contains(code), "{code}");
    }
}

/// Runs a documented command whose output does not end; returns the payload of the first event.
async fn run_stream(address: SocketAddr, command: &str) -> Value {
    let mut curl = shell(address, command).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Ok(Value::Object(mut part)) = serde_json::from_str(&line)
            && let Some(payload) = part.remove("payload")
        {
            return payload;
        }
    }
    panic!("no event: {command}");
}

/// A documented command for the service at `address`, in a shell that knows the token. Replaces the shell, so that it
/// ends when it is dropped.
fn shell(address: SocketAddr, command: &str) -> Command {
    let command = ["127.0.0.1:8080", "localhost:8080"]
        .iter()
        .fold(format!("exec {command}"), |command, shown| command.replace(shown, &address.to_string()));
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("TOKEN", TOKEN).kill_on_drop(true);
    shell
}

/// The first event of a subscription; causes a change if the subscription sends only changes.
async fn first_event(service: &TestService, address: SocketAddr, query: &str) -> Value {
    let mut socket = Socket::open(address).await;
    socket.subscribe("1", query).await;
    if query.contains("predictionUpdates") {
        let active = [("field", "predictionUpdates")];
        until("the subscription is active", async || service.counted("cinegraph_subscriptions_active", &active) == 1)
            .await;
        let change = "UPDATE external_metrics SET value = value / 2 WHERE metric_type = 'rating_average'";
        sqlx::query(change).execute(&service.pool).await.unwrap();
        service.refresh_scores().await;
    }
    socket.next("1").await
}

/// Whether two values have the same fields and JSON types. Every element of a list is compared with every other.
fn same_shape(documented: &Value, got: &Value) -> bool {
    match (documented, got) {
        (Value::Object(documented), Value::Object(got)) => {
            documented.keys().eq(got.keys())
                && documented.iter().all(|(name, documented)| same_shape(documented, &got[name]))
        }
        (Value::Array(documented), Value::Array(got)) => {
            documented.iter().all(|documented| got.iter().all(|got| same_shape(documented, got)))
        }
        (documented, got) => std::mem::discriminant(documented) == std::mem::discriminant(got),
    }
}
