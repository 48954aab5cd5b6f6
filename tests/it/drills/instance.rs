//! An instance of the service at fixed addresses, which keeps its log.

use std::fs::{File, OpenOptions, create_dir_all};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::cli::{cinegraph, get};
use crate::support::{free_address, send_once, signal, until};

/// A running `cinegraph serve`; killed when dropped.
pub(super) struct Instance {
    process: Option<Child>,
    pub(super) public: SocketAddr,
    pub(super) admin: String,
    database_url: String,
    settings: Vec<(String, String)>,
    pub(super) log: PathBuf,
}

impl Instance {
    /// Starts it; returns when it is ready. Its log is in target/drills.
    pub(super) async fn start(name: &str, database_url: &str, settings: &[(&str, &str)]) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drills");
        create_dir_all(&directory).unwrap();
        let log = directory.join(format!("{name}.log"));
        let _ = std::fs::remove_file(&log);
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (public, admin) = (free_address(), free_address().to_string());
        let mut instance = Self { process: None, public, admin, database_url: database_url.to_owned(), settings, log };
        instance.start_again().await;
        instance
    }

    /// Starts it at the same addresses; returns when it is ready.
    pub(super) async fn start_again(&mut self) {
        let public = self.public.to_string();
        let arguments = ["serve", "--http-addr", &public, "--admin-addr", &self.admin, "--log-format", "json"];
        let mut command: Command = cinegraph(&self.database_url, &arguments);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(File::try_clone(&log).unwrap()).stdout(log);
        self.process = Some(command.spawn().unwrap());
        until("the instance is ready", async || {
            TcpStream::connect(self.public).await.is_ok() && get(&public, "/health/ready").0 == 200
        })
        .await;
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, name: &str) {
        signal(name, &[self.process.as_ref().unwrap().id()]);
    }

    /// Ends it: `KILL` as a crash does, `TERM` as a deploy does.
    pub(super) fn end(&mut self, name: &str) {
        self.signal(name);
        let _ = self.process.take().unwrap().wait();
    }

    /// Requests one result after the other, one in each `every`, until the handle is aborted.
    pub(super) fn load(&self, every: Duration, query: fn(u64) -> String) -> JoinHandle<()> {
        let address = self.public;
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            for number in 0.. {
                ticks.tick().await;
                tokio::spawn(async move { send_once(address, &query(number)).await });
            }
        })
    }

    /// Requests `count` results, one after the other.
    pub(super) async fn request(&self, count: u64, query: fn(u64) -> String) {
        for number in 0..count {
            send_once(self.public, &query(number)).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
