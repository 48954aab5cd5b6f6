//! Real JavaScript clients from npm, in tests/clients and examples.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A client that prints each event as a line of JSON. Killed when dropped.
pub(crate) struct NodeClient {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl NodeClient {
    /// Starts `tests/clients/NAME/client.mjs` after installing missing dependencies.
    pub(crate) async fn start(name: &str, arguments: &[&str]) -> Self {
        Self::script(name, "client.mjs", arguments, &[]).await
    }

    /// The same with another script and environment variables.
    pub(crate) async fn script(name: &str, script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("node");
        command.arg(script).args(arguments).envs(variables.iter().copied()).current_dir(Self::install(name).await);
        Self::spawn(command)
    }

    /// Starts `tests/clients/SCRIPT.mjs` with the packages of `examples/EXAMPLE`, as if the script were in that directory.
    pub(crate) async fn with_packages_of(example: &str, script: &str, arguments: &[&str]) -> Self {
        let script = File::open(repository().join(format!("tests/clients/{script}.mjs"))).unwrap();
        let mut command = Command::new("node");
        command.args(["--input-type=module", "-"]).args(arguments).current_dir(Self::install_example(example).await);
        command.stdin(script);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("node is installed");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    /// Installs missing dependencies of `tests/clients/NAME`; returns its directory.
    pub(crate) async fn install(name: &str) -> PathBuf {
        install_packages(repository().join("tests/clients").join(name)).await
    }

    /// Installs missing dependencies of `examples/NAME`; returns its directory.
    pub(crate) async fn install_example(name: &str) -> PathBuf {
        install_packages(repository().join("examples").join(name)).await
    }

    /// The next event; `None` when the client has exited.
    pub(crate) async fn next_event(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// The value of the next event with this name; skips others.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let line =
                self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("the client exited without {name}"));
            let mut event: Value = serde_json::from_str(&line).unwrap();
            if let Some(value) = event.get_mut(name) {
                return value.take();
            }
        }
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Installs missing dependencies, for one directory at a time.
async fn install_packages(directory: PathBuf) -> PathBuf {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _guard = ONE_AT_A_TIME.lock().await;
    if !directory.join("node_modules").exists() {
        let installed = Command::new("npm").arg("ci").current_dir(&directory).output().await.expect("npm is installed");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    }
    directory
}
