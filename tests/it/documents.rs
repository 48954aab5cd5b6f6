//! The documents: what they ask is asked as it stands there, and answered in the shape that they show.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::process::Command;

use crate::support::{Socket, TestService, until};

const TOKEN: &str = "a-token-for-those-who-read-the-documents";

/// A fenced block of a document.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    // Every second part of the text stands between fences.
    let fenced = text.split("```").skip(1).step_by(2);
    let block = |(language, text): (&str, &str)| Block { language: language.into(), text: text.into() };
    fenced.map(|fenced| block(fenced.split_once('\n').unwrap())).collect()
}

#[sqlx::test(migrations = false)]
async fn what_the_documents_ask_is_answered(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokens"), TOKEN).unwrap();
    let service = TestService::administered(pool, None, &folder.path().join("tokens")).await;
    service.fill(300).await;
    service.follow_versions();
    let address = service.listen().await;
    for (document, operations, answers) in [("README.md", 1, 1), ("docs/API.md", 7, 0)] {
        let (mut asked, mut compared, mut last) = (0, 0, None);
        for Block { language, text } in blocks(document) {
            let answer = match language.as_str() {
                "graphql" if text.starts_with("subscription") => subscribed(&service, address, &text).await,
                "graphql" => service.ask(&text, json!({})).await,
                "sh" if text.contains("/graphql") => typed(address, &text).await,
                "json" => {
                    let told: Value = serde_json::from_str(&text).unwrap();
                    let answer: Value = last.take().expect("an operation stands before its answer");
                    assert!(same_shape(&told, &answer), "{document} shows {told:#}\nand got {answer:#}");
                    compared += 1;
                    continue;
                }
                _ => continue,
            };
            asked += 1;
            let fields = answer["data"].as_object().unwrap_or_else(|| panic!("{document}: {text}\n{answer:#}"));
            assert!(answer.get("errors").is_none(), "{document}: {text}\n{answer:#}");
            assert!(fields.values().all(|value| !value.is_null()), "{document}: {text}\n{answer:#}");
            last = Some(answer);
        }
        assert_eq!((asked, compared), (operations, answers), "{document}");
    }
}

/// What a command prints that somebody types who has a token.
async fn typed(address: SocketAddr, command: &str) -> Value {
    let command = ["127.0.0.1:8080", "localhost:8080"]
        .iter()
        .fold(command.to_owned(), |command, shown| command.replace(shown, &address.to_string()));
    let output = Command::new("sh").args(["-c", &command]).env("TOKEN", TOKEN).output().await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {command}\n{output:?}"))
}

/// The first result of a subscription; one that only tells of changes is given some.
async fn subscribed(service: &TestService, address: SocketAddr, query: &str) -> Value {
    let mut socket = Socket::open(address).await;
    socket.subscribe("1", query).await;
    if query.contains("predictionUpdates") {
        let active = [("field", "predictionUpdates")];
        until("it is followed", async || service.counted("cinegraph_subscriptions_active", &active) == 1).await;
        let change = "UPDATE external_metrics SET value = value / 2 WHERE metric_type = 'rating_average'";
        sqlx::query(change).execute(&service.pool).await.unwrap();
        service.refresh_scores().await;
    }
    socket.next("1").await
}

/// Whether two values have the same fields of the same kinds; a list is as each of its values.
fn same_shape(told: &Value, got: &Value) -> bool {
    match (told, got) {
        (Value::Object(told), Value::Object(got)) => {
            told.keys().eq(got.keys()) && told.iter().all(|(name, told)| same_shape(told, &got[name]))
        }
        (Value::Array(told), Value::Array(got)) => told.iter().all(|told| got.iter().all(|got| same_shape(told, got))),
        (told, got) => std::mem::discriminant(told) == std::mem::discriminant(got),
    }
}
