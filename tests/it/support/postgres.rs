//! A real PostgreSQL server per test, which the test can stop, freeze and kill, and its replicas.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::certificates::Identity;
use super::process::{children_of, signal};
use super::until;

/// `max_connections`: more than one service opens, also after links were lost several times. The server keeps the sessions
/// of lost links: its side of the link, a proxy of the test, stays open.
const CONNECTIONS: u32 = 100;

/// A server that is killed when dropped.
pub(crate) struct PostgresServer {
    programs: Programs,
    process: Option<Child>,
    port: u16,
    directory: TempDir,
}

/// The binaries of the server that the tests run on, and the account that they run as.
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

    /// A temporary directory that the server account owns.
    fn directory(&self) -> TempDir {
        let directory = TempDir::new().unwrap();
        if let Some((uid, gid)) = self.account {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        directory
    }
}

impl PostgresServer {
    /// Creates an empty cluster and starts it.
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
        // The kernel does not hand out a port again soon, so no other test gets this one before the server binds it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { programs, process: None, port, directory };
        server.start_again().await;
        server
    }

    /// Its port, for a stand-in.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Its address, for a stand-in.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Restarts it with this certificate; it then rejects connections without TLS.
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

    /// Lets this role log in only with its password, from now on.
    pub(crate) async fn require_password(&self, role: &str) {
        let rules = format!("host all {role} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        fs::write(self.data().join("pg_hba.conf"), rules).unwrap();
        self.run("SELECT pg_reload_conf()").await;
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub(crate) async fn run(&self, statements: &'static str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    /// Starts it on the same port and data directory.
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
            // The new server exits while processes of a killed one still hold the data directory: start it again.
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

    /// Kills all its processes, as a crash would.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let mut all = children_of(process.id());
        all.push(process.id());
        signal("KILL", &all);
        let _ = process.wait();
    }

    /// Shuts it down (fast), which closes its connections.
    pub(crate) fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal("INT", &[process.id()]);
        let _ = process.wait();
    }

    /// Suspends all its processes; their connections stay open.
    pub(crate) fn freeze(&self) {
        self.signal_all("STOP");
    }

    /// Resumes its processes.
    pub(crate) fn thaw(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, name: &str) {
        if let Some(process) = &self.process {
            // The parent first, so that it forks no further child.
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
