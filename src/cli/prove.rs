//! `cinegraph prove`: measures the five success criteria on the loaded data, and compares the service with the original
//! query, which it replaces.

mod load;
mod subscription;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::load::Mix;
use super::http_client::{Client, RESPONSE_TIMEOUT};
use super::output::{Output, log_quietly, print, print_json};
use super::progress::Steps;
use super::table::{Column, table};
use crate::app::{App, ServeOptions};
use crate::config::Config;
use crate::proof::{OriginalStatement, PageLoad, Proof};
use crate::scoring::{Decade, Weights};
use crate::store::{DataOrigin, ListDecade, ORIGINAL_PREDICTIONS, original_validation};

/// Key of the target list, which the original query contains literally.
const LIST: &str = "1001_movies";

/// Number of users of the usual load. A choice; docs/PERFORMANCE.md measures with as many connections.
const USERS: usize = 32;

/// Number of users of the second load. Ten times as many, as the fifth success criterion requires.
const TENFOLD_USERS: usize = 10 * USERS;

#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Seconds that all statements of the original query may take together
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    original_limit: u64,
    /// Seconds that each of the two loads lasts
    #[arg(long, value_name = "SECONDS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    load_time: u64,
}

/// Changes the settings to those of a measurement: free ports, no Redis, because its entries would make the first page
/// load fast, every operation allowed, statements counted, and an end without delay.
pub(super) fn configure(config: &mut Config) {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.http_addr, config.admin_addr) = (any_port, any_port);
    config.redis_url = None;
    config.shutdown_delay = None;
    config.trusted_documents_only = false;
    config.metrics_enabled = true;
    log_quietly(config);
}

pub(super) async fn run(app: &App, args: &ProveArgs) -> anyhow::Result<ExitCode> {
    let proof = measure(app, Duration::from_secs(args.original_limit), Duration::from_secs(args.load_time)).await?;
    // If the result cannot be saved, it is printed all the same, so the error is reported afterwards.
    let saved = proof.write(&app.data_dir());
    if args.json {
        print_json(&proof)?;
    } else {
        print(&printed(&proof))?;
    }
    if let Err(error) = saved {
        tracing::warn!(%error, "the result cannot be saved, so the page /proof does not show it");
    }
    Ok(if proof.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures the original query, then starts a service and measures that. The original comes first, so that the service
/// does not compete with it.
async fn measure(app: &App, original_limit: Duration, load_time: Duration) -> anyhow::Result<Proof> {
    let subject = Subject::of(app).await?;
    let mut steps = Output::Text.steps();
    let original = subject.original(app, original_limit, &mut steps).await?;
    let stop = CancellationToken::new();
    let (ready, addresses) = oneshot::channel();
    let options = ServeOptions { jobs: false, warming: false };
    let served = app.serve(&stop, options, |addresses| {
        // Fails only if the measurement has ended already.
        let _ = ready.send(addresses);
    });
    let measured = async {
        let address = addresses.await.context("the service did not start")?.public;
        let result = subject.service(app, address, original, load_time, &mut steps).await;
        steps.finish();
        stop.cancel();
        result
    };
    let (served, measured) = tokio::join!(served, measured);
    // If both failed, the error of the service is returned, because the measurement failed in consequence.
    served.and(measured)
}

/// The data on which the original query and the service are measured.
struct Subject {
    /// Whether the movies are generated.
    generated: bool,
    /// Number of movies with a score.
    movies: usize,
    /// The latest decade that has candidates.
    decade: Decade,
    /// The decades before `decade` that have movies. The original page validates each of them.
    validated: Vec<Decade>,
    /// All decades with candidates, the latest first.
    decades: Vec<Decade>,
    /// Names of the active profiles.
    profiles: Vec<String>,
    /// Weights of the default profile.
    weights: Weights,
}

/// Times of the original query.
struct Original {
    /// The statements that ended within the limit.
    statements: Vec<OriginalStatement>,
    /// Time of the whole page; a lower bound unless `complete`.
    seconds: f64,
    /// Whether all statements ended within the limit.
    complete: bool,
}

impl Subject {
    async fn of(app: &App) -> anyhow::Result<Self> {
        let services = app.services().await?;
        let lists = services.reference.list_summaries().await?;
        let list = lists.iter().find(|list| list.key == LIST);
        let Some(list) = list else {
            bail!("the original query predicts the list {LIST}, which this database does not have")
        };
        let decades_where = |has: fn(&ListDecade) -> bool| {
            let years = list.decades.iter().rev().filter(|decade| has(decade)).map(|decade| decade.decade);
            years.filter_map(|year| Decade::starting(year).ok()).collect::<Vec<_>>()
        };
        let decades = decades_where(|decade| decade.candidates > 0);
        let Some(&decade) = decades.first() else {
            bail!("the database has no movies: run `cinegraph demo`, or `cinegraph import csv DIR`")
        };
        let validated = decades_where(|decade| decade.listed + decade.candidates > 0);
        let profiles = services.profiles.all().await?;
        let active = profiles.iter().filter(|profile| profile.active);
        let default = profiles.iter().find(|profile| profile.is_default).context("no profile is the default")?;
        Ok(Self {
            generated: app.store.installation().await?.data_origin() == DataOrigin::Generated,
            movies: services.status.now().await?.scored_movies,
            decade,
            validated: validated.into_iter().filter(|earlier| *earlier < decade).collect(),
            decades,
            profiles: active.map(|profile| profile.name.clone()).collect(),
            weights: default.weights,
        })
    }

    /// Runs all statements of the original page once. If time is left, runs them a second time, with the data in
    /// memory: the faster run of each statement counts. `limit` bounds the time of all runs together.
    async fn original(&self, app: &App, limit: Duration, steps: &mut Steps) -> anyhow::Result<Original> {
        let validation = original_validation();
        let predictions = (format!("predictions, {}", self.decade), ORIGINAL_PREDICTIONS, self.decade);
        let validations = self.validated.iter().map(|decade| (format!("validation, {decade}"), &*validation, *decade));
        let statements: Vec<_> = std::iter::once(predictions).chain(validations).collect();
        let started = Instant::now();
        let run = async |query: &str, decade| {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() { Ok(None) } else { app.store.time_original(query, decade, &self.weights, left).await }
        };
        let mut fastest: Vec<Duration> = Vec::new();
        for (_, query, decade) in &statements {
            steps.at("original query", fastest.len() as u64, statements.len() as u64);
            match run(query, *decade).await? {
                Some(taken) => fastest.push(taken),
                None => break,
            }
        }
        let complete = fastest.len() == statements.len();
        // If a statement did not end, the page takes at least the time that has passed.
        let at_least = if complete { Duration::ZERO } else { started.elapsed() };
        // The second run, unless the first one already took the whole time.
        for (fastest, (_, query, decade)) in fastest.iter_mut().zip(&statements).filter(|_| complete) {
            match run(query, *decade).await? {
                Some(taken) => *fastest = taken.min(*fastest),
                None => break,
            }
        }
        let seconds = fastest.iter().sum::<Duration>().max(at_least).as_secs_f64();
        let measured = fastest.iter().zip(statements);
        let statements =
            measured.map(|(taken, (name, ..))| OriginalStatement { name, seconds: taken.as_secs_f64() }).collect();
        Ok(Original { statements, seconds, complete })
    }

    /// Measures the service at `address`, whose caches are empty.
    async fn service(
        &self,
        app: &App,
        address: SocketAddr,
        original: Original,
        load_time: Duration,
        steps: &mut Steps,
    ) -> anyhow::Result<Proof> {
        let mut client = Client::connect(address, RESPONSE_TIMEOUT).await?;
        // Makes the service open connections to the database, so that their opening is not measured.
        client.query("{ profiles { name } lists { key } }").await?;
        steps.at("page loads", 0, 1);
        let cold_seconds = self.load_page(&mut client).await?;
        let cached_seconds = self.load_page(&mut client).await?;
        let progressive = subscription::stream(address, self.decade).await?;
        let mix = Mix::new(&self.profiles, &self.decades);
        let before = app.statements();
        steps.at(&format!("load of {USERS} users"), 0, 1);
        let usual = load::run(address, &mix, USERS, load_time).await?;
        steps.at(&format!("load of {TENFOLD_USERS} users"), 0, 1);
        let tenfold = load::run(address, &mix, TENFOLD_USERS, load_time).await?;
        let ours = app.statements() - before;
        let counts = usual.counts + tenfold.counts;
        Ok(Proof {
            measured_at: app.clock.now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            movies: self.movies,
            generated: self.generated,
            decade: self.decade.year(),
            page_load: PageLoad {
                original_seconds: original.seconds,
                original_complete: original.complete,
                original_statements: original.statements,
                cold_seconds,
                cached_seconds,
            },
            hit_ratio: counts.hit_ratio(),
            statements: counts.statements(ours, self.validated.len()),
            progressive,
            users: [usual.load, tenfold.load],
        })
    }

    /// Loads the two pages that together show what the original page shows. Returns the time in seconds.
    async fn load_page(&self, client: &mut Client) -> anyhow::Result<f64> {
        let started = Instant::now();
        client.get(&format!("/?decade={}", self.decade.year())).await?;
        client.get("/validation").await?;
        Ok(started.elapsed().as_secs_f64())
    }
}

fn printed(proof: &Proof) -> String {
    let row = |criterion: crate::proof::SuccessCriterion| {
        let result = if criterion.met { "met" } else { "NOT MET" };
        [criterion.name.to_owned(), criterion.original, criterion.now, criterion.required, result.to_owned()]
    };
    let rows = proof.criteria().map(row).to_vec();
    let columns = [
        Column::text("Criterion").cut(),
        Column::text("Original").left_out(0),
        Column::text("Cinegraph"),
        Column::text("Required").left_out(1),
        Column::text("Result"),
    ];
    let kind = if proof.generated { "generated movies" } else { "movies" };
    format!(
        "Cinegraph {} on {} {kind}; the original query on the same data, with the indexes that are there.\n\n{}\n\n\
         Clients, service and database share this machine: other work on it makes the times longer.\n",
        proof.version,
        proof.movies,
        table(columns, rows)
    )
}
