//! `cinegraph status`: the state of the database, and of a running instance.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::jobs;
use super::table::table;
use crate::app::App;
use crate::telemetry::Label as _;

/// How long the instance may take to respond.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where the instance serves metrics and health to operators [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub(super) admin_addr: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    scored_films: usize,
    scored_at: Option<DateTime<Utc>>,
    snapshot_at: Option<DateTime<Utc>>,
    target_lists: Vec<String>,
    queue: Queue,
    last_success: BTreeMap<&'static str, DateTime<Utc>>,
    jobs: Vec<jobs::Row>,
    instance: Option<Instance>,
    /// Why the instance did not respond.
    instance_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Queue {
    films: u64,
    oldest_at: Option<DateTime<Utc>>,
}

/// State of an instance.
#[derive(Debug, Default, Serialize)]
struct Instance {
    caches: BTreeMap<String, CacheStatus>,
    breakers: BTreeMap<String, String>,
    pools: BTreeMap<String, PoolStatus>,
}

#[derive(Debug, Default, Serialize)]
struct CacheStatus {
    entries: f64,
    bytes: f64,
    capacity_bytes: f64,
    hits: f64,
    stale: f64,
    misses: f64,
}

#[derive(Debug, Default, Serialize)]
struct PoolStatus {
    idle: f64,
    used: f64,
    max: f64,
}

pub(super) async fn run(app: &App, args: &StatusArgs) -> anyhow::Result<()> {
    let report = report(app).await?;
    if args.json { super::print_json(&report) } else { super::print(&printed(&report, app.config.admin_addr)) }
}

async fn report(app: &App) -> anyhow::Result<Report> {
    let status = app.services().await?.status.now().await?;
    let queue = app.store.queue_length().await?;
    let successes = app.store.task_successes().await?.into_iter();
    let (instance, instance_error) = match metrics(app.config.admin_addr).await {
        Ok(text) => (Some(Instance::read(&text)), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Ok(Report {
        scored_films: status.scored_films,
        scored_at: status.scored_at,
        snapshot_at: status.snapshot_at,
        target_lists: status.target_lists,
        queue: Queue { films: queue.films, oldest_at: queue.oldest },
        last_success: successes.map(|(task, at)| (task.as_str(), at)).collect(),
        jobs: app.store.jobs().await?.into_iter().map(jobs::Row::from).collect(),
        instance,
        instance_error,
    })
}

/// The metrics of an instance, from its admin listener.
async fn metrics(address: SocketAddr) -> anyhow::Result<String> {
    let request = async {
        let mut stream = TcpStream::connect(address).await?;
        // In HTTP/1.0 the response ends with the connection.
        let head = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        std::io::Result::Ok(response)
    };
    let response = tokio::time::timeout(INSTANCE_TIMEOUT, request).await.context("no response in time")??;
    let (head, body) = response.split_once("\r\n\r\n").context("not an HTTP response")?;
    anyhow::ensure!(
        head.starts_with("HTTP/1.") && head.contains(" 200 "),
        "{}",
        head.lines().next().unwrap_or_default()
    );
    Ok(body.to_owned())
}

impl Instance {
    fn read(metrics: &str) -> Self {
        let mut instance = Self::default();
        for sample in metrics.lines().filter_map(Sample::read) {
            let cache = || sample.label("cache").to_owned();
            let value = sample.value;
            match sample.name {
                "cinegraph_cache_entries" => instance.caches.entry(cache()).or_default().entries = value,
                "cinegraph_cache_estimated_bytes" => instance.caches.entry(cache()).or_default().bytes = value,
                "cinegraph_cache_capacity_bytes" => instance.caches.entry(cache()).or_default().capacity_bytes = value,
                "cinegraph_cache_lookups_total" => {
                    let cache = instance.caches.entry(cache()).or_default();
                    match sample.label("result") {
                        "hit_l1" | "hit_l2" => cache.hits += value,
                        "stale" => cache.stale += value,
                        "miss" => cache.misses += value,
                        _ => {}
                    }
                }
                "cinegraph_circuit_breaker_state" if value > 0.0 => {
                    instance.breakers.insert(sample.label("breaker").to_owned(), sample.label("state").to_owned());
                }
                "db_client_connections" => {
                    let pool = instance.pools.entry(sample.label("pool").to_owned()).or_default();
                    *(if sample.label("state") == "idle" { &mut pool.idle } else { &mut pool.used }) = value;
                }
                "db_client_connection_max" => {
                    instance.pools.entry(sample.label("pool").to_owned()).or_default().max = value;
                }
                _ => {}
            }
        }
        // A pool without connections, such as that of a replica that is not configured, is left out.
        instance.pools.retain(|_, pool| pool.max > 0.0);
        instance
    }
}

/// One line of Prometheus text. Cinegraph's label values hold neither commas nor quotes.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some(Self { name, labels: labels.trim_end_matches('}'), value: value.parse().ok()? })
    }

    fn label(&self, name: &str) -> &'a str {
        let mut labels = self.labels.split(',').filter_map(|label| label.split_once('='));
        labels.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'))
    }
}

fn printed(report: &Report, admin: SocketAddr) -> String {
    let mut sections = vec![facts(report)];
    if !report.jobs.is_empty() {
        sections.push(jobs::printed(&report.jobs).trim_end().to_owned());
    }
    match (&report.instance, &report.instance_error) {
        (Some(instance), _) => {
            sections.push(caches(instance));
            sections.push(pools(instance));
            if !instance.breakers.is_empty() {
                let breakers = instance.breakers.iter().map(|(breaker, state)| [breaker.clone(), state.clone()]);
                sections.push(table(["Breaker", "State"], breakers.collect(), &[]));
            }
        }
        (None, error) => {
            let why = error.as_deref().unwrap_or_default();
            sections.push(format!("No running instance at http://{admin}/metrics: {why}"));
        }
    }
    format!("{}\n", sections.join("\n\n"))
}

fn facts(report: &Report) -> String {
    let time = |at: &Option<DateTime<Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let waiting = match &report.queue {
        Queue { films: 0, .. } => "none".to_owned(),
        Queue { films, oldest_at } => format!("{films}, since {}", time(oldest_at)),
    };
    let mut rows = vec![
        [
            "Movies with scores".to_owned(),
            format!("{}, the newest of {}", report.scored_films, time(&report.scored_at)),
        ],
        ["Snapshot".to_owned(), format!("{} ({})", time(&report.snapshot_at), report.target_lists.join(", "))],
        ["Movies waiting for scores".to_owned(), waiting],
    ];
    let successes = report.last_success.iter();
    rows.extend(successes.map(|(task, at)| [format!("Last {task}"), time(&Some(*at))]));
    table(["", "State"], rows, &[])
}

fn caches(instance: &Instance) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let row = |(name, cache): (&String, &CacheStatus)| {
        let size = format!("{:.1} of {:.0}", cache.bytes / MIB, cache.capacity_bytes / MIB);
        let counts = [cache.entries, cache.hits, cache.stale, cache.misses].map(|count| format!("{count:.0}"));
        let [entries, hits, stale, misses] = counts;
        [name.clone(), entries, size, hits, stale, misses]
    };
    let rows = instance.caches.iter().map(row).collect();
    table(["Cache", "Entries", "MiB", "Hits", "Stale", "Misses"], rows, &[1, 2, 3, 4, 5])
}

fn pools(instance: &Instance) -> String {
    let row = |(name, pool): (&String, &PoolStatus)| {
        let [idle, used, max] = [pool.idle, pool.used, pool.max].map(|count| format!("{count:.0}"));
        [name.clone(), used, idle, max]
    };
    let rows = instance.pools.iter().map(row).collect();
    table(["Pool", "Used", "Idle", "Limit"], rows, &[1, 2, 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_read_from_its_metrics() {
        let instance = Instance::read(
            "# HELP cinegraph_cache_entries Entries in L1.
cinegraph_cache_entries{cache=\"films\"} 7
cinegraph_cache_estimated_bytes{cache=\"films\"} 1048576
cinegraph_cache_lookups_total{cache=\"films\",result=\"hit_l1\"} 3
cinegraph_cache_lookups_total{cache=\"films\",result=\"hit_l2\"} 2
cinegraph_cache_lookups_total{cache=\"films\",result=\"miss\"} 1
cinegraph_circuit_breaker_state{breaker=\"score_table\",state=\"closed\"} 0
cinegraph_circuit_breaker_state{breaker=\"score_table\",state=\"open\"} 1
db_client_connections{state=\"idle\",pool=\"primary\"} 2
db_client_connection_max{pool=\"primary\"} 10
db_client_connection_max{pool=\"replica\"} 0
process_threads 9
",
        );
        let films = &instance.caches["films"];
        assert_eq!((films.entries, films.bytes, films.hits, films.misses), (7.0, 1_048_576.0, 5.0, 1.0));
        assert_eq!(instance.breakers["score_table"], "open");
        assert_eq!(instance.pools.keys().collect::<Vec<_>>(), ["primary"]);
        assert_eq!((instance.pools["primary"].idle, instance.pools["primary"].max), (2.0, 10.0));
    }
}
