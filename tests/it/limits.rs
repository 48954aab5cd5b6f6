//! Abuse, sent to the running service: each refused within two seconds, while others are answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cli::Server;
use super::support::{NodeClient, TestService, url};

const REFUSED_WITHIN: Duration = Duration::from_secs(2);

#[sqlx::test(migrations = false)]
async fn the_audit_of_graphql_over_http_passes_in_full(pool: PgPool) {
    let service = TestService::on(pool).await;
    let url = format!("http://{}/graphql", service.listen().await);
    let mut audit = NodeClient::start("http", &[&url]).await;
    let (mut passed, mut others) = (0, Vec::new());
    while let Some(told) = audit.tells_next().await.filter(|told| told.get("done").is_none()) {
        match told["audit"]["status"].as_str() {
            Some("ok") => passed += 1,
            _ => others.push(told),
        }
    }
    assert!(passed > 50, "{passed} passed");
    assert_eq!(others, Vec::<Value>::new());
}

#[sqlx::test(migrations = false)]
async fn abuse_is_refused_soon_and_others_are_answered_meanwhile(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let server = Server::start(&url(&pool));
    let address = server.public.clone();
    let operation = |query: String| json!({ "query": query }).to_string().into_bytes();
    let spreading: String = (0..25).map(|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1)).collect();
    let aliases: String = (0..1000).map(|n| format!("a{n}: status {{ dataVersion }} ")).collect();
    let lists = json!({ "query": "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": { "ids": vec!["x"; 40_000] } });
    let cases = [
        ("10,000 deep", operation("{a".repeat(10_000)), 200, "QUERY_TOO_COMPLEX"),
        ("1,000 aliases", operation(format!("{{ {aliases} }}")), 200, "QUERY_TOO_COMPLEX"),
        (
            "circular fragments",
            operation("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".into()),
            200,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "spreading fragments",
            operation(format!("{{ ...F0 }} {spreading} fragment F25 on Query {{ __typename }}")),
            200,
            "QUERY_TOO_COMPLEX",
        ),
        ("10 MB", vec![b' '; 10_000_000], 413, "BAD_USER_INPUT"),
        ("invalid UTF-8", b"{\"query\":\"{ \xff }\"}".to_vec(), 400, "BAD_USER_INPUT"),
        (
            "an array of 1,000 operations",
            format!("[{}]", vec!["{\"query\":\"{__typename}\"}"; 1000].join(",")).into_bytes(),
            400,
            "BAD_USER_INPUT",
        ),
        ("a huge list", lists.to_string().into_bytes(), 200, "BAD_USER_INPUT"),
        (
            "deep variables",
            format!("{{\"query\":\"{{__typename}}\",\"variables\":{}", "{\"a\":".repeat(10_000)).into_bytes(),
            400,
            "BAD_USER_INPUT",
        ),
    ];
    for (what, body, status, code) in cases {
        let asked = Instant::now();
        let (abuse, other) = tokio::join!(send(&address, body), send(&address, operation("{ __typename }".into())));
        let took = asked.elapsed();
        assert_eq!(
            (abuse.0, abuse.1["errors"][0]["extensions"]["code"].as_str()),
            (status, Some(code)),
            "{what}: {}",
            abuse.1
        );
        assert!(took < REFUSED_WITHIN, "{what} took {took:?}");
        assert_eq!(other, (200, json!({ "data": { "__typename": "Query" } })), "{what}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_thousand_idle_sockets_leave_room_for_requests(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let server = Server::start(&url(&pool));
    let upgrade = format!(
        "GET /graphql/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
        server.public
    );
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut socket = TcpStream::connect(&server.public).await.unwrap();
        socket.write_all(upgrade.as_bytes()).await.unwrap();
        idle.push(socket);
    }
    let asked = Instant::now();
    let answer = send(&server.public, b"{\"query\":\"{ __typename }\"}".to_vec()).await;
    assert_eq!(answer.0, 200);
    assert!(asked.elapsed() < REFUSED_WITHIN);
}

/// Posts a body and reads the answer, although the server may not have read all that was sent.
async fn send(address: &str, body: Vec<u8>) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let (mut reader, mut writer) = stream.split();
    let write = async {
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&body).await
    };
    let mut answer = Vec::new();
    let read = async {
        // Closed before everything is read, the connection may be reset after the answer.
        let _ = reader.read_to_end(&mut answer).await;
    };
    let _ = tokio::join!(write, read);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}
