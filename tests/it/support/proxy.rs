//! A real HAProxy per test, from the system's packages.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::until;

/// The documented configuration, for two instances.
const SETTINGS: &str = include_str!("../../../config/haproxy.cfg");

/// HAProxy in front of two instances; stopped when dropped.
pub(crate) struct Proxy {
    process: Child,
    pub(crate) address: SocketAddr,
    _directory: TempDir,
}

impl Proxy {
    /// Starts it; returns when it listens.
    pub(crate) async fn before(instances: [SocketAddr; 2]) -> Self {
        let address = free_address();
        // A shorter health-check interval, so that the test need not wait.
        let settings = [
            ("bind :80\n", format!("bind {address}\n")),
            ("10.0.0.1:8080", instances[0].to_string()),
            ("10.0.0.2:8080", instances[1].to_string()),
            ("inter 1s", "inter 200ms".to_owned()),
        ];
        let settings = settings.iter().fold(SETTINGS.to_owned(), |text, (advised, here)| {
            assert!(text.contains(advised), "{advised}");
            text.replace(advised, here)
        });
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("haproxy.cfg");
        std::fs::write(&path, settings).unwrap();
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-f"]).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let process = haproxy.spawn().expect("haproxy is installed: scripts/install.sh test");
        until("the proxy listens", async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
        Self { process, address, _directory: directory }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An unused address. The kernel does not hand out the port again soon, so no other test gets it.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
