//! A private PostgreSQL cluster, made of the system's installed programs: the database when none is configured,
//! and the tests'.
//!
//! Processes share a cluster. The first one starts the server, the last one stops it; one that was killed is not
//! counted, so the server that it left behind is found again and stopped by the next. Imports nothing of ours.
//!
//! ```text
//! <data directory>/postgres/
//!     data/        the cluster; data.new/ while initdb works, so that a crash leaves nothing that looks finished
//!     password     of the one role, `cinegraph`
//!     server.log   since the last start, server.log.1 of the run before
//!     turn.lock    exclusive while a process starts, joins or leaves
//!     users.lock   shared by all processes that use the server
//! ```

mod account;
mod binaries;
mod data_dir;
mod error;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::task::spawn_blocking;

use self::account::Account;
use self::binaries::Binaries;
use self::data_dir::{DataDir, Postmaster};
pub use self::error::EmbeddedPostgresError;

/// The superuser that owns everything in the cluster, and the database that [`EmbeddedPostgres::start`] makes.
const ROLE: &str = "cinegraph";

/// Starts that may fail (its port was taken meanwhile, backends of a killed server still end) before we give up.
const START_ATTEMPTS: u32 = 5;
const START_PAUSE: Duration = Duration::from_millis(500);
/// Long enough for the recovery after a crash.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const READY_POLL: Duration = Duration::from_millis(20);

const PID_FILE_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_TIMEOUT_SECONDS: u32 = 60;

/// Where the cluster lives, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Created when absent, readable by nobody else. One that exists is left as it is but for a folder `postgres`.
    pub data_dir: PathBuf,
    /// The data may be lost: fast instead of durable, and removed when the last user stops.
    pub temporary: bool,
}

/// Where the cluster is kept unless configured: `/var/lib/cinegraph` for root, else `$XDG_DATA_HOME/cinegraph` or
/// `~/.local/share/cinegraph`.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    if account::is_root() {
        return PathBuf::from("/var/lib/cinegraph");
    }
    let data_home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let own_home = || std::env::home_dir().unwrap_or_default().join(".local/share");
    data_home.unwrap_or_else(own_home).join("cinegraph")
}

/// A running cluster, held by this process. Dropped, it is released as by [`EmbeddedPostgres::stop`], blocking.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    home: DataDir,
    account: Account,
    installation: Binaries,
    password: String,
    temporary: bool,
    port: u16,
    /// Held from start to end by each process that uses the server.
    users: Option<File>,
    /// Held while we start; another process waits until we are done.
    turn: Option<File>,
    /// The server, where it is our child.
    server: Option<Child>,
}

impl EmbeddedPostgres {
    /// Makes the cluster where there is none, starts it or joins the running one, and makes sure that the database
    /// `cinegraph` exists. Cancelled, it leaves no server behind.
    ///
    /// # Errors
    /// [`EmbeddedPostgresError`], which says what to do where a person can do something.
    pub async fn start(options: Options) -> Result<Self, EmbeddedPostgresError> {
        let mut postgres = spawn_blocking(move || Self::prepare(&options)).await??;
        if !postgres.join().await? {
            postgres.launch().await?;
        }
        postgres.create_database().await?;
        // Only now may the next one come: it finds all this done.
        postgres.turn = None;
        Ok(postgres)
    }

    /// `postgres://cinegraph:PASSWORD@127.0.0.1:PORT/DATABASE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@{}:{}/{database}", self.password, Ipv4Addr::LOCALHOST, self.port)
    }

    /// The same for `psql` and others that read libpq's variables.
    #[must_use]
    pub fn environment(&self, database: &str) -> [(&'static str, String); 5] {
        [
            ("PGHOST", Ipv4Addr::LOCALHOST.to_string()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", ROLE.to_owned()),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    /// Leaves the cluster, and stops the server unless another process uses it.
    ///
    /// # Errors
    /// When the server does not stop within a minute, or its files cannot be removed (temporary).
    pub async fn stop(mut self) -> Result<(), EmbeddedPostgresError> {
        spawn_blocking(move || self.release()).await?
    }

    /// All that comes before the server: programs, directories, the turn, a finished cluster.
    fn prepare(options: &Options) -> Result<Self, EmbeddedPostgresError> {
        let (home, account) = DataDir::open(&options.data_dir)?;
        let turn = home.take_turn(&account)?;
        let installation = Binaries::find(home.major_version()?, &home)?;
        if home.major_version()?.is_none() {
            home.initialise(&account, &installation, options.temporary)?;
        }
        let password = home.password()?;
        let users = home.join_users(&account)?;
        Ok(Self {
            home,
            account,
            installation,
            password,
            temporary: options.temporary,
            port: 0,
            users: Some(users),
            turn: Some(turn),
            server: None,
        })
    }

    /// Joins a server that runs already, also one whose owner was killed; `false` when there is none.
    async fn join(&mut self) -> Result<bool, EmbeddedPostgresError> {
        let Some(found) = self.home.postmaster() else { return Ok(false) };
        let since = Instant::now();
        while self.home.is_home_of(found) {
            match self.check(found.port).await {
                Ok(()) => {
                    self.port = found.port;
                    return Ok(true);
                }
                Err(error) if refuses(&error) => return Err(EmbeddedPostgresError::Refused(error)),
                Err(_) if since.elapsed() > START_TIMEOUT => return Err(self.not_ready()),
                // Recovering from a crash, or on its way out.
                Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
        self.home.remove_stale_pid_file(found)?;
        Ok(false)
    }

    async fn launch(&mut self) -> Result<(), EmbeddedPostgresError> {
        self.home.rotate_log()?;
        for attempt in 1..=START_ATTEMPTS {
            let port = free_port()?;
            self.server = Some(self.spawn_server(port)?);
            if self.comes_up(port).await? {
                self.port = port;
                return Ok(());
            }
            if attempt < START_ATTEMPTS {
                tokio::time::sleep(START_PAUSE).await;
            }
        }
        Err(EmbeddedPostgresError::NotStarted { log: self.home.log_path(), last_lines: self.home.last_log_lines() })
    }

    fn spawn_server(&self, port: u16) -> Result<Child, EmbeddedPostgresError> {
        let program = self.installation.program("postgres");
        let mut command = self.account.command(&program);
        command.arg("-D").arg(self.home.data()).args(["-p", &port.to_string()]);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        let log = self.home.open_log(&self.account)?;
        command.stdout(log.try_clone().map_err(EmbeddedPostgresError::io("share", &self.home.log_path()))?).stderr(log);
        command.spawn().map_err(EmbeddedPostgresError::io("run", &program))
    }

    fn settings(&self) -> Vec<&'static str> {
        let mut settings = vec![
            "listen_addresses=127.0.0.1",
            // A socket's path has about 100 bytes, and some directories need more.
            "unix_socket_directories=",
            "max_connections=100",
            "shared_buffers=128MB",
            "wal_level=replica",
            // Compiling costs more than our short statements take.
            "jit=off",
            "timezone=UTC",
            "log_timezone=UTC",
        ];
        if self.installation.counts_statements {
            settings.push("shared_preload_libraries=pg_stat_statements");
        }
        if self.temporary {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        }
        settings
    }

    /// Waits until the server answers; `false` when it ended instead.
    async fn comes_up(&mut self, port: u16) -> Result<bool, EmbeddedPostgresError> {
        let since = Instant::now();
        while let Err(error) = self.check(port).await {
            if self.has_ended() {
                return Ok(false);
            }
            if refuses(&error) {
                return Err(EmbeddedPostgresError::Refused(error));
            }
            if since.elapsed() > START_TIMEOUT {
                return Err(self.not_ready());
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(true)
    }

    /// Whether the server at `port` takes our password and serves our directory, not a copy of it.
    async fn check(&self, port: u16) -> Result<(), sqlx::Error> {
        let mut connection = self.connect(port).await?;
        let data: String =
            sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut connection).await?;
        connection.close().await?;
        if Path::new(&data) == self.home.data() {
            Ok(())
        } else {
            Err(sqlx::Error::Configuration(format!("port {port} serves {data}").into()))
        }
    }

    async fn connect(&self, port: u16) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::new_without_pgpass()
            .host(&Ipv4Addr::LOCALHOST.to_string())
            .port(port)
            .username(ROLE)
            .password(&self.password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
            .connect()
            .await
    }

    async fn create_database(&self) -> Result<(), EmbeddedPostgresError> {
        let mut connection = self.connect(self.port).await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'cinegraph')")
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query("CREATE DATABASE cinegraph").execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Whether there is no server that we started, or not any more.
    fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)))
    }

    fn not_ready(&self) -> EmbeddedPostgresError {
        EmbeddedPostgresError::NotReady {
            seconds: START_TIMEOUT.as_secs(),
            log: self.home.log_path(),
            last_lines: self.home.last_log_lines(),
        }
    }

    fn release(&mut self) -> Result<(), EmbeddedPostgresError> {
        let Some(users) = self.users.take() else { return Ok(()) };
        // Nobody joins while we look whether we are the last.
        let _turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.home.take_turn(&self.account)?,
        };
        if !self.home.is_last(users, &self.account)? {
            return Ok(());
        }
        self.stop_server()?;
        if self.temporary { self.home.remove() } else { Ok(()) }
    }

    fn stop_server(&mut self) -> Result<(), EmbeddedPostgresError> {
        // A server that we started this moment has yet to write its number down.
        let since = Instant::now();
        while self.home.postmaster().is_none() && !self.has_ended() && since.elapsed() < PID_FILE_TIMEOUT {
            thread::sleep(READY_POLL);
        }
        let is_running = |found: Postmaster| self.home.is_home_of(found);
        if !self.home.postmaster().is_some_and(is_running) {
            return Ok(());
        }
        let mut pg_ctl = self.account.command(&self.installation.program("pg_ctl"));
        pg_ctl.args(["stop", "-w", "-m", if self.temporary { "immediate" } else { "fast" }]);
        pg_ctl.args(["-t", &STOP_TIMEOUT_SECONDS.to_string()]).arg("-D").arg(self.home.data());
        let stopped = account::output_of(pg_ctl);
        // Waits for our child, if it is one, so that it does not stay as a dead entry in the process table.
        self.server.as_mut().map(Child::try_wait);
        // It may have ended by itself meanwhile, which pg_ctl calls an error.
        if self.home.postmaster().is_some_and(is_running) { stopped.map(drop) } else { Ok(()) }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::warn!(error = %error, "the private PostgreSQL was not stopped");
        }
    }
}

/// The server is up and does not want us; waiting changes nothing. SQLSTATE class 28: invalid authorization.
fn refuses(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
}

fn free_port() -> Result<u16, EmbeddedPostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(EmbeddedPostgresError::NoPort)
}
