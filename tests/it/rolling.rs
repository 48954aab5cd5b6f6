//! Instances stop and start behind a proxy without failed requests.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tempfile::NamedTempFile;

use crate::cli::{Server, get};
use crate::support::{
    LoadGenerator, PostgresServer, Proxy, ResponseSource, TestService, count_by_source, free_address, until, url,
};

/// Longer than the proxy needs to detect that an instance is no longer ready.
const SETTINGS: &str = "shutdown_delay_seconds = 2";

/// Number of concurrent clients.
const CLIENTS: usize = 8;

/// Alternates between a cached page and an uncached one.
fn query(number: u64) -> String {
    let filter =
        if number.is_multiple_of(2) { String::new() } else { format!(", filter: {{titleContains: \"{number:x}\"}}") };
    format!("{{ predictions(decade: 1990{filter}) {{ totalCount nodes {{ rank score movie {{ title }} }} }} }}")
}

/// The configuration file.
fn settings() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), SETTINGS).unwrap();
    file
}

fn instance(database: &str, settings: &NamedTempFile, address: SocketAddr) -> Server {
    let path = settings.path().to_str().unwrap();
    Server::running(database, &["--config", path, "serve", "--http-addr", &address.to_string()], "serving")
}

/// Number of operations that an instance has executed.
fn operations_of(instance: &Server) -> f64 {
    let of_it = |line: &&str| line.starts_with("graphql_server_request_duration_seconds_count");
    let (_, metrics) = get(&instance.admin, "/metrics");
    metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

// Clients continue on the second worker thread while this one blocks on processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_update_loses_no_request() {
    let postgres = PostgresServer::start().await;
    let pool = PgPool::connect(&postgres.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(100).await;
    let (database, settings) = (url(&pool), settings());
    let addresses = [free_address(), free_address()];
    let mut instances = addresses.map(|address| instance(&database, &settings, address));
    let proxy = Proxy::before(addresses).await;
    until("the proxy routes to an instance", async || get(&proxy.address.to_string(), "/health/ready").0 == 200).await;
    let clients = LoadGenerator::start(proxy.address, CLIENTS, query);

    for (old, address) in instances.iter_mut().zip(addresses) {
        until("the old instance serves", async || operations_of(old) > 0.0).await;
        assert_eq!(old.stop(), Some(0));
        *old = instance(&database, &settings, address);
        until("the new instance serves", async || operations_of(old) > 0.0).await;
    }

    let records = clients.end().await;
    let lost =
        records.iter().find(|record| matches!(record.source, ResponseSource::Failed | ResponseSource::Unavailable));
    assert!(lost.is_none(), "{}: {lost:?}", count_by_source(&records));
    assert!(records.len() > 100, "{}", count_by_source(&records));
}

#[sqlx::test(migrations = false)]
async fn stopping_instance_serves_until_the_proxy_removes_it(pool: PgPool) {
    TestService::on(pool.clone()).await.fill(50).await;
    let server = instance(&url(&pool), &settings(), free_address());
    assert_eq!(get(&server.public, "/health/ready").0, 200);

    server.request_stop();
    until("it is not ready", async || get(&server.public, "/health/ready").0 == 503).await;

    let (status, body) = get(&server.public, "/graphql?query=%7Blists%7Bkey%7D%7D");
    assert_eq!(status, 200, "{body}");
    assert_eq!(get(&server.public, "/health/live").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unresponsive_database_keeps_the_instance_ready() {
    let postgres = PostgresServer::start().await;
    let pool = PgPool::connect(&postgres.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(50).await;
    let server = instance(&url(&pool), &settings(), free_address());
    let query = "/graphql?query=%7Bpredictions(decade%3A1990)%7BtotalCount%7D%7D";
    assert_eq!(get(&server.public, query).0, 200);

    postgres.freeze();
    let started = Instant::now();
    let (status, body) = get(&server.public, "/health/ready");
    let waited = started.elapsed();
    postgres.thaw();

    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"database\":\"no response\""), "{body}");
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}
