//! Instances come and go behind a proxy, and nobody notices.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tempfile::NamedTempFile;

use crate::cli::{Server, get};
use crate::support::{Crowd, From, PostgresServer, Proxy, TestService, counts, free_address, until, url};

/// Longer than the proxy needs to hear that an instance is not ready any more.
const SETTINGS: &str = "shutdown_delay_seconds = 2";

/// How many ask at a time.
const CLIENTS: usize = 8;

/// A page that is kept, and one that nobody has asked for.
fn question(number: u64) -> String {
    let filter =
        if number.is_multiple_of(2) { String::new() } else { format!(", filter: {{titleContains: \"{number:x}\"}}") };
    format!("{{ predictions(decade: 1990{filter}) {{ totalCount nodes {{ rank score movie {{ title }} }} }} }}")
}

/// Settings in a file.
fn settings() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), SETTINGS).unwrap();
    file
}

fn instance(database: &str, settings: &NamedTempFile, address: SocketAddr) -> Server {
    let path = settings.path().to_str().unwrap();
    Server::running(database, &["--config", path, "serve", "--http-addr", &address.to_string()], "serving")
}

/// How many operations an instance has answered.
fn answered(instance: &Server) -> f64 {
    let of_it = |line: &&str| line.starts_with("graphql_server_request_duration_seconds_count");
    let (_, metrics) = get(&instance.admin, "/metrics");
    metrics.lines().filter(of_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

// The clients go on in threads of their own while this one waits for processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_change_of_version_loses_no_request() {
    let postgres = PostgresServer::start().await;
    let pool = PgPool::connect(&postgres.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(100).await;
    let (database, settings) = (url(&pool), settings());
    let addresses = [free_address(), free_address()];
    let mut instances = addresses.map(|address| instance(&database, &settings, address));
    let proxy = Proxy::before(addresses).await;
    until("the proxy knows both", async || get(&proxy.address.to_string(), "/health/ready").0 == 200).await;
    let crowd = Crowd::ask(proxy.address, CLIENTS, question);

    for (old, address) in instances.iter_mut().zip(addresses) {
        until("the old one is asked", async || answered(old) > 0.0).await;
        assert_eq!(old.stop(), Some(0));
        *old = instance(&database, &settings, address);
        until("the new one is asked", async || answered(old) > 0.0).await;
    }

    let told = crowd.end().await;
    let lost = told.iter().find(|told| matches!(told.from, From::Failed | From::Unavailable));
    assert!(lost.is_none(), "{}: {lost:?}", counts(&told));
    assert!(told.len() > 100, "{}", counts(&told));
}

#[sqlx::test(migrations = false)]
async fn who_is_asked_to_stop_serves_on_until_the_proxy_knows(pool: PgPool) {
    TestService::on(pool.clone()).await.fill(50).await;
    let server = instance(&url(&pool), &settings(), free_address());
    assert_eq!(get(&server.public, "/health/ready").0, 200);

    server.ask_to_stop();
    until("it is not ready", async || get(&server.public, "/health/ready").0 == 503).await;

    let (status, body) = get(&server.public, "/graphql?query=%7Blists%7Bkey%7D%7D");
    assert_eq!(status, 200, "{body}");
    assert_eq!(get(&server.public, "/health/live").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_takes_no_instance_from_the_proxy() {
    let postgres = PostgresServer::start().await;
    let pool = PgPool::connect(&postgres.url("postgres")).await.unwrap();
    TestService::on(pool.clone()).await.fill(50).await;
    let server = instance(&url(&pool), &settings(), free_address());
    let query = "/graphql?query=%7Bpredictions(decade%3A1990)%7BtotalCount%7D%7D";
    assert_eq!(get(&server.public, query).0, 200);

    postgres.freeze();
    let asked = Instant::now();
    let (status, body) = get(&server.public, "/health/ready");
    let waited = asked.elapsed();
    postgres.thaw();

    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"database\":\"it does not answer\""), "{body}");
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}
