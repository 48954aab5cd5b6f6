//! The host that a request is for: exactly one, and an allowed one, on both listeners and for WebSockets.

use std::net::SocketAddr;

use axum::http::Response;
use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cli::Server;
use super::support::{Socket, TestService, url};

/// Sends a request's head, ended by this function; returns status and body.
async fn send(address: &str, head: &str) -> (u16, String) {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{response:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn handshake(server: &Server, host: &str, origin: &str, forwarded: &str) -> u16 {
    let address: SocketAddr = server.public.parse().unwrap();
    let headers = [("host", host), ("origin", origin), ("x-forwarded-host", forwarded)];
    let refused = Socket::handshake(address, &headers).await.err();
    refused.as_ref().map_or(101, |response| Response::status(response).as_u16())
}

#[sqlx::test(migrations = false)]
async fn loopback_listeners_are_protected_from_dns_rebinding(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let server = Server::start(&url(&pool));
    let listeners = [
        (&server.public, "/health/live"),
        (&server.public, "/graphql?query=%7B__typename%7D"),
        (&server.admin, "/status"),
    ];
    for (address, path) in listeners {
        let port = address.rsplit(':').next().unwrap();
        for (head, status) in [
            (format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n"), 200),
            (format!("GET {path} HTTP/1.1\r\nHost: LocalHost.:{port}\r\n"), 200),
            (format!("GET {path} HTTP/1.1\r\nHost: [::1]:{port}\r\n"), 200),
            (format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}\r\n"), 421),
            (format!("GET {path} HTTP/1.1\r\nHost: EVIL.example.\r\n"), 421),
            (format!("GET {path} HTTP/1.1\r\nHost: localhost.evil.example\r\n"), 421),
            (format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\n"), 421),
            (format!("GET {path} HTTP/1.1\r\nHost: [2001:db8::1]:{port}\r\n"), 421),
            (format!("GET {path} HTTP/1.0\r\nHost: evil.example\r\n"), 421),
            (format!("GET {path} HTTP/1.0\r\n"), 200),
            (format!("GET {path} HTTP/1.1\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nHost: {address}\r\n"), 400),
            (format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nhost: localhost\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost:\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost: user@localhost\r\n"), 400),
            (format!("GET {path} HTTP/1.1\r\nHost: localhost, evil.example\r\n"), 400),
            // The host of the target replaces that of the header.
            (format!("GET http://{address}{path} HTTP/1.1\r\nHost: evil.example\r\n"), 200),
            (format!("GET http://evil.example{path} HTTP/1.1\r\nHost: {address}\r\n"), 421),
            (format!("GET http://evil.example{path} HTTP/1.0\r\n"), 421),
            (format!("GET http://{address}{path} HTTP/1.1\r\n"), 400),
        ] {
            let (got, body) = send(address, &head).await;
            assert_eq!(got, status, "{head}: {body}");
            if status >= 400 {
                let error = &serde_json::from_str::<Value>(&body).unwrap()["errors"][0];
                let expected = if status == 421 { "allowed_hosts" } else { "Host" };
                assert!(error["message"].as_str().unwrap().contains(expected), "{head}: {body}");
            }
        }
    }
    // A page whose name resolves to this machine has an origin that equals its host.
    assert_eq!(handshake(&server, "evil.example", "http://evil.example", "").await, 421);
    assert_eq!(handshake(&server, "localhost", "http://localhost", "").await, 101);
}

#[sqlx::test(migrations = false)]
async fn allowed_hosts_are_served(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let settings = [("CINEGRAPH_ALLOWED_HOSTS", "films.example, *.internal.example, 10.0.0.1")];
    let server = Server::with(&url(&pool), &settings);
    for (host, status) in [
        ("films.example", 200),
        ("Films.Example.:443", 200),
        ("a.internal.example", 200),
        ("10.0.0.1:8080", 200),
        ("localhost", 200),
        ("www.films.example", 421),
        ("internal.example", 421),
    ] {
        for (address, path) in [(&server.public, "/"), (&server.admin, "/metrics")] {
            assert_eq!(send(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n")).await.0, status, "{host}");
        }
    }
    assert_eq!(handshake(&server, "films.example", "https://films.example", "").await, 101);
}

#[sqlx::test(migrations = false)]
async fn listeners_on_other_addresses_allow_every_host(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let arguments = ["serve", "--http-addr", "0.0.0.0:0"];
    let server = Server::configured(&url(&pool), &arguments, &[], "serving");
    let public = server.public.replace("0.0.0.0", "127.0.0.1");
    for (address, status) in [(public.as_str(), 200), (server.admin.as_str(), 421)] {
        let head = "GET /health/live HTTP/1.1\r\nHost: films.example\r\n";
        assert_eq!(send(address, head).await.0, status, "{address}");
    }
    assert_eq!(send(&public, "GET /health/live HTTP/1.1\r\n").await.0, 400);
}

#[sqlx::test(migrations = false)]
async fn websocket_through_a_proxy_that_does_not_keep_the_host_is_accepted(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let server = Server::start(&url(&pool));
    let (host, page) = (server.public.clone(), "https://films.example");
    assert_eq!(handshake(&server, &host, page, "films.example").await, 101);
    assert_eq!(handshake(&server, &host, page, "films.example:443").await, 101);
    assert_eq!(handshake(&server, &host, "https://films.example:8443", "films.example:8443").await, 101);
    assert_eq!(handshake(&server, &host, page, "other.example").await, 403);
    assert_eq!(handshake(&server, &host, page, "films.example:8443").await, 403);
    assert_eq!(handshake(&server, &host, page, "").await, 403);

    let elsewhere = Server::with(&url(&pool), &[("CINEGRAPH_TRUSTED_PEERS", "10.0.0.0/8")]);
    assert_eq!(handshake(&elsewhere, &elsewhere.public, page, "films.example").await, 403);
}

#[sqlx::test(migrations = false)]
async fn disabled_introspection_reveals_no_names(pool: PgPool) {
    let _service = TestService::on(pool.clone()).await;
    let server = Server::with(&url(&pool), &[("CINEGRAPH_INTROSPECTION_ENABLED", "false")]);
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \\\"Movie\\\") { name } }",
        "{ alias: __schema { nothing } }",
        "query A { ...F } fragment F on Query { ... { __schema { types { name } } } }",
        "query A { genres { name } } query B { __type(name: \\\"Movie\\\") { name } }",
        "mutation { __schema { types { name } } }",
        "{ genres { name } __schema @skip(if: true) { types { name } } }",
    ] {
        let body = format!(
            r#"{{"query":"{query}","operationName":{}}}"#,
            if query.starts_with("query A") { "\"A\"" } else { "null" }
        );
        let (status, response) = server.post("/graphql", &body);
        let response: Value = serde_json::from_str(&response).unwrap();
        assert_eq!((status, response.get("data")), (200, None), "{query}: {response}");
        assert_eq!(response["errors"][0]["message"], "Introspection is disabled: use the published schema.", "{query}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{query}");
    }
    let (_, typename) = server.post("/graphql", r#"{"query":"{ __typename genres { __typename } }"}"#);
    assert!(typename.contains("Query") && !typename.contains("errors"), "{typename}");
    for misspelt in [
        "{ genrez { name } }",
        "{ genres { nam } }",
        "{ predictions(frist: 1) { totalCount } }",
        "{ ... on Movi { id } }",
        "{ validation(basis: BLINDD) { basis } }",
    ] {
        let (_, response) = server.post("/graphql", &format!(r#"{{"query":"{misspelt}"}}"#));
        assert!(response.contains("errors") && !response.contains("Did you mean"), "{response}");
    }
    let (_, response) = Server::start(&url(&pool)).post("/graphql", r#"{"query":"{ genrez { name } }"}"#);
    assert!(response.contains("Did you mean"), "{response}");
}
