//! TLS connections to PostgreSQL and Redis, with verified certificates.

use serde_json::Value;
use sqlx::PgPool;

use crate::cli::{Server, get, run};
use crate::support::{CertificateAuthority, PostgresServer, RedisServer, TestService, until, url};

const PAGE: &str = "/graphql?query=%7Bpredictions(decade%3A1990)%7BtotalCount%7D%7D";

/// The database URL with `verify-full` and this CA certificate.
fn trusting(server: &PostgresServer, authority: &CertificateAuthority) -> String {
    let root = authority.certificate();
    format!("{}?sslmode=verify-full&sslrootcert={}", server.url("postgres"), root.display())
}

/// A server with a few movies and a certificate for `name`.
async fn catalogue(authority: &CertificateAuthority, name: &str) -> PostgresServer {
    let mut server = PostgresServer::start().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(50).await;
    pool.close().await;
    server.require_tls(&authority.issue(name)).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_to_a_database_with_tls_uses_it() {
    let authority = CertificateAuthority::new();
    let server = catalogue(&authority, "IP:127.0.0.1").await;
    let service = Server::start(&trusting(&server, &authority));

    let (status, response) = get(&service.public, PAGE);

    assert_eq!(status, 200, "{response}");
    let response: Value = serde_json::from_str(&response).unwrap();
    assert!(response["data"]["predictions"]["totalCount"].as_u64().unwrap() > 0, "{response}");
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    let plain = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
                 FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name = 'cinegraph'";
    let (with, without): (i64, i64) = sqlx::query_as(plain).fetch_one(&pool).await.unwrap();
    assert!(with > 0 && without == 0, "{with} with TLS, {without} without");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_with_an_invalid_certificate_is_rejected() {
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let server = catalogue(&authority, "DNS:db.example").await;
    let wrong_authority = trusting(&server, &stranger);
    let wrong_name = trusting(&server, &authority);
    let missing = wrong_name.replace("ca.pem", "nowhere.pem");

    for (url, problem) in [
        (wrong_authority, "UnknownIssuer"),
        (wrong_name, "not valid for name"),
        (missing, "nowhere.pem, the sslrootcert of a database URL: No such file"),
    ] {
        let output = run(&url, &["serve", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(1), "{url}");
        // A service reports it in its log.
        let log = String::from_utf8_lossy(&output.stdout);
        assert!(log.contains(problem), "{log}");
    }
}

#[sqlx::test(migrations = false)]
async fn redis_with_tls_requires_a_trusted_certificate(pool: PgPool) {
    TestService::on(pool.clone()).await.fill(50).await;
    let (authority, stranger) = (CertificateAuthority::new(), CertificateAuthority::new());
    let redis = RedisServer::with_tls(&authority, &authority.issue("IP:127.0.0.1")).await;
    let redis = redis.url().replace("redis://", "rediss://");
    let serving = |trusted: &CertificateAuthority| {
        let trusted = trusted.certificate();
        let variables = [
            ("CINEGRAPH_REDIS_URL", redis.as_str()),
            // TLS handshakes take longer on a busy machine.
            ("CINEGRAPH_REDIS_TIMEOUT_SECONDS", "5"),
            ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ];
        Server::with(&url(&pool), &variables)
    };
    let is_up = |service: &Server| get(&service.admin, "/metrics").1.contains("\ncinegraph_cache_l2_up 1");
    let stored = |service: &Server| {
        let metrics = get(&service.admin, "/metrics").1;
        let of_it = |line: &&str| line.starts_with("cinegraph_cache_writes_total") && line.contains("layer=\"l2\"");
        metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };

    let service = serving(&authority);
    until("Redis is up for the service", async || is_up(&service)).await;
    assert_eq!(get(&service.public, PAGE).0, 200);
    until("a result is stored in Redis", async || stored(&service) > 0.0).await;

    // A certificate of another CA makes Redis unavailable.
    let service = serving(&stranger);
    assert_eq!(get(&service.public, PAGE).0, 200);
    assert!(!is_up(&service));
    assert!(stored(&service) < 1.0);
}
