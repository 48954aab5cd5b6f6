//! An instance of the service as a supervisor runs it: restarted if it exits, with its output in a file.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use crate::cli::without_settings;
use crate::support::signal;

/// Environment variable: the program to test, to compare versions.
const BINARY: &str = "CHAOS_BINARY";

/// How long an instance may take to exit after SIGTERM: `shutdown_timeout_seconds` and a margin.
const STOP: Duration = Duration::from_secs(15);

/// The program on a database, without settings of this process.
pub(super) fn program(namespace: Option<&str>, arguments: &[&str]) -> Command {
    let program = std::env::var(BINARY).unwrap_or_else(|_| env!("CARGO_BIN_EXE_cinegraph").to_owned());
    let mut command = match namespace {
        // It replaces itself with the program, which so has its process id.
        Some(name) => {
            let mut ip = Command::new("ip");
            ip.args(["netns", "exec", name, &program]);
            ip
        }
        None => Command::new(program),
    };
    without_settings(&mut command).args(arguments);
    command
}

/// Resources that an instance holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vitals {
    pub(super) open_files: usize,
    pub(super) resident_kib: u64,
    /// Pooled connections that are in use.
    pub(super) connections_used: u64,
}

/// Killed when dropped.
pub(super) struct Instance {
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) log: PathBuf,
    namespace: Option<String>,
    settings: Vec<(&'static str, String)>,
    process: Option<Child>,
}

impl Instance {
    /// An instance that is not running yet. The addresses must be free in the namespace.
    pub(super) fn new(
        [address, admin]: [SocketAddr; 2],
        namespace: Option<&str>,
        log: &Path,
        settings: &[(&'static str, String)],
    ) -> Self {
        let listeners = [("CINEGRAPH_HTTP_ADDR", address), ("CINEGRAPH_ADMIN_ADDR", admin)];
        let listeners = listeners.map(|(name, address)| (name, address.to_string()));
        let settings = [settings, &listeners, &[("CINEGRAPH_LOG_FORMAT", "json".to_owned())]].concat();
        Self { address, admin, log: log.to_owned(), namespace: namespace.map(str::to_owned), settings, process: None }
    }

    /// Starts the process if it is not running; returns whether it had to, and the status if it had exited by itself.
    pub(super) fn ensure_running(&mut self) -> (bool, Option<ExitStatus>) {
        let exited = self.process.as_mut().map(|process| process.try_wait().unwrap());
        if exited == Some(None) {
            return (false, None);
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let arguments: &[&str] = &["serve"];
        let mut command = program(self.namespace.as_deref(), arguments);
        command.envs(self.settings.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::null()).stderr(File::try_clone(&log).unwrap()).stdout(log);
        self.process = Some(command.spawn().unwrap());
        (true, exited.flatten())
    }

    /// Whether it responds that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        Client::of(self.address).get("/health/ready").await.is_ok_and(|(status, _)| status == 200)
    }

    /// Kills it, as a crash would.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends SIGTERM and waits until it has exited.
    ///
    /// # Errors
    /// Its exit status if that is not 0, or that it did not exit in time and was killed.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else { return Ok(()) };
        signal("TERM", &[process.id()]);
        let started = Instant::now();
        let status = loop {
            match process.try_wait().unwrap() {
                None if started.elapsed() < STOP => tokio::time::sleep(Duration::from_millis(20)).await,
                status => break status,
            }
        };
        self.kill();
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("ended with {status} after SIGTERM")),
            None => Err(format!("did not end within {STOP:?} after SIGTERM")),
        }
    }

    /// Sends a signal, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            signal(name, &[process.id()]);
        }
    }

    /// What it holds now; `None` if it does not respond.
    pub(super) async fn vitals(&self) -> Option<Vitals> {
        let process = PathBuf::from("/proc").join(self.process.as_ref()?.id().to_string());
        let status = fs::read_to_string(process.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
        let (_, metrics) = Client::of(self.admin).get("/metrics").await.ok()?;
        let used = |line: &&str| line.starts_with("db_client_connections{") && line.contains("state=\"used\"");
        let used = metrics.lines().filter(used).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
        let open_files = fs::read_dir(process.join("fd")).ok()?.count();
        Some(Vitals { open_files, resident_kib: resident.parse().ok()?, connections_used: used })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}
