//! A real Redis server per test, from the system's packages.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::certificates::{CertificateAuthority, Identity};
use super::process::signal;
use super::until;

/// A server that is killed when dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one without persistence.
    pub(crate) async fn start() -> Self {
        // The kernel does not hand out a port again soon, so no other test gets this one before the server binds it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        let server = Self { process: spawn(&["--port", &port.to_string()], &directory), port, directory };
        server.wait_until_ready().await;
        server
    }

    /// Starts one with this certificate; it rejects connections without TLS.
    pub(crate) async fn with_tls(authority: &CertificateAuthority, identity: &Identity) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let trusted = path(&authority.certificate());
        let tls = [
            ("--port", "0".to_owned()),
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", path(&identity.certificate)),
            ("--tls-key-file", path(&identity.key)),
            ("--tls-ca-cert-file", trusted.clone()),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let directory = TempDir::new().unwrap();
        let settings: Vec<_> = tls.iter().flat_map(|(name, value)| [*name, value]).collect();
        let server = Self { process: spawn(&settings, &directory), port, directory };
        until("Redis replies to PING", async || server.command(&["--tls", "--cacert", &trusted, "PING"]) == "PONG")
            .await;
        server
    }

    /// Its URL, without TLS.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port, for a stand-in.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command with `redis-cli`; returns the reply.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again on the same port, empty.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(&["--port", &self.port.to_string()], &self.directory);
        self.wait_until_ready().await;
    }

    /// Suspends it; its connections stay open.
    pub(crate) fn freeze(&self) {
        signal("STOP", &[self.process.id()]);
    }

    /// Resumes it.
    pub(crate) fn thaw(&self) {
        signal("CONT", &[self.process.id()]);
    }

    async fn wait_until_ready(&self) {
        until("Redis replies to PING", async || self.command(&["PING"]) == "PONG").await;
    }
}

fn spawn(settings: &[&str], directory: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(settings)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: scripts/install.sh")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
