//! Embedded PostgreSQL cluster, run with the system's installed programs: the database if no URL is configured, and the
//! database of the tests.
//!
//! Processes share a cluster. The first one starts the server, the last one stops it. The kernel releases the locks of
//! a killed process, so it no longer counts as a user. A server that it has left running is joined by the next process,
//! and is stopped when the last user leaves.
//!
//! ```text
//! <data directory>/postgres/
//!     data/        the cluster; data.new/ while initdb runs, so that a crash leaves no cluster that looks complete
//!     password     password of the only role, `cinegraph`
//!     server.log   log since the last start; server.log.1 is the log of the previous run
//!     turn.lock    the startup lock: locked exclusively while a process starts, joins or leaves
//!     users.lock   locked shared by all processes that use the server
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

/// Superuser that owns everything in the cluster; also the name of the database that [`EmbeddedPostgres::start`]
/// creates.
const ROLE: &str = "cinegraph";

/// How often to try to start the server. It exits at once if another program has taken its port in the meantime, or if
/// backends of a killed server are still exiting. The number is a choice: with [`START_PAUSE`], backends have two
/// seconds to exit.
const START_ATTEMPTS: u32 = 5;
const START_PAUSE: Duration = Duration::from_millis(500);

/// How long a server that runs may take to accept connections. The value is a choice; it must suffice for crash
/// recovery.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// Pause between two checks of a server that is starting or stopping.
const READY_POLL: Duration = Duration::from_millis(20);

/// How long to wait for the PID file of a server that was just started. The value is a choice: a server writes the file
/// among the first things that it does.
const PID_FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long `pg_ctl` waits until the server has stopped. The value is a choice; it must suffice for a checkpoint.
const STOP_TIMEOUT_SECONDS: u32 = 60;

/// Location and durability of the cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Created if missing, accessible only to its owner. In an existing directory only the folder `postgres` is
    /// touched.
    pub data_dir: PathBuf,
    /// The data may be lost: durability is off, and the last user removes the cluster when it stops.
    pub temporary: bool,
}

/// Default data directory: `/var/lib/cinegraph` for root, otherwise `$XDG_DATA_HOME/cinegraph` or
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

/// Finds the server of a cluster, whoever started it.
#[derive(Debug, Clone)]
pub struct Locator(DataDir);

impl Locator {
    /// The port of the server that runs on the cluster now; `None` if no server runs. Reads small files, so it blocks.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.0.postmaster().filter(|found| self.0.is_served_by(*found)).map(|found| found.port)
    }
}

/// A running cluster that this process uses. Dropping it has the effect of [`EmbeddedPostgres::stop`], but blocks the
/// thread and only logs errors.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    data_dir: DataDir,
    account: Account,
    binaries: Binaries,
    password: String,
    temporary: bool,
    /// The port of the server; 0 until it is known.
    port: u16,
    /// Shared lock that each process holds while it uses the server. `None` once this process has left.
    users_lock: Option<File>,
    /// Lock that is held during the start; other processes wait for it. `None` after the start.
    startup_lock: Option<File>,
    /// The server, if this process started it.
    server: Option<Child>,
}

impl EmbeddedPostgres {
    /// Initialises the cluster if necessary, starts it or joins the running one, and creates the database `cinegraph`
    /// if it is missing. If the future is dropped before it completes, no server stays behind.
    ///
    /// # Errors
    /// [`EmbeddedPostgresError`]; its message says how to fix the problem where the user can.
    pub async fn start(options: Options) -> Result<Self, EmbeddedPostgresError> {
        let mut postgres = spawn_blocking(move || Self::prepare(&options)).await??;
        if !postgres.join().await? {
            postgres.launch().await?;
        }
        postgres.create_database().await?;
        // The startup lock is released only now, so that the next process finds a cluster with its database.
        postgres.startup_lock = None;
        Ok(postgres)
    }

    /// `postgres://cinegraph:PASSWORD@127.0.0.1:PORT/DATABASE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@{}:{}/{database}", self.password, Ipv4Addr::LOCALHOST, self.port)
    }

    /// A locator, which finds the server again after another process has restarted it on another port.
    #[must_use]
    pub fn locator(&self) -> Locator {
        Locator(self.data_dir.clone())
    }

    /// The parts of [`url`](Self::url) as environment variables of libpq, for `psql` and other clients.
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
    /// If the server does not stop within a minute, or if the files of a temporary cluster cannot be removed.
    pub async fn stop(mut self) -> Result<(), EmbeddedPostgresError> {
        spawn_blocking(move || self.release()).await?
    }

    /// Does all that comes before the start of the server: creates the directories, takes the startup lock, finds the
    /// programs, initialises the cluster, and takes the users lock.
    fn prepare(options: &Options) -> Result<Self, EmbeddedPostgresError> {
        let (data_dir, account) = DataDir::open(&options.data_dir)?;
        let startup_lock = data_dir.lock_startup()?;
        let binaries = Binaries::find(data_dir.major_version()?, &data_dir)?;
        if data_dir.major_version()?.is_none() {
            data_dir.initialise(&binaries, options.temporary)?;
        }
        let password = data_dir.password()?;
        let users_lock = data_dir.join_users()?;
        Ok(Self {
            data_dir,
            account,
            binaries,
            password,
            temporary: options.temporary,
            port: 0,
            users_lock: Some(users_lock),
            startup_lock: Some(startup_lock),
            server: None,
        })
    }

    /// Joins a running server, even if the process that started it was killed. Waits while the server does not accept
    /// connections yet. Returns `false` if no server runs.
    async fn join(&mut self) -> Result<bool, EmbeddedPostgresError> {
        let Some(found) = self.data_dir.postmaster() else { return Ok(false) };
        let since = Instant::now();
        while self.data_dir.is_served_by(found) {
            match self.check(found.port).await {
                Ok(()) => {
                    self.port = found.port;
                    return Ok(true);
                }
                Err(error) if is_auth_failure(&error) => {
                    return Err(EmbeddedPostgresError::AuthenticationFailed(error));
                }
                Err(_) if since.elapsed() > START_TIMEOUT => return Err(self.not_ready()),
                // The server is starting, recovering from a crash, or shutting down.
                Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
        self.data_dir.remove_stale_pid_file(found)?;
        Ok(false)
    }

    /// Starts the server. If it exits before it accepts connections, tries again on another port.
    async fn launch(&mut self) -> Result<(), EmbeddedPostgresError> {
        self.data_dir.rotate_log()?;
        for attempt in 1..=START_ATTEMPTS {
            let port = free_port()?;
            self.server = Some(self.spawn_server(port)?);
            if self.wait_until_ready(port).await? {
                self.port = port;
                return Ok(());
            }
            if attempt < START_ATTEMPTS {
                tokio::time::sleep(START_PAUSE).await;
            }
        }
        Err(EmbeddedPostgresError::NotStarted {
            log: self.data_dir.log_path(),
            last_lines: self.data_dir.last_log_lines(),
        })
    }

    fn spawn_server(&self, port: u16) -> Result<Child, EmbeddedPostgresError> {
        let program = self.binaries.program("postgres");
        let mut command = self.account.command(&program);
        command.arg("-D").arg(self.data_dir.data()).args(["-p", &port.to_string()]);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        let log = self.data_dir.open_log()?;
        command
            .stdout(log.try_clone().map_err(EmbeddedPostgresError::io("share", &self.data_dir.log_path()))?)
            .stderr(log);
        command.spawn().map_err(EmbeddedPostgresError::io("run", &program))
    }

    /// Settings of the server, which override those that `initdb` has written.
    fn settings(&self) -> Vec<&'static str> {
        let mut settings = vec![
            "listen_addresses=127.0.0.1",
            // No Unix socket: its path is limited to about 100 bytes, which some directories exceed.
            "unix_socket_directories=",
            // PostgreSQL's defaults. `initdb` lowers the first two on machines with little memory.
            "max_connections=100",
            "shared_buffers=128MB",
            "wal_level=replica",
            // JIT compilation costs more than these short statements take.
            "jit=off",
            "timezone=UTC",
            "log_timezone=UTC",
        ];
        if self.binaries.has_pg_stat_statements {
            settings.push("shared_preload_libraries=pg_stat_statements");
        }
        if self.temporary {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        }
        settings
    }

    /// Waits until the server accepts connections; `false` if it exits instead.
    async fn wait_until_ready(&mut self, port: u16) -> Result<bool, EmbeddedPostgresError> {
        let since = Instant::now();
        while let Err(error) = self.check(port).await {
            if self.has_exited() {
                return Ok(false);
            }
            if is_auth_failure(&error) {
                return Err(EmbeddedPostgresError::AuthenticationFailed(error));
            }
            if since.elapsed() > START_TIMEOUT {
                return Err(self.not_ready());
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(true)
    }

    /// Checks that the server at `port` accepts the password and serves this directory. A copied directory contains the
    /// PID file, with the port of the server of the original.
    async fn check(&self, port: u16) -> Result<(), sqlx::Error> {
        let mut connection = self.connect(port).await?;
        let data: String =
            sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut connection).await?;
        connection.close().await?;
        if Path::new(&data) == self.data_dir.data() {
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

    /// Whether the server that this process has started has exited. Also true if this process has started none.
    fn has_exited(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)))
    }

    fn not_ready(&self) -> EmbeddedPostgresError {
        EmbeddedPostgresError::NotReady {
            seconds: START_TIMEOUT.as_secs(),
            log: self.data_dir.log_path(),
            last_lines: self.data_dir.last_log_lines(),
        }
    }

    /// Leaves the cluster, as [`stop`](Self::stop) describes. Does nothing if this process has left it before.
    fn release(&mut self) -> Result<(), EmbeddedPostgresError> {
        let Some(users_lock) = self.users_lock.take() else { return Ok(()) };
        // The startup lock is held until the end, so that no process joins a server that is about to be stopped.
        let _lock = match self.startup_lock.take() {
            Some(lock) => lock,
            None => self.data_dir.lock_startup()?,
        };
        let was_last = self.data_dir.leave_users(users_lock)?;
        if !was_last {
            return Ok(());
        }
        self.stop_server()?;
        if self.temporary { self.data_dir.remove() } else { Ok(()) }
    }

    /// Stops the server, whichever process started it. Does nothing if none runs.
    fn stop_server(&mut self) -> Result<(), EmbeddedPostgresError> {
        // `pg_ctl` needs the PID file, which a server that was just started may not have written yet.
        let since = Instant::now();
        while self.data_dir.postmaster().is_none() && !self.has_exited() && since.elapsed() < PID_FILE_TIMEOUT {
            thread::sleep(READY_POLL);
        }
        let is_running = |found: Postmaster| self.data_dir.is_served_by(found);
        if !self.data_dir.postmaster().is_some_and(is_running) {
            return Ok(());
        }
        let mut pg_ctl = self.account.command(&self.binaries.program("pg_ctl"));
        // `immediate` skips the last checkpoint, since a temporary cluster is removed next. `fast` does not wait for
        // clients: it disconnects them.
        pg_ctl.args(["stop", "-w", "-m", if self.temporary { "immediate" } else { "fast" }]);
        pg_ctl.args(["-t", &STOP_TIMEOUT_SECONDS.to_string()]).arg("-D").arg(self.data_dir.data());
        let stopped = account::output_of(pg_ctl);
        // Reaps the child, so that it does not remain as a zombie.
        self.server.as_mut().map(Child::try_wait);
        // The server may have exited by itself meanwhile, which pg_ctl reports as an error.
        if self.data_dir.postmaster().is_some_and(is_running) { stopped.map(drop) } else { Ok(()) }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::warn!(error = %error, "cannot stop the embedded PostgreSQL");
        }
    }
}

/// Whether the server rejects the credentials (SQLSTATE class 28). If it does, waiting for the server is of no use.
fn is_auth_failure(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
}

/// A port that is free now. Another program may take it before the server does; then the start is tried again.
fn free_port() -> Result<u16, EmbeddedPostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(EmbeddedPostgresError::NoPort)
}
