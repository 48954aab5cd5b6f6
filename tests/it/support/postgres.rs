//! A real PostgreSQL of a test's own, to be stopped, frozen and killed; and replicas of it.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::certificates::Identity;
use super::process::{children_of, signal};
use super::until;

/// Connections that it takes: a few more than one service opens.
const CONNECTIONS: u32 = 40;

/// A server that ends with the test.
pub(crate) struct PostgresServer {
    programs: Programs,
    process: Option<Child>,
    port: u16,
    directory: TempDir,
}

/// The programs of the server that the tests run on, and whom they run as.
#[derive(Clone)]
struct Programs {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root.
    account: Option<(u32, u32)>,
}

impl Programs {
    async fn find() -> Self {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names the server that tests run on");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let bin: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let id = |arguments: &[&str]| {
            let output = Command::new("id").args(arguments).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
        };
        let is_root = id(&["-u"]) == Some(0);
        let postgres = || Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?));
        Self { bin: bin.into(), account: if is_root { postgres() } else { None } }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// A directory that the server may use.
    fn directory(&self) -> TempDir {
        let directory = TempDir::new().unwrap();
        if let Some((uid, gid)) = self.account {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        directory
    }
}

impl PostgresServer {
    /// Makes an empty cluster and starts it.
    pub(crate) async fn start() -> Self {
        let programs = Programs::find().await;
        let directory = programs.directory();
        let mut initdb = programs.command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        assert!(initdb.arg(directory.path().join("data")).status().unwrap().success(), "initdb");
        Self::on(programs, directory).await
    }

    /// A replica of this server that streams from it.
    pub(crate) async fn replica(&self) -> Self {
        let directory = self.programs.directory();
        let mut backup = self.programs.command("pg_basebackup");
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", &self.url("postgres"), "-D"]);
        assert!(backup.arg(directory.path().join("data")).status().unwrap().success(), "pg_basebackup");
        Self::on(self.programs.clone(), directory).await
    }

    async fn on(programs: Programs, directory: TempDir) -> Self {
        // Free a moment ago: no other test gets the same one before this one is bound again.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { programs, process: None, port, directory };
        server.start_again().await;
        server
    }

    /// Where a database of it is.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts it again as a server that shows who it is, and that takes no connection without TLS.
    pub(crate) async fn require_tls(&mut self, identity: &Identity) {
        self.stop();
        let data = self.data();
        for (from, to) in [(&identity.certificate, "server.crt"), (&identity.key, "server.key")] {
            let to = data.join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = self.programs.account {
                chown(&to, Some(uid), Some(gid)).unwrap();
            }
        }
        fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
        fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        self.start_again().await;
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub(crate) async fn run(&self, statements: &'static str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    /// Starts it where it was.
    pub(crate) async fn start_again(&mut self) {
        let mut settings = vec![
            format!("port={}", self.port),
            format!("max_connections={CONNECTIONS}"),
            "listen_addresses=127.0.0.1".to_owned(),
        ];
        settings.extend(
            ["unix_socket_directories=", "fsync=off", "wal_level=replica", "hot_standby=on", "shared_buffers=32MB"]
                .map(str::to_owned),
        );
        until("PostgreSQL runs", async || {
            // Processes of one that was killed may still be ending; then it ends itself, to be started once more.
            let ended = self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some());
            if ended {
                let mut server = self.programs.command("postgres");
                server.arg("-D").arg(self.data());
                for setting in &settings {
                    server.args(["-c", setting]);
                }
                self.process = Some(server.spawn().unwrap());
            }
            PgConnection::connect(&self.url("postgres")).await.is_ok()
        })
        .await;
    }

    /// Ends all its processes as a crash would.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let mut all = children_of(process.id());
        all.push(process.id());
        signal("KILL", &all);
        let _ = process.wait();
    }

    /// Ends it in order, closing its connections.
    pub(crate) fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal("INT", &[process.id()]);
        let _ = process.wait();
    }

    /// Makes all its processes say nothing, their connections staying open.
    pub(crate) fn freeze(&self) {
        self.signal_all("STOP");
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, name: &str) {
        if let Some(process) = &self.process {
            // The parent first, so that it starts no more.
            signal(name, &[process.id()]);
            signal(name, &children_of(process.id()));
        }
    }

    fn data(&self) -> PathBuf {
        Path::new(self.directory.path()).join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}
