//! `cinegraph status`: the state of the database, and of a running instance.

use std::net::SocketAddr;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::http_client::{Client, STATUS_TIMEOUT};
use super::jobs;
use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::{App, DataStatus, InstanceStatus, QueueStatus, TargetStatus};
use crate::cache::CacheStatus;
use crate::store::PoolStatus;
use crate::telemetry::with_causes;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Admin address of the running instance [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub(super) admin_addr: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    data: DataStatus,
    /// `None` if the instance did not respond.
    instance: Option<InstanceStatus>,
    /// Why the instance did not respond; `None` if it did.
    instance_error: Option<String>,
}

/// The part of an instance's response that is not read from the database.
#[derive(Deserialize)]
struct Response {
    instance: InstanceStatus,
}

pub(super) async fn run(app: &App, args: &StatusArgs) -> anyhow::Result<()> {
    let report = report(app).await?;
    if args.json { print_json(&report) } else { print(&printed(&report, app.config.admin_addr)) }
}

/// Reads the status of the data and of the instance. An instance that does not respond is no error: none may be
/// running.
async fn report(app: &App) -> anyhow::Result<Report> {
    let data = app.data_status().await?;
    let (instance, instance_error) = match instance(app.config.admin_addr).await {
        Ok(instance) => (Some(instance), None),
        Err(error) => (None, Some(with_causes(&*error))),
    };
    Ok(Report { data, instance, instance_error })
}

/// The status of an instance, from its admin listener.
async fn instance(address: SocketAddr) -> anyhow::Result<InstanceStatus> {
    let reply = Client::connect(address, STATUS_TIMEOUT).await?.get("/status").await?;
    let Response { instance } = serde_json::from_slice(&reply.body).context("not a status")?;
    Ok(instance)
}

fn printed(report: &Report, admin: SocketAddr) -> String {
    let mut sections = vec![facts(&report.data)];
    if !report.data.jobs.is_empty() {
        sections.push(jobs::printed(&report.data.jobs).trim_end().to_owned());
    }
    match (&report.instance, &report.instance_error) {
        (Some(instance), _) => {
            sections.push(caches(instance));
            sections.push(pools(instance));
            if !instance.breakers.is_empty() {
                let breakers = instance.breakers.iter().map(|(breaker, state)| [breaker.clone(), state.clone()]);
                sections.push(table([Column::text("Breaker"), Column::text("State")], breakers.collect()));
            }
        }
        (None, error) => {
            let why = error.as_deref().unwrap_or_default();
            sections.push(format!("No status from an instance at http://{admin}/status: {why}"));
        }
    }
    format!("{}\n", sections.join("\n\n"))
}

fn facts(data: &DataStatus) -> String {
    let time = |at: &Option<DateTime<Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let waiting = match &data.queue {
        QueueStatus { films: 0, .. } => "none".to_owned(),
        QueueStatus { films, oldest_at } => format!("{films}, since {}", time(oldest_at)),
    };
    let target = |target: &TargetStatus| format!("{} ({})", target.key, target.state);
    let targets: Vec<_> = data.targets.iter().map(target).collect();
    let identity = &data.database_identity;
    let timeline = identity.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
    let scored = match data.scored_films {
        0 => "none; import or generate movies, or run `cinegraph refresh all` if there are some".to_owned(),
        movies => format!("{movies}, the newest of {}", time(&data.scored_at)),
    };
    let snapshot = match data.snapshot_at {
        None => "none; `cinegraph refresh all` takes one".to_owned(),
        at => format!("{} ({})", time(&at), data.target_lists.join(", ")),
    };
    let mut rows = vec![
        ["Database identity".to_owned(), format!("{}{timeline}", identity.epoch)],
        ["Movies with scores".to_owned(), scored],
        ["Snapshot".to_owned(), snapshot],
        ["Target lists".to_owned(), targets.join(", ")],
        ["Movies waiting for scores".to_owned(), waiting],
        ["Index of searches".to_owned(), data.search_index.to_owned()],
    ];
    if !data.criteria_without_data.is_empty() {
        rows.push(["Criteria without data".to_owned(), data.criteria_without_data.join(", ")]);
    }
    let sources = data.metric_sources.iter();
    rows.extend(sources.map(|source| {
        let newest = time(&Some(source.newest_at));
        [format!("Metrics of {}", source.source), format!("{} movies, the newest of {newest}", source.films)]
    }));
    let successes = data.last_success.iter();
    rows.extend(successes.map(|(task, at)| [format!("Last {task}"), time(&Some(*at))]));
    table([Column::text(""), Column::text("State")], rows)
}

fn caches(instance: &InstanceStatus) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let row = |(name, cache): (&String, &CacheStatus)| {
        let size = format!("{:.1} of {:.0}", cache.bytes / MIB, cache.capacity_bytes / MIB);
        let counts = [cache.entries, cache.hits, cache.stale, cache.misses].map(|count| format!("{count:.0}"));
        let [entries, hits, stale, misses] = counts;
        [name.clone(), entries, size, hits, stale, misses]
    };
    let rows = instance.caches.iter().map(row).collect();
    let [entries, size, hits, stale, misses] = ["Entries", "MiB", "Hits", "Stale", "Misses"].map(Column::number);
    table([Column::text("Cache"), entries, size, hits, stale, misses], rows)
}

fn pools(instance: &InstanceStatus) -> String {
    let row = |(name, pool): (&String, &PoolStatus)| {
        let [idle, used, max] = [pool.idle, pool.used, pool.max].map(|count| format!("{count:.0}"));
        [name.clone(), used, idle, max]
    };
    let rows = instance.pools.iter().map(row).collect();
    let [used, idle, limit] = ["Used", "Idle", "Limit"].map(Column::number);
    table([Column::text("Pool"), used, idle, limit], rows)
}
