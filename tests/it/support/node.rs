//! Clients that people use, from npm, in tests/clients.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A client that tells what it sees as JSON, line by line. Killed if the test ends before it does.
pub(crate) struct NodeClient {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl NodeClient {
    /// Starts `tests/clients/NAME/client.mjs`, and installs what it needs if that is not there.
    pub(crate) async fn start(name: &str, arguments: &[&str]) -> Self {
        let directory = Self::install(name).await;
        let mut command = Command::new("node");
        command.arg("client.mjs").args(arguments).current_dir(&directory).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node is there");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    /// Installs what `tests/clients/NAME` needs if that is not there, once at a time; its directory.
    pub(crate) async fn install(name: &str) -> PathBuf {
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
        let _turn = ONE_AT_A_TIME.lock().await;
        if !directory.join("node_modules").exists() {
            let installed = Command::new("npm").arg("ci").current_dir(&directory).output().await.expect("npm is there");
            assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        }
        directory
    }

    /// The next thing that it tells; none when it has ended.
    pub(crate) async fn tells_next(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// The next thing that it tells under this name; others before it are passed over.
    pub(crate) async fn tells(&mut self, name: &str) -> Value {
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended without {name}"));
            let mut told: Value = serde_json::from_str(&line).unwrap();
            if let Some(told) = told.get_mut(name) {
                return told.take();
            }
        }
    }
}
