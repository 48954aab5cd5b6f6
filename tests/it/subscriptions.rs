//! Subscriptions: the protocol round a toy schema, then what predictions say over it.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_graphql::{EmptyMutation, Object, Schema, Subscription};
use axum::http::{Response, StatusCode};
use chrono::TimeDelta;
use cinegraph::config::AllowedOrigins;
use cinegraph::graphql::{OperationLimits, OperationPipeline};
use cinegraph::http::{
    ConnectionLimiter, ConnectionLimits, HttpLimits, HttpState, Probe, Readiness, WebSocketLimits, public, serve,
};
use cinegraph::telemetry::{Inventory, Metrics};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::cli::{Server, get};
use crate::support::{Film, NodeClient, Socket, TestService, until, url};

struct Toy;

#[Object]
impl Toy {
    async fn film(&self) -> &str {
        "Ran"
    }

    async fn never(&self) -> bool {
        pending().await
    }

    async fn panicking(&self) -> bool {
        break_down()
    }
}

fn break_down() -> bool {
    panic!("hunter2")
}

struct ToySubscription;

#[Subscription]
impl ToySubscription {
    async fn count(&self, to: u32) -> impl Stream<Item = u32> {
        stream::iter(1..=to)
    }

    async fn never(&self) -> impl Stream<Item = bool> {
        stream::pending()
    }

    async fn flood(&self) -> impl Stream<Item = String> {
        stream::repeat_with(|| "x".repeat(100_000)).then(async |text| {
            tokio::task::yield_now().await;
            text
        })
    }

    async fn breaking(&self) -> impl Stream<Item = bool> {
        stream::repeat_with(break_down)
    }
}

/// A listening service with the toy schema.
struct Shell {
    address: SocketAddr,
    metrics: Metrics,
    stop: CancellationToken,
    sockets: ConnectionLimiter,
}

impl Shell {
    async fn new() -> Self {
        Self::with(WebSocketLimits::default()).await
    }

    async fn with(limits: WebSocketLimits) -> Self {
        let metrics = Metrics::new(&Inventory::default()).unwrap();
        let stop = CancellationToken::new();
        let origins = AllowedOrigins::parse(["https://films.example"]).unwrap();
        let sockets = ConnectionLimiter::new(limits, origins, stop.clone(), metrics.clone());
        let schema = Schema::new(Toy, EmptyMutation, ToySubscription);
        let router = public(HttpState {
            pipeline: OperationPipeline::new(schema, metrics.clone(), OperationLimits::default()),
            metrics: metrics.clone(),
            probe: Probe::new(|| async { Readiness { ready: true, checks: vec![] } }),
            limits: HttpLimits::default(),
            origins: AllowedOrigins::default(),
            cors_headers: vec![],
            trusted_peers: vec![],
            sockets: sockets.clone(),
            data_dir: PathBuf::new(),
            explorer: None,
            runtime: Handle::current(),
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
        tokio::spawn(serve(listener, router, limits, runtimes, CancellationToken::new()));
        Self { address, metrics, stop, sockets }
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(series)).unwrap();
        value.trim().parse().unwrap()
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.metric(&format!("cinegraph_subscriptions_dropped_total{{reason=\"{reason}\"}}"))
    }

    fn running(&self) -> u64 {
        self.metric("graphql_server_request_active{graphql_operation_type=\"subscription\"}")
    }
}

fn refused(shaken: Result<Socket, Response<Option<Vec<u8>>>>) -> StatusCode {
    shaken.err().map_or(StatusCode::SWITCHING_PROTOCOLS, |response| response.status())
}

#[tokio::test]
async fn only_who_speaks_the_protocol_may_connect() {
    let shell = Shell::new().await;
    for (protocol, status) in
        [("graphql-transport-ws", 101), ("soap, graphql-transport-ws", 101), ("graphql-ws", 400), ("", 400)]
    {
        let shaken = Socket::shake_hands(shell.address, &[("sec-websocket-protocol", protocol)]).await;
        assert_eq!(refused(shaken).as_u16(), status, "{protocol}");
    }
    let shaken = Socket::shake_hands(shell.address, &[("upgrade", "h2c")]).await;
    assert_eq!(refused(shaken), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn pages_of_origins_that_are_not_allowed_are_told_the_setting() {
    let shell = Shell::new().await;
    let refused = Socket::shake_hands(shell.address, &[("origin", "https://elsewhere.example")]).await.err().unwrap();
    let body = String::from_utf8(refused.body().clone().unwrap_or_default()).unwrap();
    assert!(body.contains("https://elsewhere.example is not in the setting cors_allowed_origins"), "{body}");
}

#[tokio::test]
async fn only_pages_that_are_allowed_may_connect() {
    let shell = Shell::new().await;
    let (own, other_port) = (format!("http://{}", shell.address), format!("http://{}", shell.address.ip()));
    for (origin, status) in [
        (own.as_str(), 101),
        ("https://films.example", 101),
        ("", 101),
        (other_port.as_str(), 403),
        ("https://films.example.org", 403),
        ("http://films.example", 403),
        ("null", 403),
    ] {
        let shaken = Socket::shake_hands(shell.address, &[("origin", origin)]).await;
        assert_eq!(refused(shaken).as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn connections_are_limited_and_their_places_come_free() {
    let shell = Shell::with(WebSocketLimits { connections: 2, ..WebSocketLimits::default() }).await;
    let (one, _two) = (Socket::open(shell.address).await, Socket::open(shell.address).await);

    let refused = Socket::shake_hands(shell.address, &[]).await.err().unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    drop(one);

    until("the place is free", async || Socket::shake_hands(shell.address, &[]).await.is_ok()).await;
}

#[tokio::test]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let shell = Shell::new().await;
    let subscribe =
        |id: &str| json!({ "id": id, "type": "subscribe", "payload": { "query": "subscription { never }" } });
    let init = json!({ "type": "connection_init" });
    let long = json!({ "type": "ping", "payload": { "text": "x".repeat(300_000) } });
    let cases = [
        (vec![subscribe("1")], 4401, "Unauthorized"),
        (vec![init.clone(), init.clone()], 4429, "Too many initialisation requests"),
        (vec![init.clone(), subscribe("1"), subscribe("1")], 4409, "Subscriber already exists"),
        (vec![json!({ "type": "hello" })], 4400, "Bad request"),
        (vec![json!([])], 4400, "Bad request"),
        (vec![json!({ "type": "connection_init", "payload": 1 })], 4400, "Bad request"),
        (vec![json!({ "type": "next", "id": "1", "payload": {} })], 4400, "Bad request"),
        (vec![init.clone(), json!({ "type": "complete" })], 4400, "Bad request"),
        (vec![init.clone(), subscribe("")], 4400, "Bad request"),
        (vec![init.clone(), subscribe(&"x".repeat(300))], 4400, "Bad request"),
        (vec![init.clone(), json!({ "id": "1", "type": "subscribe", "payload": {} })], 4400, "Bad request"),
        (
            vec![init.clone(), json!({ "id": 1, "type": "subscribe", "payload": { "query": "{ film }" } })],
            4400,
            "Bad request",
        ),
        (vec![init.clone(), long], 4400, "Bad request"),
    ];
    for (messages, code, reason) in cases {
        let mut socket = Socket::connect(shell.address).await;
        for message in &messages {
            socket.say(message.clone()).await;
        }
        assert_eq!(socket.closed().await, (code, reason.to_owned()), "{messages:?}");
    }
    for message in [Message::text("nonsense"), Message::binary(init.to_string())] {
        let mut socket = Socket::connect(shell.address).await;
        socket.send(message).await;
        assert_eq!(socket.closed().await.0, 4400);
    }
}

#[tokio::test]
async fn who_does_not_introduce_himself_is_closed() {
    let shell = Shell::with(WebSocketLimits { init: Duration::from_millis(50), ..WebSocketLimits::default() }).await;
    let mut socket = Socket::connect(shell.address).await;
    socket.say(json!({ "type": "pong" })).await;
    assert_eq!(socket.closed().await, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn a_query_has_one_result_and_completes() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;

    for _ in 0..2 {
        socket.subscribe("a \"}", "{ film }").await;
        assert_eq!(socket.next("a \"}").await, json!({ "data": { "film": "Ran" } }));
        assert_eq!(socket.hear().await, json!({ "id": "a \"}", "type": "complete" }));
    }
    socket
        .say(json!({ "id": "b", "type": "subscribe", "payload": {
        "query": "query A { film } query B { __typename }", "operationName": "A", "variables": null,
        "extensions": null,
    } }))
        .await;
    assert_eq!(socket.next("b").await["data"]["film"], "Ran");
}

#[tokio::test]
async fn an_operation_that_cannot_be_executed_is_an_error_and_nothing_more() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    for (query, code) in [
        ("{ film", "GRAPHQL_PARSE_FAILED"),
        ("{ flim }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { flim }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: \"x\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { never count(to: 1) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: never b: never }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { ...F } fragment F on ToySubscription { never }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ panicking }", "INTERNAL"),
        ("subscription { breaking }", "INTERNAL"),
    ] {
        socket.subscribe("1", query).await;
        let message = socket.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("error")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}: {message}");
        assert!(!message.to_string().contains("hunter2"), "{message}");
    }
    // Nothing was said after the errors, and the connection goes on.
    socket.subscribe("1", "{ film }").await;
    socket.next("1").await;
    assert_eq!(shell.running(), 0);
}

#[tokio::test]
async fn a_subscription_has_many_results_and_completes() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    socket.subscribe("1", "subscription { count(to: 3) }").await;
    for number in 1..=3 {
        assert_eq!(socket.next("1").await, json!({ "data": { "count": number } }));
    }
    assert_eq!(socket.hear().await, json!({ "id": "1", "type": "complete" }));
}

#[tokio::test]
async fn what_the_client_completes_ends_without_an_echo() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    for _ in 0..3 {
        socket.subscribe("1", "subscription { never }").await;
        until("it runs", async || shell.running() == 1).await;
        socket.say(json!({ "id": "1", "type": "complete" })).await;
        until("it has ended", async || shell.running() == 0).await;
    }
    socket.say(json!({ "id": "2", "type": "complete" })).await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn pings_are_answered_with_what_they_carry() {
    let shell = Shell::new().await;
    let mut socket = Socket::connect(shell.address).await;
    socket.say(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    socket.say(json!({ "type": "pong", "payload": { "n": 1 } })).await;
    socket.say(json!({ "type": "ping", "payload": null })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn operations_of_a_connection_are_limited() {
    let shell = Shell::with(WebSocketLimits { subscriptions: 3, ..WebSocketLimits::default() }).await;
    let mut socket = Socket::open(shell.address).await;
    for id in ["1", "2", "3", "4"] {
        socket.subscribe(id, "subscription { never }").await;
    }
    let refusal = socket.hear().await;
    assert_eq!((&refusal["id"], &refusal["type"]), (&json!("4"), &json!("error")));
    assert_eq!(refusal["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    assert_eq!((shell.running(), shell.dropped("limit")), (3, 1));

    socket.say(json!({ "id": "2", "type": "complete" })).await;
    socket.subscribe("4", "{ film }").await;
    socket.next("4").await;
}

#[tokio::test]
async fn a_connection_that_is_lost_ends_its_operations() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    socket.subscribe("1", "subscription { never }").await;
    until("it runs", async || shell.running() == 1).await;
    drop(socket);
    until("it has ended", async || shell.running() == 0).await;
    assert_eq!([shell.dropped("error"), shell.dropped("shutdown"), shell.dropped("slow")], [0; 3]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let limits = WebSocketLimits { slow_after: Duration::from_millis(300), ..WebSocketLimits::default() };
    let shell = Shell::with(limits).await;
    let mut socket = Socket::open(shell.address).await;
    socket.subscribe("1", "subscription { flood }").await;
    socket.subscribe("2", "subscription { flood }").await;

    until("it is dropped", async || shell.dropped("slow") == 2).await;
    assert_eq!(shell.running(), 0);
    assert_eq!(socket.closed().await, (4410, "Too slow".to_owned()));
}

#[tokio::test]
async fn who_is_silent_is_pinged_and_who_does_not_answer_is_dropped() {
    let shell =
        Shell::with(WebSocketLimits { silence: Duration::from_millis(100), ..WebSocketLimits::default() }).await;
    let (mut alive, mut dead) = (Socket::open(shell.address).await, Socket::open(shell.address).await);
    for socket in [&mut alive, &mut dead] {
        socket.subscribe("1", "subscription { never }").await;
    }
    until("both run", async || shell.running() == 2).await;
    let alive = tokio::spawn(async move { alive.idle().await });

    until("one is dropped", async || shell.dropped("error") == 1).await;
    until("one runs", async || shell.running() == 1).await;
    assert!(!alive.is_finished());
    alive.abort();
}

#[tokio::test]
async fn when_we_stop_clients_are_told_and_none_may_come() {
    let shell = Shell::new().await;
    let mut sockets = [Socket::open(shell.address).await, Socket::open(shell.address).await];
    sockets[0].subscribe("1", "subscription { never }").await;
    until("it runs", async || shell.running() == 1).await;

    shell.stop.cancel();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, (1001, "Going away".to_owned()));
    }
    assert_eq!(refused(Socket::shake_hands(shell.address, &[]).await), StatusCode::SERVICE_UNAVAILABLE);
    shell.sockets.closed().await;
    assert_eq!((shell.dropped("shutdown"), shell.running()), (1, 0));
}

/// Films of the nineties, best first: "0" is rated 9.9, each next one 0.1 less.
async fn nineties(pool: PgPool, films: u32) -> TestService {
    let service = TestService::on(pool).await;
    for i in 0..films {
        let rating = 9.9 - f64::from(i) / 10.0;
        Film::new(&i.to_string()).released("1994-05-01").rated(rating, rating).insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

/// Rates a film anew and computes its score, as the drain does.
async fn rate(service: &TestService, title: &str, rating: f64) {
    sqlx::query(
        "UPDATE external_metrics SET value = $2 WHERE metric_type = 'rating_average'
         AND movie_id = (SELECT id FROM movies WHERE title = $1)",
    )
    .bind(title)
    .bind(rating)
    .execute(&service.pool)
    .await
    .unwrap();
    cinegraph::services::refresh::scores(&service.store, &mut |_| ()).await.unwrap();
}

fn titles(predictions: &Value) -> Vec<&str> {
    predictions.as_array().unwrap().iter().map(|film| film["movie"]["title"].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn a_stream_is_the_whole_ranking_in_batches(pool: PgPool) {
    let service = nineties(pool, 23).await;
    let mut socket = Socket::open(service.listen().await).await;
    let whole =
        service.data("{ predictions(decade: 1990, first: 100) { nodes { rank score movie { title } } } }").await;
    let whole = whole["predictions"]["nodes"].as_array().unwrap();
    for (limit, size) in [(2000, 100), (2000, 5), (20, 5), (21, 5), (1, 1), (3, 100)] {
        let query = format!(
            "subscription {{ predictionStream(decade: 1990, limit: {limit}, batchSize: {size}) \
             {{ received total complete stale predictions {{ rank score movie {{ title }} }} }} }}"
        );
        socket.subscribe("1", &query).await;
        let (mut joined, total) = (Vec::new(), limit.min(23));
        while joined.len() < total {
            let batch = socket.next("1").await["data"]["predictionStream"].take();
            let films = batch["predictions"].as_array().unwrap();
            assert_eq!(films.len(), size.min(total - joined.len()), "{batch:#}");
            joined.extend(films.iter().cloned());
            assert_eq!(batch["received"], joined.len(), "{batch:#}");
            assert_eq!((&batch["total"], &batch["stale"]), (&json!(total), &json!(false)), "{batch:#}");
            assert_eq!(batch["complete"], joined.len() == total, "{batch:#}");
        }
        assert_eq!(joined, whole[..total], "limit {limit}, batches of {size}");
        assert_eq!(socket.hear().await, json!({ "id": "1", "type": "complete" }));
    }
}

#[sqlx::test(migrations = false)]
async fn a_stream_of_nothing_is_one_empty_batch(pool: PgPool) {
    let service = nineties(pool, 1).await;
    let mut socket = Socket::open(service.listen().await).await;
    socket
        .subscribe(
            "1",
            "subscription { predictionStream(decade: 1890) { received total complete predictions { id } } }",
        )
        .await;
    let batch = json!({ "received": 0, "total": 0, "complete": true, "predictions": [] });
    assert_eq!(socket.next("1").await, json!({ "data": { "predictionStream": batch } }));
    assert_eq!(socket.hear().await["type"], "complete");
}

#[sqlx::test(migrations = false)]
async fn what_is_in_memory_is_streamed_without_a_statement(pool: PgPool) {
    let service = nineties(pool, 10).await;
    let mut socket = Socket::open(service.listen().await).await;
    let mut stream = async || {
        socket
            .subscribe("1", "subscription { predictionStream(decade: 1990, batchSize: 4) { predictions { score } } }")
            .await;
        while socket.hear().await["type"] == "next" {}
    };
    stream().await;
    let statements = service.statements();
    stream().await;
    assert_eq!(service.statements(), statements);
}

#[sqlx::test(migrations = false)]
async fn a_stream_says_when_newer_scores_are_on_their_way(pool: PgPool) {
    let service = nineties(pool, 3).await;
    let mut socket = Socket::open(service.listen().await).await;
    let mut first = async || {
        socket
            .subscribe("1", "subscription { predictionStream(decade: 1990) { stale predictions { movie { title } } } }")
            .await;
        let batch = socket.next("1").await["data"]["predictionStream"].take();
        assert_eq!(socket.hear().await["type"], "complete");
        (batch["stale"].as_bool().unwrap(), titles(&batch["predictions"]).join(""))
    };
    assert_eq!(first().await, (false, "012".into()));
    rate(&service, "2", 10.0).await;
    service.see_changes().await;
    service.later(TimeDelta::seconds(6));
    assert_eq!(first().await, (true, "012".into()));
    until("the new scores are there", async || first().await == (false, "201".into())).await;
}

#[sqlx::test(migrations = false)]
async fn arguments_that_cannot_be_are_refused_by_name(pool: PgPool) {
    let service = nineties(pool, 1).await;
    let mut socket = Socket::open(service.listen().await).await;
    for (field, code, argument) in [
        ("predictionStream(limit: 0) { total }", "BAD_USER_INPUT", "limit"),
        ("predictionStream(limit: 2001) { total }", "BAD_USER_INPUT", "limit"),
        ("predictionStream(batchSize: 0) { total }", "BAD_USER_INPUT", "batchSize"),
        ("predictionStream(batchSize: 101) { total }", "BAD_USER_INPUT", "batchSize"),
        ("predictionStream(decade: 1995) { total }", "BAD_USER_INPUT", "decade"),
        ("predictionStream(list: \"none\") { total }", "NOT_FOUND", "list"),
        ("predictionStream(profile: \"none\") { total }", "NOT_FOUND", "profile"),
        ("predictionUpdates(top: 0) { kind }", "BAD_USER_INPUT", "top"),
        ("predictionUpdates(top: 501) { kind }", "BAD_USER_INPUT", "top"),
        ("predictionUpdates(decade: 1995) { kind }", "BAD_USER_INPUT", "decade"),
        ("predictionUpdates(list: \"none\") { kind }", "NOT_FOUND", "list"),
        ("predictionUpdates(profile: \"none\") { kind }", "NOT_FOUND", "profile"),
    ] {
        socket.subscribe("1", &format!("subscription {{ {field} }}")).await;
        let message = socket.hear().await;
        assert_eq!(message["type"], "error", "{field}: {message:#}");
        let extensions = &message["payload"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(argument)), "{message:#}");
    }
    let credits = "credits(first: 100) { nodes { person { name } } }";
    let deep = format!(
        "predictionStream(batchSize: 100) {{ predictions {{ movie {{ a: {credits} b: {credits} c: {credits} }} }} }}"
    );
    socket.subscribe("1", &format!("subscription {{ {deep} }}")).await;
    let message = socket.hear().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{message:#}");
    assert!(message["payload"][0]["extensions"]["cost"]["requested"].is_u64(), "{message:#}");
}

const UPDATES: &str = "subscription { predictionUpdates(decade: 1990, top: 3) \
                       { kind previousRank dataVersion prediction { rank score movie { title } } } }";

async fn update(socket: &mut Socket, id: &str) -> (String, String, Value, Value) {
    let update = socket.next(id).await["data"]["predictionUpdates"].take();
    let film = &update["prediction"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&update["kind"]), text(&film["movie"]["title"]), update["previousRank"].clone(), film["rank"].clone())
}

fn told(kind: &str, title: &str, previous: impl Into<Value>, rank: impl Into<Value>) -> (String, String, Value, Value) {
    (kind.into(), title.into(), previous.into(), rank.into())
}

/// Subscribes and waits until the subscription follows.
async fn follow(service: &TestService, socket: &mut Socket, id: &str, query: &str) {
    let active = || service.counted("cinegraph_subscriptions_active", &[("field", "predictionUpdates")]);
    let before = active();
    socket.subscribe(id, query).await;
    until("it is followed", async || active() == before + 1).await;
}

#[sqlx::test(migrations = false)]
async fn what_changes_among_the_best_is_told(pool: PgPool) {
    let service = nineties(pool, 6).await;
    service.follow_versions();
    let mut socket = Socket::open(service.listen().await).await;
    follow(&service, &mut socket, "1", UPDATES).await;

    rate(&service, "5", 9.95).await;
    let mut updates = Vec::new();
    for _ in 0..4 {
        updates.push(update(&mut socket, "1").await);
    }
    let expected = [
        told("LEFT", "2", 3, 4),
        told("ENTERED", "5", Value::Null, 1),
        told("MOVED", "0", 1, 2),
        told("MOVED", "1", 2, 3),
    ];
    assert_eq!(updates, expected);

    // Also within the seconds in which other answers may be kept; no time has passed here.
    rate(&service, "5", 9.96).await;
    assert_eq!(update(&mut socket, "1").await, told("RESCORED", "5", 1, 1));

    // Of no concern to the first three.
    rate(&service, "4", 1.0).await;
    service.see_changes().await;
    sqlx::query("UPDATE movies SET canonical_sources = '{\"1001_movies\": {\"included\": true}}' WHERE title = '5'")
        .execute(&service.pool)
        .await
        .unwrap();
    service.refresh_scores().await;
    let mut updates = Vec::new();
    for _ in 0..4 {
        updates.push(update(&mut socket, "1").await);
    }
    let expected = [
        told("LEFT", "5", 1, Value::Null),
        told("MOVED", "0", 2, 1),
        told("MOVED", "1", 3, 2),
        told("ENTERED", "2", Value::Null, 3),
    ];
    assert_eq!(updates, expected);
}

#[sqlx::test(migrations = false)]
async fn a_changed_profile_is_a_change_and_one_that_is_gone_an_end(pool: PgPool) {
    let service = nineties(pool, 3).await;
    service.follow_versions();
    let mut socket = Socket::open(service.listen().await).await;
    let raise = async |change: &'static str| {
        let mut transaction = service.pool.begin().await.unwrap();
        sqlx::query(change).execute(&mut *transaction).await.unwrap();
        sqlx::query("SELECT cinegraph.raise_version('profiles', '', 0, true)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    };
    let query = UPDATES.replace("decade", "profile: \"Cult Classic\", decade");
    follow(&service, &mut socket, "1", &query).await;

    raise("UPDATE metric_weight_profiles SET category_weights = '{\"ratings\": 1, \"awards\": 0, \"cultural\": 0, \"people\": 0}'
           WHERE name = 'Cult Classic'")
    .await;
    for (rank, title) in ["0", "1", "2"].into_iter().enumerate() {
        assert_eq!(update(&mut socket, "1").await, told("RESCORED", title, rank + 1, rank + 1));
    }
    raise("UPDATE metric_weight_profiles SET active = false WHERE name = 'Cult Classic'").await;
    let end = socket.hear().await;
    assert_eq!(
        (&end["type"], &end["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("NOT_FOUND")),
        "{end:#}"
    );
    let active = [("field", "predictionUpdates")];
    until("it is over", async || service.counted("cinegraph_subscriptions_active", &active) == 0).await;
    assert_eq!(service.counted("cinegraph_subscriptions_dropped_total", &[("reason", "error")]), 1);
}

#[sqlx::test(migrations = false)]
async fn a_change_is_loaded_once_for_all_who_follow(pool: PgPool) {
    let service = nineties(pool, 4).await;
    service.follow_versions();
    let address = service.listen().await;
    let mut sockets = [Socket::open(address).await, Socket::open(address).await];
    for socket in &mut sockets {
        for id in 0..20 {
            follow(&service, socket, &id.to_string(), "subscription { predictionUpdates(decade: 1990) { kind } }")
                .await;
        }
    }
    let columns = [("query_name", "columns_from_table")];
    let loads = || service.counted("db_client_operation_duration_seconds_count", &columns);
    assert_eq!(loads(), 1);
    rate(&service, "3", 1.0).await;
    for socket in &mut sockets {
        for _ in 0..20 {
            assert_eq!(socket.hear().await["payload"]["data"]["predictionUpdates"]["kind"], "RESCORED");
        }
    }
    assert_eq!(loads(), 2);
}

#[sqlx::test(migrations = false)]
async fn an_event_shows_details_as_they_are_then(pool: PgPool) {
    let service = nineties(pool, 2).await;
    service.follow_versions();
    let mut socket = Socket::open(service.listen().await).await;
    follow(&service, &mut socket, "1", UPDATES).await;
    rate(&service, "0", 9.95).await;
    assert_eq!(update(&mut socket, "1").await.1, "0");

    service.later(TimeDelta::days(1));
    sqlx::query("UPDATE movies SET title = 'Zero' WHERE title = '0'").execute(&service.pool).await.unwrap();
    rate(&service, "Zero", 9.96).await;
    assert_eq!(update(&mut socket, "1").await.1, "Zero");
}

#[sqlx::test(migrations = false)]
async fn a_client_of_frontends_is_served_by_the_program(pool: PgPool) {
    let service = nineties(pool.clone(), 3).await;
    let mut server = Server::start(&url(&pool));
    let film = |rank: u32, title: &str| json!({ "rank": rank, "movie": { "title": title } });
    let mut client = NodeClient::start("ws", &[&format!("ws://{}/graphql/ws", server.public)]).await;

    let query = json!([{ "data": { "predictions": { "nodes": [film(1, "0"), film(2, "1")] } } }]);
    assert_eq!(client.tells("query").await, query);
    let batch = |received: u32, films: &[Value]| {
        let complete = received == 3;
        json!({ "data": { "predictionStream": { "received": received, "total": 3, "complete": complete, "predictions": films } } })
    };
    let stream = json!([batch(2, &[film(1, "0"), film(2, "1")]), batch(3, &[film(3, "2")])]);
    assert_eq!(client.tells("stream").await, stream);
    assert_eq!(client.tells("refused").await, json!([{ "refused": ["BAD_USER_INPUT"] }]));

    let active = |count: u32| format!("cinegraph_subscriptions_active{{field=\"predictionUpdates\"}} {count}\n");
    until("it is followed", async || get(&server.admin, "/metrics").1.contains(&active(1))).await;
    rate(&service, "2", 10.0).await;
    let left = json!({ "kind": "LEFT", "previousRank": 1, "prediction": film(2, "0") });
    assert_eq!(client.tells("update").await, json!({ "data": { "predictionUpdates": left } }));
    until("it is completed", async || get(&server.admin, "/metrics").1.contains(&active(0))).await;
    client.tells("pong").await;

    assert_eq!(server.stop(), Some(0));
    let closed = json!({ "code": 1001, "reason": "Going away", "clean": true });
    assert_eq!(client.tells("closed").await, closed);
}
