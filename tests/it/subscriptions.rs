//! Subscriptions: the WebSocket protocol with a toy schema, then the prediction subscriptions.

mod multipart;

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_graphql::{EmptyMutation, Object, Schema, Subscription};
use axum::http::{Response, StatusCode};
use chrono::TimeDelta;
use cinegraph::config::AllowedOrigins;
use cinegraph::graphql::{GraphqlMetrics, OperationLimits, OperationPipeline};
use cinegraph::http::{
    ConnectionLimiter, ConnectionLimits, HttpLimits, HttpMetrics, HttpState, Probe, Readiness, TrustedPeers,
    WebSocketLimits, public, serve,
};
use cinegraph::telemetry::{Recorder, log_panics};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::cli::{Server, get};
use crate::http::Log;
use crate::support::{Movie, NodeClient, Socket, TestService, until, url};

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
    recorder: Recorder,
    stop: CancellationToken,
    websocket_limiter: ConnectionLimiter,
}

impl Shell {
    async fn new() -> Self {
        Self::with(WebSocketLimits::default()).await
    }

    async fn with(limits: WebSocketLimits) -> Self {
        let recorder = Recorder::new().unwrap();
        let metrics = GraphqlMetrics::new(&recorder, &[], &[], &[]);
        let stop = CancellationToken::new();
        let websocket_limiter = ConnectionLimiter::new(limits, stop.clone());
        let schema = Schema::new(Toy, EmptyMutation, ToySubscription);
        let router = public(HttpState {
            pipeline: OperationPipeline::new(schema, metrics.clone(), OperationLimits::default()),
            metrics: HttpMetrics::new(&recorder, metrics),
            probe: Probe::new(|| async { Readiness { ready: true, checks: vec![] } }),
            limits: HttpLimits::default(),
            origins: AllowedOrigins::parse(["https://films.example"]).unwrap(),
            cors_headers: vec![],
            trusted_peers: TrustedPeers::default(),
            websocket_limiter: websocket_limiter.clone(),
            data_dir: PathBuf::new(),
            posters: None,
            public_url: None,
            explorer: None,
            runtime: Handle::current(),
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (limits, runtimes) = (ConnectionLimits::default(), vec![Handle::current()]);
        tokio::spawn(serve(listener, router, limits, runtimes, CancellationToken::new()));
        Self { address, recorder, stop, websocket_limiter }
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.recorder.render();
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
async fn connections_without_the_subprotocol_are_rejected() {
    let shell = Shell::new().await;
    for (protocol, status) in
        [("graphql-transport-ws", 101), ("soap, graphql-transport-ws", 101), ("graphql-ws", 400), ("", 400)]
    {
        let shaken = Socket::handshake(shell.address, &[("sec-websocket-protocol", protocol)]).await;
        assert_eq!(refused(shaken).as_u16(), status, "{protocol}");
    }
    let shaken = Socket::handshake(shell.address, &[("upgrade", "h2c")]).await;
    assert_eq!(refused(shaken), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn rejected_origin_gets_the_name_of_the_setting() {
    let shell = Shell::new().await;
    let refused = Socket::handshake(shell.address, &[("origin", "https://elsewhere.example")]).await.err().unwrap();
    let body = String::from_utf8(refused.body().clone().unwrap_or_default()).unwrap();
    assert!(body.contains("https://elsewhere.example is not in the setting cors_allowed_origins"), "{body}");
}

#[tokio::test]
async fn only_allowed_origins_may_connect() {
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
        let shaken = Socket::handshake(shell.address, &[("origin", origin)]).await;
        assert_eq!(refused(shaken).as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn connections_are_limited_and_permits_are_released() {
    let shell = Shell::with(WebSocketLimits { connections: 2, ..WebSocketLimits::default() }).await;
    let (one, _two) = (Socket::open(shell.address).await, Socket::open(shell.address).await);

    let refused = Socket::handshake(shell.address, &[]).await.err().unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    drop(one);

    until("the permit is released", async || Socket::handshake(shell.address, &[]).await.is_ok()).await;
}

#[tokio::test]
async fn every_protocol_violation_has_its_close_code() {
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
            socket.send_json(message.clone()).await;
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
async fn missing_connection_init_closes_4408() {
    let shell =
        Shell::with(WebSocketLimits { init_timeout: Duration::from_millis(50), ..WebSocketLimits::default() }).await;
    let mut socket = Socket::connect(shell.address).await;
    socket.send_json(json!({ "type": "pong" })).await;
    assert_eq!(socket.closed().await, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn a_query_has_one_result_and_completes() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;

    for _ in 0..2 {
        socket.subscribe("a \"}", "{ film }").await;
        assert_eq!(socket.next("a \"}").await, json!({ "data": { "film": "Ran" } }));
        assert_eq!(socket.receive().await, json!({ "id": "a \"}", "type": "complete" }));
    }
    socket
        .send_json(json!({ "id": "b", "type": "subscribe", "payload": {
        "query": "query A { film } query B { __typename }", "operationName": "A", "variables": null,
        "extensions": null,
    } }))
        .await;
    assert_eq!(socket.next("b").await["data"]["film"], "Ran");
}

#[tokio::test]
async fn rejected_operation_sends_one_error_and_nothing_else() {
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
        let message = socket.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("error")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}: {message}");
        assert!(!message.to_string().contains("hunter2"), "{message}");
    }
    // No message follows the error, and the connection stays usable.
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
    assert_eq!(socket.receive().await, json!({ "id": "1", "type": "complete" }));
}

#[tokio::test]
async fn client_complete_ends_the_operation_without_a_reply() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    for _ in 0..3 {
        socket.subscribe("1", "subscription { never }").await;
        until("the operation runs", async || shell.running() == 1).await;
        socket.send_json(json!({ "id": "1", "type": "complete" })).await;
        until("the operation has ended", async || shell.running() == 0).await;
    }
    socket.send_json(json!({ "id": "2", "type": "complete" })).await;
    socket.send_json(json!({ "type": "ping" })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn pong_carries_the_payload_of_the_ping() {
    let shell = Shell::new().await;
    let mut socket = Socket::connect(shell.address).await;
    socket.send_json(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    socket.send_json(json!({ "type": "pong", "payload": { "n": 1 } })).await;
    socket.send_json(json!({ "type": "ping", "payload": null })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn operations_of_a_connection_are_limited() {
    let shell = Shell::with(WebSocketLimits { subscriptions: 3, ..WebSocketLimits::default() }).await;
    let mut socket = Socket::open(shell.address).await;
    for id in ["1", "2", "3", "4"] {
        socket.subscribe(id, "subscription { never }").await;
    }
    let refusal = socket.receive().await;
    assert_eq!((&refusal["id"], &refusal["type"]), (&json!("4"), &json!("error")));
    assert_eq!(refusal["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    assert_eq!((shell.running(), shell.dropped("limit")), (3, 1));

    socket.send_json(json!({ "id": "2", "type": "complete" })).await;
    socket.subscribe("4", "{ film }").await;
    socket.next("4").await;
}

#[tokio::test]
async fn lost_connection_ends_its_operations() {
    let shell = Shell::new().await;
    let mut socket = Socket::open(shell.address).await;
    socket.subscribe("1", "subscription { never }").await;
    until("the operation runs", async || shell.running() == 1).await;
    drop(socket);
    until("the operation has ended", async || shell.running() == 0).await;
    assert_eq!([shell.dropped("error"), shell.dropped("shutdown"), shell.dropped("slow")], [0; 3]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let limits = WebSocketLimits { slow_after: Duration::from_millis(300), ..WebSocketLimits::default() };
    let shell = Shell::with(limits).await;
    let mut socket = Socket::open(shell.address).await;
    socket.subscribe("1", "subscription { flood }").await;
    socket.subscribe("2", "subscription { flood }").await;

    until("the connection is dropped", async || shell.dropped("slow") == 2).await;
    assert_eq!(shell.running(), 0);
    assert_eq!(socket.closed().await, (4410, "Too slow".to_owned()));
}

#[tokio::test]
async fn idle_connection_is_pinged_and_dropped_without_a_pong() {
    let shell =
        Shell::with(WebSocketLimits { idle_timeout: Duration::from_millis(100), ..WebSocketLimits::default() }).await;
    let (mut alive, mut dead) = (Socket::open(shell.address).await, Socket::open(shell.address).await);
    for socket in [&mut alive, &mut dead] {
        socket.subscribe("1", "subscription { never }").await;
    }
    until("both operations run", async || shell.running() == 2).await;
    let alive = tokio::spawn(async move { alive.idle().await });

    until("one connection is dropped", async || shell.dropped("error") == 1).await;
    until("one operation runs", async || shell.running() == 1).await;
    assert!(!alive.is_finished());
    alive.abort();
}

#[tokio::test]
async fn shutdown_closes_connections_and_rejects_new_ones() {
    let shell = Shell::new().await;
    let mut sockets = [Socket::open(shell.address).await, Socket::open(shell.address).await];
    sockets[0].subscribe("1", "subscription { never }").await;
    until("the operation runs", async || shell.running() == 1).await;

    shell.stop.cancel();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, (1001, "Going away".to_owned()));
    }
    assert_eq!(refused(Socket::handshake(shell.address, &[]).await), StatusCode::SERVICE_UNAVAILABLE);
    shell.websocket_limiter.closed().await;
    assert_eq!((shell.dropped("shutdown"), shell.running()), (1, 0));
}

/// Movies of the 1990s, best first: "0" is rated 9.9, each next one 0.1 less.
async fn nineties(pool: PgPool, movies: u32) -> TestService {
    let service = TestService::on(pool).await;
    for i in 0..movies {
        let rating = 9.9 - f64::from(i) / 10.0;
        Movie::new(&i.to_string()).released("1994-05-01").rated(rating, rating).insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

/// Changes the rating of a movie and recomputes its score, as the drain does.
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
    predictions.as_array().unwrap().iter().map(|prediction| prediction["movie"]["title"].as_str().unwrap()).collect()
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
            let predictions = batch["predictions"].as_array().unwrap();
            assert_eq!(predictions.len(), size.min(total - joined.len()), "{batch:#}");
            joined.extend(predictions.iter().cloned());
            assert_eq!(batch["received"], joined.len(), "{batch:#}");
            assert_eq!((&batch["total"], &batch["stale"]), (&json!(total), &json!(false)), "{batch:#}");
            assert_eq!(batch["complete"], joined.len() == total, "{batch:#}");
        }
        assert_eq!(joined, whole[..total], "limit {limit}, batches of {size}");
        assert_eq!(socket.receive().await, json!({ "id": "1", "type": "complete" }));
    }
}

#[sqlx::test(migrations = false)]
async fn empty_stream_is_one_empty_batch(pool: PgPool) {
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
    assert_eq!(socket.receive().await["type"], "complete");
}

#[sqlx::test(migrations = false)]
async fn cached_ranking_is_streamed_without_a_statement(pool: PgPool) {
    let service = nineties(pool, 10).await;
    let mut socket = Socket::open(service.listen().await).await;
    let mut stream = async || {
        socket
            .subscribe("1", "subscription { predictionStream(decade: 1990, batchSize: 4) { predictions { score } } }")
            .await;
        while socket.receive().await["type"] == "next" {}
    };
    stream().await;
    let statements = service.statements();
    stream().await;
    assert_eq!(service.statements(), statements);
}

#[sqlx::test(migrations = false)]
async fn stream_is_marked_stale_while_newer_scores_load(pool: PgPool) {
    let service = nineties(pool, 3).await;
    let mut socket = Socket::open(service.listen().await).await;
    let mut first = async || {
        socket
            .subscribe("1", "subscription { predictionStream(decade: 1990) { stale predictions { movie { title } } } }")
            .await;
        let batch = socket.next("1").await["data"]["predictionStream"].take();
        assert_eq!(socket.receive().await["type"], "complete");
        (batch["stale"].as_bool().unwrap(), titles(&batch["predictions"]).join(""))
    };
    assert_eq!(first().await, (false, "012".into()));
    rate(&service, "2", 10.0).await;
    service.see_changes().await;
    service.later(TimeDelta::seconds(6));
    assert_eq!(first().await, (true, "012".into()));
    until("the new scores are served", async || first().await == (false, "201".into())).await;
}

#[sqlx::test(migrations = false)]
async fn invalid_arguments_are_rejected_by_name(pool: PgPool) {
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
        let message = socket.receive().await;
        assert_eq!(message["type"], "error", "{field}: {message:#}");
        let extensions = &message["payload"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(argument)), "{message:#}");
    }
    let credits = "credits(first: 100) { nodes { person { name } } }";
    let deep = format!(
        "predictionStream(batchSize: 100) {{ predictions {{ movie {{ a: {credits} b: {credits} c: {credits} }} }} }}"
    );
    socket.subscribe("1", &format!("subscription {{ {deep} }}")).await;
    let message = socket.receive().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{message:#}");
    assert!(message["payload"][0]["extensions"]["cost"]["requested"].is_u64(), "{message:#}");
}

const UPDATES: &str = "subscription { predictionUpdates(decade: 1990, top: 3) \
                       { kind previousRank dataVersion prediction { rank score movie { title } } } }";

async fn update(socket: &mut Socket, id: &str) -> (String, String, Value, Value) {
    let update = socket.next(id).await["data"]["predictionUpdates"].take();
    let prediction = &update["prediction"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&update["kind"]),
        text(&prediction["movie"]["title"]),
        update["previousRank"].clone(),
        prediction["rank"].clone(),
    )
}

fn expected_update(
    kind: &str,
    title: &str,
    previous: impl Into<Value>,
    rank: impl Into<Value>,
) -> (String, String, Value, Value) {
    (kind.into(), title.into(), previous.into(), rank.into())
}

/// Subscribes and waits until the subscription is active.
async fn follow(service: &TestService, socket: &mut Socket, id: &str, query: &str) {
    let active = || service.counted("cinegraph_subscriptions_active", &[("field", "predictionUpdates")]);
    let before = active();
    socket.subscribe(id, query).await;
    until("the subscription is active", async || active() == before + 1).await;
}

#[sqlx::test(migrations = false)]
async fn changes_among_the_top_movies_are_sent(pool: PgPool) {
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
        expected_update("LEFT", "2", 3, 4),
        expected_update("ENTERED", "5", Value::Null, 1),
        expected_update("MOVED", "0", 1, 2),
        expected_update("MOVED", "1", 2, 3),
    ];
    assert_eq!(updates, expected);

    // Updates skip the window in which other responses count as fresh: the clock has not advanced.
    rate(&service, "5", 9.96).await;
    assert_eq!(update(&mut socket, "1").await, expected_update("RESCORED", "5", 1, 1));

    // No change among the top three.
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
        expected_update("LEFT", "5", 1, Value::Null),
        expected_update("MOVED", "0", 2, 1),
        expected_update("MOVED", "1", 3, 2),
        expected_update("ENTERED", "2", Value::Null, 3),
    ];
    assert_eq!(updates, expected);
}

#[sqlx::test(migrations = false)]
async fn changed_profile_sends_updates_and_deleted_profile_ends_the_stream(pool: PgPool) {
    let service = nineties(pool, 3).await;
    // Lets another criterion count, so that other weights are other scores.
    Movie::new("Elsewhere").released("1984-05-01").popularity(9.0).insert(&service.pool).await;
    service.refresh().await;
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
        assert_eq!(update(&mut socket, "1").await, expected_update("RESCORED", title, rank + 1, rank + 1));
    }
    raise("UPDATE metric_weight_profiles SET active = false WHERE name = 'Cult Classic'").await;
    let end = socket.receive().await;
    assert_eq!(
        (&end["type"], &end["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("NOT_FOUND")),
        "{end:#}"
    );
    let active = [("field", "predictionUpdates")];
    until("the subscription has ended", async || service.counted("cinegraph_subscriptions_active", &active) == 0).await;
    assert_eq!(service.counted("cinegraph_subscriptions_dropped_total", &[("reason", "error")]), 1);
}

#[sqlx::test(migrations = false)]
async fn change_is_loaded_once_for_all_subscribers(pool: PgPool) {
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
            assert_eq!(socket.receive().await["payload"]["data"]["predictionUpdates"]["kind"], "RESCORED");
        }
    }
    assert_eq!(loads(), 2);
}

#[sqlx::test(migrations = false)]
async fn event_carries_current_details(pool: PgPool) {
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

fn prediction(rank: u32, title: &str) -> Value {
    json!({ "rank": rank, "movie": { "title": title } })
}

/// The line of the metrics for this number of active subscriptions.
fn active_updates(count: u32) -> String {
    format!("cinegraph_subscriptions_active{{field=\"predictionUpdates\"}} {count}\n")
}

/// A client library receives a stream in batches, the error of a rejected subscription, and an update after a change.
async fn stream_and_update_arrive(client: &mut NodeClient, service: &TestService, server: &Server) {
    let batch = |received: u32, predictions: &[Value]| {
        let complete = received == 3;
        json!({ "data": { "predictionStream": { "received": received, "total": 3, "complete": complete, "predictions": predictions } } })
    };
    let stream = json!([batch(2, &[prediction(1, "0"), prediction(2, "1")]), batch(3, &[prediction(3, "2")])]);
    assert_eq!(client.event("stream").await, stream);
    assert_eq!(client.event("refused").await, json!([{ "refused": ["BAD_USER_INPUT"] }]));

    until("the subscription is active", async || get(&server.admin, "/metrics").1.contains(&active_updates(1))).await;
    rate(service, "2", 10.0).await;
    let left = json!({ "kind": "LEFT", "previousRank": 1, "prediction": prediction(2, "0") });
    assert_eq!(client.event("update").await, json!({ "data": { "predictionUpdates": left } }));
}

#[sqlx::test(migrations = false)]
async fn graphql_ws_client_works_with_the_program(pool: PgPool) {
    let service = nineties(pool.clone(), 3).await;
    let mut server = Server::start(&url(&pool));
    let mut client = NodeClient::with_packages_of("urql", "ws", &[&format!("ws://{}/graphql/ws", server.public)]).await;

    let query = json!([{ "data": { "predictions": { "nodes": [prediction(1, "0"), prediction(2, "1")] } } }]);
    assert_eq!(client.event("query").await, query);
    stream_and_update_arrive(&mut client, &service, &server).await;
    until("the subscription is completed", async || get(&server.admin, "/metrics").1.contains(&active_updates(0)))
        .await;
    client.event("pong").await;

    assert_eq!(server.stop(), Some(0));
    let closed = json!({ "code": 1001, "reason": "Going away", "clean": true });
    assert_eq!(client.event("closed").await, closed);
}

#[sqlx::test(migrations = false)]
async fn apollo_client_subscribes_over_http(pool: PgPool) {
    let service = nineties(pool.clone(), 3).await;
    let mut server = Server::start(&url(&pool));
    let url = format!("http://{}/graphql", server.public);
    let mut client = NodeClient::with_packages_of("apollo", "apollo", &[&url]).await;

    stream_and_update_arrive(&mut client, &service, &server).await;

    // The client subscribes again, and learns that the service stops.
    let requests = "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/graphql\",\
                    http_response_status_code=\"200\"} 4\n";
    until("all four subscriptions have begun", async || get(&server.admin, "/metrics").1.contains(requests)).await;
    assert_eq!(server.stop(), Some(0));
    assert_eq!(client.event("ended").await, json!([{ "refused": ["SERVICE_UNAVAILABLE"] }]));
}
