//! On real clusters. As root the server runs as somebody else, as any other user it does not: both must pass.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::*;

fn a_place() -> TempDir {
    let place = TempDir::new().unwrap();
    // The server's user passes through.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
    place
}

fn kept_in(place: &TempDir) -> Options {
    Options { data_dir: place.path().join("data dir"), temporary: false }
}

fn temporary_in(place: &TempDir) -> Options {
    Options { temporary: true, ..kept_in(place) }
}

async fn answer(postgres: &EmbeddedPostgres, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(&postgres.url("cinegraph")).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

async fn answers(postgres: &EmbeddedPostgres) -> bool {
    answer(postgres, "SELECT 'yes'").await == "yes"
}

fn accepts_connections(port: u16) -> bool {
    std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn kill_server(postgres: &EmbeddedPostgres) {
    let server = postgres.home.postmaster().unwrap();
    assert!(Command::new("kill").args(["-9", &server.pid.to_string()]).status().unwrap().success());
    while postgres.home.is_home_of(server) {
        thread::sleep(READY_POLL);
    }
}

/// What is left of a process that was killed: a server, and locks that the system released.
fn die(mut owner: EmbeddedPostgres) {
    drop(owner.users.take());
    std::mem::forget(owner);
}

#[tokio::test]
async fn a_new_cluster_speaks_utf8_and_sorts_by_bytes_in_utc() {
    let place = a_place();
    let postgres = EmbeddedPostgres::start(temporary_in(&place)).await.unwrap();
    let sql = "SELECT concat_ws(' ', current_user, pg_encoding_to_char(encoding), datcollate, \
               lower('É'), current_setting('timezone'), current_setting('password_encryption')) \
               FROM pg_database WHERE datname = current_database()";
    assert_eq!(answer(&postgres, sql).await, "cinegraph UTF8 C é UTC scram-sha-256");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_else_can_read_or_come_in() {
    let place = a_place();
    let postgres = EmbeddedPostgres::start(temporary_in(&place)).await.unwrap();
    let data_dir = temporary_in(&place).data_dir;
    for path in [&data_dir, &data_dir.join("postgres"), postgres.home.data()] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    for file in ["password", "server.log", "turn.lock", "users.lock"] {
        let path = data_dir.join("postgres").join(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert!(postgres.password.len() >= 32 && postgres.password.chars().all(|c| c.is_ascii_alphanumeric()));
    let guessed = postgres.url("cinegraph").replace(&postgres.password, "cinegraph");
    assert!(refuses(&PgConnection::connect(&guessed).await.unwrap_err()));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_last_user_stops_the_server() {
    let place = a_place();
    let first = EmbeddedPostgres::start(temporary_in(&place)).await.unwrap();
    let second = EmbeddedPostgres::start(temporary_in(&place)).await.unwrap();
    let port = first.port;
    assert_eq!(second.port, port);

    first.stop().await.unwrap();
    assert!(answers(&second).await);

    // Without stop, as on a panic.
    drop(second);
    assert!(!accepts_connections(port));
    assert!(!temporary_in(&place).data_dir.exists());
}

#[tokio::test]
async fn two_that_start_at_once_share_one_server() {
    let place = a_place();
    let start = || EmbeddedPostgres::start(temporary_in(&place));
    let (first, second) = tokio::try_join!(start(), start()).unwrap();
    assert_eq!(first.port, second.port);
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_start_leaves_no_server() {
    let place = a_place();
    EmbeddedPostgres::start(kept_in(&place)).await.unwrap().stop().await.unwrap();

    let mut postgres = EmbeddedPostgres::prepare(&kept_in(&place)).unwrap();
    // The first time that it waits: the server is a moment old.
    let launched = tokio::time::timeout(Duration::ZERO, postgres.launch()).await;
    assert!(launched.is_err());
    drop(postgres);

    let (home, _) = DataDir::open(&kept_in(&place).data_dir).unwrap();
    assert!(home.postmaster().is_none());
}

#[tokio::test]
async fn data_is_kept_over_a_restart_a_kill_and_the_death_of_the_owner() {
    let place = a_place();
    let postgres = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url("cinegraph")).await.unwrap();
    sqlx::query("CREATE TABLE film AS SELECT 'Metropolis' AS title").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    postgres.stop().await.unwrap();

    let restarted = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    assert_eq!(answer(&restarted, "SELECT title FROM film").await, "Metropolis");
    kill_server(&restarted);
    drop(restarted);

    let recovered = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    assert_eq!(answer(&recovered, "SELECT title FROM film").await, "Metropolis");
    let port = recovered.port;
    die(recovered);

    let found_again = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    assert_eq!(found_again.port, port);
    assert_eq!(answer(&found_again, "SELECT title FROM film").await, "Metropolis");
    found_again.stop().await.unwrap();
    assert!(!accepts_connections(port));
}

#[tokio::test]
async fn a_stale_pid_file_that_names_another_process_does_no_harm() {
    let place = a_place();
    let postgres = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    let pid_path = postgres.home.data().join("postmaster.pid");
    let pid_file = fs::read_to_string(&pid_path).unwrap();
    let server = postgres.home.postmaster().unwrap();
    kill_server(&postgres);
    fs::write(&pid_path, pid_file.replacen(&server.pid.to_string(), &std::process::id().to_string(), 1)).unwrap();
    postgres.account.own(&pid_path).unwrap();
    drop(postgres);

    let postgres = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    assert!(answers(&postgres).await);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_made_again() {
    let place = a_place();
    let half_made = temporary_in(&place).data_dir.join("postgres/data.new");
    let (_, account) = DataDir::open(&temporary_in(&place).data_dir).unwrap();
    fs::create_dir(&half_made).unwrap();
    fs::write(half_made.join("PG_VERSION"), "15\n").unwrap();
    account.own(&half_made).unwrap();

    let postgres = EmbeddedPostgres::start(temporary_in(&place)).await.unwrap();
    assert!(answers(&postgres).await);
    assert!(!half_made.exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_does_not_join_the_server_of_its_original() {
    let place = a_place();
    let original = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    let copy = Options { data_dir: place.path().join("copy"), temporary: true };
    assert!(Command::new("cp").arg("-a").args([&kept_in(&place).data_dir, &copy.data_dir]).status().unwrap().success());

    let copied = EmbeddedPostgres::start(copy).await.unwrap();
    assert_ne!(copied.port, original.port);
    copied.stop().await.unwrap();
    assert!(answers(&original).await);
    original.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_of_a_release_that_is_not_installed_says_which() {
    let place = a_place();
    let (home, _) = DataDir::open(&kept_in(&place).data_dir).unwrap();
    fs::create_dir(home.data()).unwrap();
    fs::write(home.data().join("PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedPostgres::start(kept_in(&place)).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::OtherVersion { major: 9, .. }), "{error}");
}

#[tokio::test]
async fn a_closed_parent_is_named() {
    let place = a_place();
    let closed = place.path().canonicalize().unwrap().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let error = EmbeddedPostgres::start(Options { data_dir: closed.join("below"), temporary: true }).await.unwrap_err();
    match &error {
        EmbeddedPostgresError::Unreachable { parent, .. } if account::is_root() => assert_eq!(*parent, closed),
        EmbeddedPostgresError::Io { path, .. } if !account::is_root() => assert_eq!(*path, closed.join("below")),
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_tells_why() {
    let place = a_place();
    let postgres = EmbeddedPostgres::start(kept_in(&place)).await.unwrap();
    let settings = postgres.home.data().join("postgresql.auto.conf");
    postgres.stop().await.unwrap();
    fs::write(settings, "no_such_setting = on\n").unwrap();

    let error = EmbeddedPostgres::start(kept_in(&place)).await.unwrap_err();
    assert!(error.to_string().contains(r#"unrecognized configuration parameter "no_such_setting""#), "{error}");
}
