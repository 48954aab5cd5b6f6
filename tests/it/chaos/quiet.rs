//! What must hold once nothing fails and nothing changes.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgConnection;
use tokio::time::sleep;

use super::actors::{QUERIES, TOP};
use super::client::Client;
use super::faults::Number;
use super::instance::{Instance, Vitals};
use super::journal::Invariant;
use super::stage::Stage;
use super::subscriber::Ranking;
use crate::support::{free_address, until};

/// How long nothing must change before responses are compared.
const QUIET: Duration = Duration::from_secs(10);

/// Until instances are ready, and another one continues the background work of a silent one: a minute, and a margin.
const RECOVERY: Duration = Duration::from_secs(75);

/// Until a stale response has been refreshed, and a subscription has caught up.
const REFRESH: Duration = Duration::from_secs(5);

/// Until resources are back. Readers keep asking, and the gauge of connections is set every 5 seconds: one reading may
/// meet a statement, but a connection that is in use in four of them in a row is lost.
const RELEASE: Duration = Duration::from_secs(22);

/// Movies whose stored scores differ from the formula.
const DIFFERENCES: &str = "SELECT count(*)
    FROM (SELECT * FROM cinegraph.movie_scores_live WHERE import_status = 'full') AS live
    FULL JOIN cinegraph.movie_discovery_scores AS stored USING (movie_id)
    WHERE (live.release_date, live.list_keys, live.popular_opinion_score, live.critical_acclaim_score,
           live.industry_recognition_score, live.cultural_impact_score, live.people_quality_score)
        IS DISTINCT FROM
          (stored.release_date, stored.list_keys, stored.popular_opinion_score, stored.critical_acclaim_score,
           stored.industry_recognition_score, stored.cultural_impact_score, stored.people_quality_score)";

/// Queued movies, and the sum of all data versions.
const PROGRESS: &str = "SELECT (SELECT count(*) FROM cinegraph.score_refresh_queue),
                               (SELECT coalesce(sum(version), 0)::bigint FROM cinegraph.data_versions)";

/// Lets everything settle, and compares all that clients see with fresh computations.
pub(super) async fn settle(stage: &mut Stage) {
    let shared = Arc::clone(&stage.shared);
    let _no_changes = shared.changes.write().await;
    let since = Instant::now();
    while !stage.are_ready().await && since.elapsed() < RECOVERY {
        sleep(Duration::from_millis(200)).await;
        stage.supervise();
    }
    if !stage.are_ready().await {
        shared.journal.broken(Invariant::Liveness, format_args!("an instance is not ready after {RECOVERY:?}"));
    }
    shared.journal.note(format_args!("ready after {:.1?}", since.elapsed()));
    let mut connection = shared.connect().await.expect("the primary is available");
    // A snapshot is taken some seconds after lists have changed, so a comparison may be overtaken.
    for _ in 0..3 {
        let version = be_quiet(stage, &mut connection).await;
        let different = compare(stage).await;
        if progress(&mut connection).await.is_none_or(|(_, now)| now == version) {
            for (invariant, how) in different {
                shared.journal.broken(invariant, how);
            }
            break;
        }
    }
    let different = differences(&mut connection).await;
    if different != 0 {
        shared.journal.broken(Invariant::ScoresEqualFormula, format_args!("{different} movies"));
    }
    shared.judge.compare_reads(&shared.journal);
    for number in [0, 1] {
        let held = holds_no_more_than_at_first(stage, number).await;
        shared.journal.note(format_args!("compared; instance {number} holds {held:?}"));
    }
}

async fn progress(connection: &mut PgConnection) -> Option<(i64, i64)> {
    sqlx::query_as(PROGRESS).fetch_one(connection).await.ok()
}

/// Number of movies whose scores are not right; -1 if that is not known.
async fn differences(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(DIFFERENCES).fetch_one(connection).await.unwrap_or(-1)
}

/// Waits until the queue is empty and nothing has changed for a while; returns the sum of the versions.
async fn be_quiet(stage: &Stage, connection: &mut PgConnection) -> i64 {
    let started = Instant::now();
    let (mut since, mut seen) = (started, progress(connection).await);
    while since.elapsed() < QUIET {
        sleep(Duration::from_millis(200)).await;
        let now = progress(connection).await;
        if now != seen || now.is_none_or(|(queued, _)| queued > 0) {
            (since, seen) = (Instant::now(), now);
        }
        if started.elapsed() > RECOVERY + QUIET {
            let how = format_args!("(queued movies, sum of versions) is {now:?} after {:.0?}", started.elapsed());
            stage.shared.journal.broken(Invariant::Liveness, how);
            break;
        }
    }
    seen.map_or(0, |(_, version)| version)
}

/// Compares the responses and subscriptions of both instances with those of a new instance without caches.
async fn compare(stage: &Stage) -> Vec<(Invariant, String)> {
    let settings = [
        ("CINEGRAPH_DATABASE_URL", stage.database()),
        ("CINEGRAPH_CACHE_ENABLED", "false".to_owned()),
        ("CINEGRAPH_DATABASE_MAX_CONNECTIONS", "2".to_owned()),
    ];
    let log = stage.shared.journal.directory.join("fresh.log");
    let mut fresh = Instance::new([free_address(), free_address()], None, &log, &settings);
    fresh.ensure_running();
    until("a new instance is ready", async || fresh.is_ready().await).await;
    let mut different = Vec::new();
    for query in QUERIES {
        let mut expected = Value::Null;
        until("a new instance responds", async || {
            expected = Client::of(fresh.address).query(query).await.map(|reply| reply.data).unwrap_or_default();
            !expected.is_null()
        })
        .await;
        for number in [0, 1] {
            if let Err(how) = responds(stage, number, query, &expected).await {
                different.push((Invariant::CachedEqualsFresh, format!("instance {number}: {how}: {query}")));
            }
            if query == TOP
                && let Err(how) = follows(stage, number, &expected).await
            {
                different.push((Invariant::SubscriptionsAddUp, format!("instance {number}: {how}")));
            }
        }
    }
    different
}

/// The first response that is not marked stale must be the expected one.
async fn responds(stage: &Stage, number: usize, query: &str, expected: &Value) -> Result<(), String> {
    let (mut client, started) = (Client::of(stage.shared.addresses[number]), Instant::now());
    loop {
        let reply = client.query(query).await?;
        if !reply.stale {
            let (age, data) = (reply.age, &reply.data);
            let different = || Err(format!("{data} of age {age:?} instead of {expected}"));
            return if data == expected { Ok(()) } else { different() };
        }
        if started.elapsed() > REFRESH {
            return Err(format!("still stale after {REFRESH:?}, of age {:?}", reply.age));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The list of the subscriber must be that of the page.
async fn follows(stage: &Stage, number: usize, page: &Value) -> Result<(), String> {
    let entry = |node: &Value| {
        let entry = (node["rank"].as_u64()?, node["score"].as_f64()?);
        Some((node["id"].as_str()?.to_owned(), entry))
    };
    let page: Ranking = page["predictions"]["nodes"].as_array().into_iter().flatten().filter_map(entry).collect();
    let started = Instant::now();
    loop {
        let followed = stage.shared.followed[number].lock().unwrap().clone();
        if followed == page {
            return Ok(());
        }
        if started.elapsed() > REFRESH {
            let differing = page.iter().filter(|(id, entry)| followed.get(*id) != Some(entry)).count();
            return Err(format!("{} movies followed, {differing} of {} differ", followed.len(), page.len()));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Compares what an instance holds with the first time that this is called; returns it.
async fn holds_no_more_than_at_first(stage: &mut Stage, number: Number) -> Option<Vitals> {
    let started = Instant::now();
    loop {
        let held = stage.instances[number].vitals().await;
        if stage.baseline[number].is_none() {
            stage.baseline[number] = held;
        }
        let both = held.zip(stage.baseline[number]);
        let is_normal = both.is_some_and(|(held, first)| {
            held.open_files <= first.open_files + 16
                && held.connections_used <= first.connections_used
                && held.resident_kib <= first.resident_kib * 3 / 2 + 64 * 1024
        });
        if is_normal || started.elapsed() > RELEASE {
            if !is_normal {
                let how = format_args!("instance {number}, now and at first: {both:?}");
                stage.shared.journal.broken(Invariant::Resources, how);
            }
            return held;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Each instance must be able to work alone, and to stop. Reads the logs.
pub(super) async fn finish(stage: &mut Stage) {
    let shared = Arc::clone(&stage.shared);
    let _no_changes = shared.changes.write().await;
    for number in [0, 1] {
        stage.instances[1 - number].signal("STOP");
        does_all_work_alone(stage, number).await;
        stage.instances[1 - number].signal("CONT");
    }
    for number in [0, 1] {
        stage.stop(number).await;
        let log = fs::read_to_string(&stage.instances[number].log).unwrap_or_default();
        let mut levels: HashMap<String, u32> = HashMap::new();
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()));
            let text = line.to_string();
            if text.contains("panicked") {
                shared.journal.broken(Invariant::NoPanic, format_args!("instance {number}: {text}"));
            }
            if line["level"] == "ERROR" || line["level"] == "WARN" {
                *levels.entry(format!("{} {}", line["level"], line["message"])).or_default() += 1;
            }
        }
        shared.journal.note(format_args!("instance {number} logged {levels:?}"));
    }
}

/// While the other instance is silent, this one must process a change.
async fn does_all_work_alone(stage: &Stage, number: Number) {
    const CHANGE: &str = "UPDATE external_metrics SET value = value * 0.9 + 0.4 WHERE id = (
        SELECT min(metric.id) FROM external_metrics AS metric JOIN movies AS movie ON movie.id = metric.movie_id
        WHERE metric_type = 'rating_average' AND import_status = 'full')";
    let mut connection = stage.shared.connect().await.expect("the primary is available");
    sqlx::query(CHANGE).execute(&mut connection).await.unwrap();
    let started = Instant::now();
    while differences(&mut connection).await != 0 {
        if started.elapsed() > RECOVERY {
            let how = format_args!("instance {number} alone has not processed a change within {RECOVERY:?}");
            return stage.shared.journal.broken(Invariant::Liveness, how);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
