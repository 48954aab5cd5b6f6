//! `cinegraph model`

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::arguments::{ListArg, UNUSABLE};
use super::output::{Output, print, print_data, print_json};
use super::table::{Column, table};
use crate::app::App;
use crate::scoring::learned::{Performance, Settings, TrainingReport, Validation, Variant};
use crate::scoring::{Accuracy, MovieId};
use crate::services::Services;
use crate::services::learned::{self, LearnedScore, ModelState, RankedBy, TrainingProgress};
use crate::store::{ModelStatus, ModelVersion};
use crate::telemetry::Label as _;

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Train the rankings of a target list, and serve them if they are better than the formula
    Train(TrainArgs),
    /// Show how good the served ranking is, and why the last training was refused
    Show(ShowArgs),
    /// Serve the version before the one that is served now
    Rollback(ModelOf),
}

/// Which learned ranking is meant.
#[derive(Debug, Args)]
struct ModelOf {
    #[command(flatten)]
    list: ListArg,
    /// Which of the two learned rankings
    #[arg(long, value_enum, default_value_t = VariantArg::Learned)]
    ranking: VariantArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VariantArg {
    /// The one with other lists as inputs
    Learned,
    /// The one without other lists
    LearnedWithoutLists,
}

impl From<VariantArg> for Variant {
    fn from(variant: VariantArg) -> Self {
        match variant {
            VariantArg::Learned => Self::WithLists,
            VariantArg::LearnedWithoutLists => Self::WithoutLists,
        }
    }
}

#[derive(Debug, Args)]
struct TrainArgs {
    #[command(flatten)]
    list: ListArg,
    /// Train only this ranking [default: both]
    #[arg(long, value_enum)]
    ranking: Option<VariantArg>,
    /// Seed of the samples: the same data and seed give the same model
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    of: ModelOf,
    /// Print CSV: the score of each movie by the model that never saw the labels of its decade
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, args: ModelArgs) -> anyhow::Result<()> {
    let services = app.services().await?;
    match args.command {
        ModelCommand::Train(args) => train(app, &services, args).await,
        ModelCommand::Show(args) => show(&services, args).await,
        ModelCommand::Rollback(of) => roll_back(app, &services, of).await,
    }
}

async fn train(app: &App, services: &Services, mut args: TrainArgs) -> anyhow::Result<()> {
    args.list.resolve(services).await?;
    let settings = Settings { seed: args.seed, ..Settings::default() };
    let variants = args.ranking.map_or(Variant::ALL.to_vec(), |one| vec![one.into()]);
    for variant in variants {
        let mut steps = Output::Text.steps();
        let mut progress = |TrainingProgress { done, .. }: TrainingProgress| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 1, in percent")]
            steps.at(&format!("training {}", name(variant)), (100.0 * done) as u64, 100);
        };
        let version = learned::train(&app.store, args.list.key(), variant, settings, &mut progress).await?;
        steps.finish();
        print(&format!("{}\n", summary(&version)))?;
    }
    Ok(())
}

fn name(variant: Variant) -> &'static str {
    match variant {
        Variant::WithLists => "learned",
        Variant::WithoutLists => "learned-without-lists",
    }
}

/// One sentence about a training.
fn summary(version: &ModelVersion) -> String {
    let found = version.report.validation.pooled.at_n;
    let (id, ranking, Accuracy { hits, listed }) = (version.id, name(version.variant), found);
    let seconds = version.report.seconds;
    match &version.report.refusal {
        None => format!(
            "Version {id} ({ranking}) is served: it finds {hits} of {listed} listed movies of decades that it never saw. \
             Trained in {seconds:.0} s."
        ),
        Some(reason) => format!("Version {id} ({ranking}) is not served: {reason}."),
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    served: Option<i64>,
    /// The last training, what became of it, and why it was refused.
    latest: i64,
    status: &'static str,
    refusal: Option<&'a str>,
    /// The version of the report: the one that is served, or else the last training.
    shown: i64,
    report: &'a TrainingReport,
}

async fn show(services: &Services, mut args: ShowArgs) -> anyhow::Result<()> {
    args.of.list.resolve(services).await?;
    let (list, variant) = (args.of.list.key(), Variant::from(args.of.ranking));
    let state = services.learned.state(list, variant).await?;
    let state = state.with_context(|| {
        format!(
            "the ranking {} of \"{list}\" was never trained: run `cinegraph model train --list {list}`",
            name(variant)
        )
    })?;
    if args.csv {
        return print_scores(services, &state).await;
    }
    let shown = state.served.as_ref().unwrap_or(&state.latest);
    let served = services.learned.served(list, variant).await?.map(|model| model.version);
    if args.json {
        let refusal = state.latest.report.refusal.as_deref();
        let (latest, status) = (state.latest.id, state.latest.status.as_str());
        return print_json(&Shown { served, latest, status, refusal, shown: shown.id, report: &shown.report });
    }
    print(&printed(&state, shown, served))
}

/// `served` is the version that is served; none if its stored model cannot be read.
fn printed(state: &ModelState, shown: &ModelVersion, served: Option<i64>) -> String {
    let report = &shown.report;
    let mut text = format!("Version {}, trained {}.\n", shown.id, shown.trained_at.format("%Y-%m-%d %H:%M UTC"));
    if state.served.is_some() && served.is_none() {
        text += &format!("It is not served: {UNUSABLE}.\n");
    }
    let latest = state.latest.id;
    match (state.latest.status, &state.latest.report.refusal) {
        (ModelStatus::Refused, Some(reason)) => text += &format!("Version {latest} was refused: {reason}.\n"),
        (ModelStatus::Withdrawn, _) => text += &format!("Version {latest} was rolled back.\n"),
        _ => {}
    }
    let lists = if report.lists.is_empty() { "none".to_owned() } else { report.lists.join(", ") };
    text += &format!("Other lists as inputs: {lists}.\n\n");
    text += &validation("Of decades whose labels it never saw (N: listed movies of the decade)", &report.validation);
    if let Some(temporal) = &report.temporal {
        text += &validation("Looking forward: learned before 2000", temporal);
    }
    let all = report.validation.pooled;
    let baselines = [
        ("best profile of the formula", report.baselines.best_profile),
        ("votes", report.baselines.votes),
        ("√votes × (rating − 5)", report.baselines.votes_and_rating),
    ];
    for (name, accuracy) in baselines {
        text += &format!("By {name}: {}\n", percent(accuracy));
    }
    text += &format!("At random: {:.1} movies\n", report.random_hits);
    text += &format!(
        "Probabilities: off by {:.3} on average (ECE), log loss {:.4}, Brier score {:.4}; area under precision and recall {:.3}\n",
        all.ece, all.log_loss, all.brier, all.pr_auc
    );
    let leak = |auc: Option<f64>| auc.map_or_else(|| "not measurable".to_owned(), |auc| format!("{auc:.2}"));
    text += &format!(
        "Leak check (0.5: none, above 0.65: refused): {} by missing values and their age, {} by votes\n",
        leak(report.leak.collection),
        leak(report.leak.votes)
    );
    text
}

fn validation(title: &str, validation: &Validation) -> String {
    let row = |of: String, performance: &Performance| {
        let Performance { population, at_n, at_1_5_n, at_2_n, top_half, ece, .. } = performance;
        let recall = |accuracy: &Accuracy| percent(*accuracy);
        let interval = at_n.interval().map(|one| format!("{:.1} – {:.1} %", 100.0 * one.low, 100.0 * one.high));
        [
            of,
            at_n.listed.to_string(),
            population.to_string(),
            at_n.hits.to_string(),
            recall(at_n),
            interval.unwrap_or_default(),
            recall(at_1_5_n),
            recall(at_2_n),
            recall(top_half),
            format!("{ece:.3}"),
        ]
    };
    let rows = validation.decades.iter().map(|(decade, _, performance)| row(decade.to_string(), performance));
    let rows = rows.chain([row("all".to_owned(), &validation.pooled)]).collect();
    let columns = [
        Column::text(""),
        Column::number("Listed"),
        Column::number("Movies"),
        Column::number("Hits"),
        Column::number("At N"),
        Column::number("95 % interval"),
        Column::number("At 1.5 N").left_out(2),
        Column::number("At 2 N").left_out(2),
        Column::number("Precision at N/2").left_out(1),
        Column::number("ECE").left_out(0),
    ];
    format!("{title}:\n{}\n\n", table(columns, rows))
}

fn percent(accuracy: Accuracy) -> String {
    accuracy.share().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// A line of `--csv`.
#[derive(Debug, Serialize)]
struct ScoreLine {
    movie: i64,
    decade: i32,
    listed: bool,
    /// Log-odds; empty for a listed movie that is not fully imported, which no ranking contains.
    score: Option<f64>,
    probability: Option<f64>,
}

async fn print_scores(services: &Services, state: &ModelState) -> anyhow::Result<()> {
    let (list, variant) = (&state.latest.list, state.variant);
    let model = services.learned.served(list, variant).await?;
    let (model, served) = model.zip(state.served.as_ref()).with_context(|| {
        let reason = if state.served.is_some() { UNUSABLE } else { "none was accepted" };
        format!("no version is served, so no movie has a score: {reason}")
    })?;
    let by = RankedBy { model: Some(model), ..services.select_profile(None).await?.ranked_by() };
    let mut csv = csv::Writer::from_writer(vec![]);
    for (decade, _, _) in &served.report.validation.decades {
        let movies = services.predictions.all(list, *decade, &by).await?;
        let scored = movies.into_iter().map(|movie| (movie.id, movie.listed, movie.learned));
        let unhittable = services.unhittable_movies(list, *decade).await?.into_iter().map(|id| (id, true, None));
        for (MovieId(movie), listed, learned) in scored.chain(unhittable) {
            let score = learned.as_ref().map(|learned| learned.log_odds);
            let probability = learned.as_ref().map(LearnedScore::calibrated);
            csv.serialize(ScoreLine { movie, decade: decade.year(), listed, score, probability })?;
        }
    }
    print_data(&String::from_utf8(csv.into_inner().context("cannot write CSV")?)?)
}

async fn roll_back(app: &App, services: &Services, mut of: ModelOf) -> anyhow::Result<()> {
    of.list.resolve(services).await?;
    let rolled = learned::roll_back(&app.store, of.list.key(), of.ranking.into()).await?;
    let (withdrawn, served) = rolled.with_context(|| {
        format!("\"{}\" has no two accepted versions of this ranking, so none can be rolled back", of.list.key())
    })?;
    print(&format!("Version {withdrawn} is withdrawn; version {served} is served until the next training.\n"))
}
