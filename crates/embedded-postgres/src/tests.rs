//! Tests on real clusters. Run as root, the server runs as another user; run as any other user, it does not. Both must
//! pass.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::*;

fn temp_dir() -> TempDir {
    let parent = TempDir::new().unwrap();
    // The server's user must be able to traverse it.
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o711)).unwrap();
    parent
}

fn durable_in(parent: &TempDir) -> Options {
    Options { data_dir: parent.path().join("data dir"), temporary: false }
}

fn temporary_in(parent: &TempDir) -> Options {
    Options { temporary: true, ..durable_in(parent) }
}

async fn query_text(postgres: &EmbeddedPostgres, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(&postgres.url("cinegraph")).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

async fn is_usable(postgres: &EmbeddedPostgres) -> bool {
    query_text(postgres, "SELECT 'yes'").await == "yes"
}

fn accepts_connections(port: u16) -> bool {
    std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn kill_server(postgres: &EmbeddedPostgres) {
    let server = postgres.data_dir.postmaster().unwrap();
    assert!(Command::new("kill").args(["-9", &server.pid.to_string()]).status().unwrap().success());
    while postgres.data_dir.is_served_by(server) {
        thread::sleep(READY_POLL);
    }
}

/// Leaves what a killed process leaves: a running server, and locks that the system released.
fn die(mut owner: EmbeddedPostgres) {
    drop(owner.users_lock.take());
    std::mem::forget(owner);
}

#[tokio::test]
async fn new_cluster_uses_utf8_byte_collation_and_utc() {
    let parent = temp_dir();
    let postgres = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    let sql = "SELECT concat_ws(' ', current_user, pg_encoding_to_char(encoding), datcollate, \
               lower('É'), current_setting('timezone'), current_setting('password_encryption')) \
               FROM pg_database WHERE datname = current_database()";
    assert_eq!(query_text(&postgres, sql).await, "cinegraph UTF8 C é UTC scram-sha-256");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn files_are_private_and_wrong_passwords_are_rejected() {
    let parent = temp_dir();
    let postgres = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    let data_dir = temporary_in(&parent).data_dir;
    for path in [&data_dir, &data_dir.join("postgres"), postgres.data_dir.data()] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    for file in ["password", "server.log", "turn.lock", "users.lock"] {
        let path = data_dir.join("postgres").join(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert!(postgres.password.len() >= 32 && postgres.password.chars().all(|c| c.is_ascii_alphanumeric()));
    let guessed = postgres.url("cinegraph").replace(&postgres.password, "cinegraph");
    assert!(is_auth_failure(&PgConnection::connect(&guessed).await.unwrap_err()));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn last_user_stops_the_server() {
    let parent = temp_dir();
    let first = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    let second = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    let port = first.port;
    assert_eq!(second.port, port);

    first.stop().await.unwrap();
    assert!(is_usable(&second).await);

    // Without stop, as on a panic.
    drop(second);
    assert!(!accepts_connections(port));
    assert!(!temporary_in(&parent).data_dir.exists());
}

#[tokio::test]
async fn concurrent_starts_share_one_server() {
    let parent = temp_dir();
    let start = || EmbeddedPostgres::start(temporary_in(&parent));
    let (first, second) = tokio::try_join!(start(), start()).unwrap();
    assert_eq!(first.port, second.port);
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn cancelled_start_leaves_no_server() {
    let parent = temp_dir();
    EmbeddedPostgres::start(durable_in(&parent)).await.unwrap().stop().await.unwrap();

    let mut postgres = EmbeddedPostgres::prepare(&durable_in(&parent)).unwrap();
    // Cancelled at the first await, when the server has just been started.
    let launched = tokio::time::timeout(Duration::ZERO, postgres.launch()).await;
    assert!(launched.is_err());
    drop(postgres);

    let (data_dir, _) = DataDir::open(&durable_in(&parent).data_dir).unwrap();
    assert!(data_dir.postmaster().is_none());
}

#[tokio::test]
async fn data_survives_restart_server_kill_and_owner_kill() {
    let parent = temp_dir();
    let postgres = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url("cinegraph")).await.unwrap();
    sqlx::query("CREATE TABLE movie AS SELECT 'Metropolis' AS title").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    postgres.stop().await.unwrap();

    let restarted = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    assert_eq!(query_text(&restarted, "SELECT title FROM movie").await, "Metropolis");
    kill_server(&restarted);
    drop(restarted);

    let recovered = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    assert_eq!(query_text(&recovered, "SELECT title FROM movie").await, "Metropolis");
    let port = recovered.port;
    die(recovered);

    let found_again = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    assert_eq!(found_again.port, port);
    assert_eq!(query_text(&found_again, "SELECT title FROM movie").await, "Metropolis");
    found_again.stop().await.unwrap();
    assert!(!accepts_connections(port));
}

#[tokio::test]
async fn stale_pid_file_with_a_reused_pid_is_ignored() {
    let parent = temp_dir();
    let postgres = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    let pid_path = postgres.data_dir.data().join("postmaster.pid");
    let pid_file = fs::read_to_string(&pid_path).unwrap();
    let server = postgres.data_dir.postmaster().unwrap();
    kill_server(&postgres);
    fs::write(&pid_path, pid_file.replacen(&server.pid.to_string(), &std::process::id().to_string(), 1)).unwrap();
    postgres.account.chown(&pid_path).unwrap();
    drop(postgres);

    let postgres = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    assert!(is_usable(&postgres).await);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn incomplete_cluster_is_initialised_again() {
    let parent = temp_dir();
    let incomplete = temporary_in(&parent).data_dir.join("postgres/data.new");
    let (_, account) = DataDir::open(&temporary_in(&parent).data_dir).unwrap();
    fs::create_dir(&incomplete).unwrap();
    fs::write(incomplete.join("PG_VERSION"), "15\n").unwrap();
    account.chown(&incomplete).unwrap();

    let postgres = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    assert!(is_usable(&postgres).await);
    assert!(!incomplete.exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn copied_cluster_does_not_join_the_original_server() {
    let parent = temp_dir();
    let original = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    let copy = Options { data_dir: parent.path().join("copy"), temporary: true };
    let original_dir = durable_in(&parent).data_dir;
    assert!(Command::new("cp").arg("-a").args([&original_dir, &copy.data_dir]).status().unwrap().success());

    let copied = EmbeddedPostgres::start(copy).await.unwrap();
    assert_ne!(copied.port, original.port);
    copied.stop().await.unwrap();
    assert!(is_usable(&original).await);
    original.stop().await.unwrap();
}

#[tokio::test]
async fn cluster_of_a_missing_release_reports_its_version() {
    let parent = temp_dir();
    let (data_dir, _) = DataDir::open(&durable_in(&parent).data_dir).unwrap();
    fs::create_dir(data_dir.data()).unwrap();
    fs::write(data_dir.data().join("PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::VersionNotInstalled { major: 9, .. }), "{error}");
}

#[tokio::test]
async fn inaccessible_parent_is_reported() {
    let parent = temp_dir();
    let closed = parent.path().canonicalize().unwrap().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let error = EmbeddedPostgres::start(Options { data_dir: closed.join("below"), temporary: true }).await.unwrap_err();
    match &error {
        EmbeddedPostgresError::NoAccess { parent, .. } if account::is_root() => assert_eq!(*parent, closed),
        EmbeddedPostgresError::Io { path, .. } if !account::is_root() => assert_eq!(*path, closed.join("below")),
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn failed_start_reports_the_server_log() {
    let parent = temp_dir();
    let postgres = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    let settings = postgres.data_dir.data().join("postgresql.auto.conf");
    postgres.stop().await.unwrap();
    fs::write(settings, "no_such_setting = on\n").unwrap();

    let error = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap_err();
    assert!(error.to_string().contains(r#"unrecognized configuration parameter "no_such_setting""#), "{error}");
}
