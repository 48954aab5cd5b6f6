//! A real Prometheus with the shipped rules, and a real Alertmanager with the shipped example.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::fetch;
use crate::support::{free_address, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The alert on too little CPU time.
pub(super) const STARVED: &str = "CinegraphRuntimeStarved";

/// How fast time passes for the rules. Thresholds are unchanged.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Divisor of all durations of the rules.
    pub(super) divisor: u32,
    scrape: &'static str,
    evaluate: &'static str,
}

impl Pace {
    /// As documented for operators.
    pub(super) const REAL: Self = Self { divisor: 1, scrape: "15s", evaluate: "30s" };
    /// Everything takes a twentieth of the time.
    pub(super) const TWENTIETH: Self = Self { divisor: 20, scrape: "750ms", evaluate: "1500ms" };
    /// For the usual tests. The shortest range is 2 s here: with two scrapes in it, one that is late would leave a rate
    /// without a value, and the time for which an alert must be pending would begin again.
    pub(super) const SIXTIETH: Self = Self { divisor: 60, scrape: "500ms", evaluate: "1s" };

    /// A duration of the rules at this pace.
    pub(super) fn minutes(self, minutes: u64) -> Duration {
        Duration::from_mins(minutes) / self.divisor
    }
}

/// A Prometheus that scrapes instances of one service; stopped when dropped.
pub(super) struct Prometheus {
    process: Child,
    pub(super) address: String,
    files: TempDir,
}

impl Prometheus {
    /// Starts it with these targets; returns when it is ready.
    pub(super) async fn start(targets: &[&str], pace: Pace, alertmanager: Option<&str>) -> Self {
        let files = TempDir::new().unwrap();
        let path = |name: &str| files.path().join(name);
        let mut rules = Command::new("python3");
        rules.arg("-B").arg(Path::new(ROOT).join("scripts/generate-monitoring.py")).arg("--rules").arg(files.path());
        assert!(rules.args(["--faster", &pace.divisor.to_string()]).status().unwrap().success());
        let managers: Vec<_> = alertmanager.iter().collect();
        let settings = json!({
            "global": { "scrape_interval": pace.scrape, "scrape_timeout": pace.scrape, "evaluation_interval": pace.evaluate },
            "rule_files": ["recording-rules.yml", "alert-rules.yml"],
            "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": managers }] }] },
            "scrape_configs": [{
                "job_name": "cinegraph",
                "file_sd_configs": [{ "files": ["targets.json"], "refresh_interval": "1s" }],
            }],
        });
        fs::write(path("prometheus.yml"), settings.to_string()).unwrap();
        let address = free_address().to_string();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed: scripts/install.sh test");
        let prometheus = Self { process, address, files };
        prometheus.set_targets(targets);
        until("Prometheus is ready", async || is_ready(&prometheus.address).await).await;
        prometheus
    }

    /// Replaces the targets. The address of each becomes its instance label.
    pub(super) fn set_targets(&self, targets: &[&str]) {
        // Renamed into place, so that Prometheus never reads half of it.
        let new = self.files.path().join("targets.new");
        fs::write(&new, json!([{ "targets": targets }]).to_string()).unwrap();
        fs::rename(new, self.files.path().join("targets.json")).unwrap();
    }

    /// The `data` of an answer of its API.
    pub(super) fn api(&self, path: &str) -> Value {
        serde_json::from_str::<Value>(&fetch(&self.address, &format!("/api/v1/{path}")).1).unwrap()["data"].take()
    }

    /// The number of series of an expression, which is percent-encoded already.
    pub(super) fn series(&self, expression: &str) -> usize {
        self.api(&format!("query?query={expression}"))["result"].as_array().map_or(0, Vec::len)
    }

    /// The names of the alerts that fire.
    pub(super) fn firing(&self) -> BTreeSet<String> {
        let alerts = self.api("alerts")["alerts"].take();
        let fire = alerts.as_array().unwrap().iter().filter(|alert| alert["state"] == "firing");
        fire.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// Notes for how long after `since` each alert fires for the first time, until all of `expected` do or `patience`
    /// is over. Prints each. [`STARVED`] counts only where it is expected.
    pub(super) async fn observe(
        &self,
        drill: &str,
        expected: &[&str],
        since: Instant,
        patience: Duration,
    ) -> BTreeMap<String, Duration> {
        let mut seen = BTreeMap::new();
        while since.elapsed() < patience {
            // A busy machine starves the service, whatever the scenario is about.
            let of_scenario = |alert: &String| alert != STARVED || expected.contains(&STARVED);
            for alert in self.firing().into_iter().filter(of_scenario) {
                seen.entry(alert).or_insert_with_key(|alert| {
                    let _ = writeln!(std::io::stderr(), "{drill}: {alert} after {:.0?}", since.elapsed());
                    since.elapsed()
                });
            }
            if !expected.is_empty() && expected.iter().all(|alert| seen.contains_key(*alert)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        if seen.is_empty() {
            let _ = writeln!(std::io::stderr(), "{drill}: silent for {:.0?}", since.elapsed());
        }
        seen
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An Alertmanager with the shipped example, whose receivers are ours; stopped when dropped.
pub(super) struct Alertmanager {
    process: Child,
    pub(super) address: String,
    notifications: Arc<Mutex<Vec<String>>>,
    _files: TempDir,
}

impl Alertmanager {
    /// Starts it; returns when it is ready.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = listener.local_addr().unwrap();
        let notifications = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(receive(listener, Arc::clone(&notifications)));
        let example = fs::read_to_string(Path::new(ROOT).join("config/alertmanager.yml")).unwrap();
        assert!(example.contains("127.0.0.1:9095"), "the example names its receivers");
        let files = TempDir::new().unwrap();
        let path = files.path().join("alertmanager.yml");
        fs::write(&path, example.replace("127.0.0.1:9095", &receiver.to_string())).unwrap();
        let address = free_address().to_string();
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stderr(Stdio::null())
            .spawn()
            .expect("Alertmanager is installed: scripts/install.sh test");
        until("Alertmanager is ready", async || is_ready(&address).await).await;
        Self { process, address, notifications, _files: files }
    }

    /// The notifications so far: receiver and alerts of each.
    pub(super) fn notifications(&self) -> Vec<String> {
        self.notifications.lock().unwrap().clone()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn is_ready(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok() && fetch(address, "/-/ready").0 == 200
}

/// Takes notifications of a webhook.
async fn receive(listener: TcpListener, notifications: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut read = Vec::new();
        let body = loop {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                break None;
            }
            let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            if let Ok(body) = serde_json::from_slice::<Value>(&read[end + 4..]) {
                break Some(body);
            }
        };
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        let Some(body) = body else { continue };
        let alerts = body["alerts"].as_array().into_iter().flatten();
        let names: BTreeSet<_> = alerts.filter_map(|alert| alert["labels"]["alertname"].as_str()).collect();
        notifications.lock().unwrap().push(format!("{} {names:?}", body["receiver"]));
    }
}
