//! Abusive requests to the running service: each is rejected within two seconds and delays no other request.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cli::Server;
use super::support::{NodeClient, TestService, url};

const REJECTED_WITHIN: Duration = Duration::from_secs(2);

#[sqlx::test(migrations = false)]
async fn graphql_over_http_audit_passes(pool: PgPool) {
    let service = TestService::on(pool).await;
    let url = format!("http://{}/graphql", service.listen().await);
    let mut audit = NodeClient::start("http", &[&url]).await;
    let (mut passed, mut others) = (0, Vec::new());
    while let Some(event) = audit.next_event().await.filter(|event| event.get("done").is_none()) {
        match event["audit"]["status"].as_str() {
            Some("ok") => passed += 1,
            _ => others.push(event),
        }
    }
    assert!(passed > 50, "{passed} passed");
    assert_eq!(others, Vec::<Value>::new());
}

#[sqlx::test(migrations = false)]
async fn abuse_is_rejected_within_two_seconds_and_delays_no_other_request(pool: PgPool) {
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
        let started = Instant::now();
        let (abuse, other) = tokio::join!(send(&address, body), send(&address, operation("{ __typename }".into())));
        let took = started.elapsed();
        assert_eq!(
            (abuse.0, abuse.1["errors"][0]["extensions"]["code"].as_str()),
            (status, Some(code)),
            "{what}: {}",
            abuse.1
        );
        assert!(took < REJECTED_WITHIN, "{what} took {took:?}");
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
    let started = Instant::now();
    let response = send(&server.public, b"{\"query\":\"{ __typename }\"}".to_vec()).await;
    assert_eq!(response.0, 200);
    assert!(started.elapsed() < REJECTED_WITHIN);
}

/// Posts a body and reads the response, even if the server has not read the whole body.
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
    let mut response = Vec::new();
    let read = async {
        // If the server closes before it has read the body, the connection may be reset after the response.
        let _ = reader.read_to_end(&mut response).await;
    };
    let _ = tokio::join!(write, read);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}
