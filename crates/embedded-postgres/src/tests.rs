//! Tests on real clusters. They must pass as root, where the server runs as another user, and as any other user, where
//! it runs as the same one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use tempfile::TempDir;

use super::*;

fn temp_dir() -> TempDir {
    let parent = TempDir::new().unwrap();
    // If root runs the tests, the server's user must be able to traverse the directory.
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

/// Makes the owner of the parent directory, which is the server's user, the owner of a file that the test has created.
fn give_to_owner_of_parent(path: &Path) {
    let owner = path.parent().unwrap().metadata().unwrap();
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// Leaves what a killed process leaves: a running server, and locks that the kernel has released.
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
    give_to_owner_of_parent(&pid_path);
    drop(postgres);

    let postgres = EmbeddedPostgres::start(durable_in(&parent)).await.unwrap();
    assert!(is_usable(&postgres).await);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn incomplete_cluster_is_initialised_again() {
    let parent = temp_dir();
    let incomplete = temporary_in(&parent).data_dir.join("postgres/data.new");
    DataDir::open(&temporary_in(&parent).data_dir).unwrap();
    fs::create_dir(&incomplete).unwrap();
    fs::write(incomplete.join("PG_VERSION"), "15\n").unwrap();
    give_to_owner_of_parent(&incomplete);

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

/// What the server's user may put in place of a file.
const REPLACEMENTS: [&str; 3] = ["ln -s", "ln", "mkfifo"];

/// A directory of root with a file that only root may read and write, and a cluster directory of the server's user.
struct Ambush {
    parent: TempDir,
    data_dir: DataDir,
}

impl Ambush {
    /// `None` unless root runs the tests: any other user is the server's user, whose links give access to nothing new.
    fn new() -> Option<Self> {
        if !account::is_root() {
            return None;
        }
        let parent = temp_dir();
        let (data_dir, account) = DataDir::open(&durable_in(&parent).data_dir).unwrap();
        let data = data_dir.data().to_owned();
        account.run(|| fs::create_dir(&data).map_err(EmbeddedPostgresError::io("create", &data))).unwrap();
        let ambush = Self { parent, data_dir };
        fs::create_dir(ambush.secrets()).unwrap();
        // As a PID file and as a version it would be valid.
        for (name, text) in
            [("secret", "15\n"), ("postmaster.pid", "1\n/\n0\n5432\n"), ("PG_VERSION", "15\n"), ("server.log", "")]
        {
            fs::write(ambush.secrets().join(name), text).unwrap();
            fs::set_permissions(ambush.secrets().join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        Some(ambush)
    }

    fn secrets(&self) -> PathBuf {
        self.parent.path().join("secrets")
    }

    fn postgres(&self) -> PathBuf {
        self.data_dir.data().parent().unwrap().to_owned()
    }

    /// Puts a link to root's file, or a FIFO, in place of a file of the cluster.
    fn replace(&self, file: &Path, by: &str) {
        let _ = fs::remove_file(file);
        let mut words = by.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        if by != "mkfifo" {
            command.arg(self.secrets().join("secret"));
        }
        assert!(command.arg(file).status().unwrap().success());
    }

    /// Names, texts, owners and modes of root's files.
    fn state(&self) -> Vec<(PathBuf, String, u32, u32)> {
        let mut files: Vec<_> = fs::read_dir(self.secrets()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let state = files.into_iter().map(|path| {
            let (text, metadata) = (fs::read_to_string(&path).unwrap(), path.metadata().unwrap());
            (path, text, metadata.uid(), metadata.mode())
        });
        state.collect()
    }
}

#[test]
fn links_and_fifos_do_not_reach_files_of_root() {
    let Some(ambush) = Ambush::new() else { return };
    let (data_dir, before) = (&ambush.data_dir, ambush.state());
    for by in REPLACEMENTS {
        for (file, is_denied) in [
            ("server.log", &(|| data_dir.open_log().is_err()) as &dyn Fn() -> bool),
            ("server.log", &|| data_dir.last_log_lines().is_empty()),
            ("turn.lock", &|| data_dir.lock_startup().is_err()),
            ("users.lock", &|| data_dir.join_users().is_err()),
            ("password", &|| data_dir.password().is_err()),
            ("data/postmaster.pid", &|| data_dir.postmaster().is_none()),
            ("data/PG_VERSION", &|| data_dir.major_version().is_err()),
        ] {
            ambush.replace(&ambush.postgres().join(file), by);
            assert!(is_denied(), "{by} {file}");
            assert_eq!(ambush.state(), before, "{by} {file}");
        }
    }
    // A log that was replaced does not prevent the next start.
    data_dir.rotate_log().unwrap();
    assert!(data_dir.open_log().is_ok());
}

#[test]
fn linked_directories_do_not_reach_files_of_root() {
    let Some(ambush) = Ambush::new() else { return };
    let (data_dir, before) = (&ambush.data_dir, ambush.state());
    let link = |path: &Path| {
        fs::remove_dir_all(path).unwrap();
        std::os::unix::fs::symlink(ambush.secrets(), path).unwrap();
    };
    fs::set_permissions(ambush.secrets(), fs::Permissions::from_mode(0o711)).unwrap();
    link(data_dir.data());
    assert!(data_dir.postmaster().is_none() && data_dir.major_version().is_err());
    data_dir.remove().unwrap();
    assert_eq!(ambush.state(), before);

    // The whole directory is replaced after it was opened.
    let (data_dir, _) = DataDir::open(&durable_in(&ambush.parent).data_dir).unwrap();
    link(&ambush.postgres());
    assert!(data_dir.lock_startup().is_err() && data_dir.open_log().is_err() && data_dir.password().is_err());
    assert!(data_dir.rotate_log().is_err() && data_dir.remove().is_err());
    assert_eq!(ambush.state(), before);
    // The directory is replaced before it is opened.
    assert!(EmbeddedPostgres::prepare(&durable_in(&ambush.parent)).is_err());
    assert_eq!(ambush.state(), before);
}

#[test]
fn link_to_a_directory_of_another_user_is_rejected() {
    let Some(ambush) = Ambush::new() else { return };
    let others = ambush.parent.path().join("others");
    fs::create_dir(&others).unwrap();
    std::os::unix::fs::chown(&others, Some(54_321), Some(54_321)).unwrap();
    let path = ambush.postgres();
    let owner = path.metadata().unwrap();
    fs::remove_dir_all(&path).unwrap();
    std::os::unix::fs::symlink(&others, &path).unwrap();
    std::os::unix::fs::lchown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();

    let data_dir = durable_in(&ambush.parent).data_dir;
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o711)).unwrap();
    let error = DataDir::open(&data_dir).unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::Io { action: "use", .. }), "{error}");
    // A link by root is the operator's.
    std::os::unix::fs::lchown(&path, Some(0), Some(0)).unwrap();
    assert!(DataDir::open(&data_dir).is_ok());
}

#[test]
fn credentials_of_the_servers_user_end_with_its_work() {
    let Some(ambush) = Ambush::new() else { return };
    let (_, account) = DataDir::open(&durable_in(&ambush.parent).data_dir).unwrap();
    let owner_of = |name: &str| {
        let path = ambush.postgres().join(name);
        fs::write(&path, "").unwrap();
        path.metadata().unwrap().uid()
    };
    let theirs = account.run(|| Ok(owner_of("theirs"))).unwrap();
    assert_eq!((theirs != 0, owner_of("ours")), (true, 0));
}

#[tokio::test]
async fn locator_finds_the_server_that_another_process_started() {
    let parent = temp_dir();
    let first = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();
    let locator = first.locator();
    assert_eq!(locator.port(), Some(first.port));

    kill_server(&first);
    assert_eq!(locator.port(), None);
    let second = EmbeddedPostgres::start(temporary_in(&parent)).await.unwrap();

    assert_ne!(first.port, second.port);
    assert_eq!(locator.port(), Some(second.port));
    second.stop().await.unwrap();
    first.stop().await.unwrap();
}
