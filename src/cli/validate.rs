//! `cinegraph validate`

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::arguments::{RankingArgs, criteria_note, decade, require_list};
use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::App;
use crate::scoring::{Baseline, Basis, Decade, Totals};
use crate::services::Services;
use crate::services::validation::{Report, TestedWeights};

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// First year of one decade [default: all before the 2020s]
    #[arg(long, value_parser = decade)]
    decade: Option<Decade>,
    /// Compare all active profiles
    #[arg(long, conflicts_with_all = ["decade", "profile", "weights", "ranking"])]
    profiles: bool,
    /// Which scores to rank by
    #[arg(long, value_enum, default_value_t = BasisArg::Blind)]
    basis: BasisArg,
    #[command(flatten)]
    ranking: RankingArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BasisArg {
    /// Scores computed as if it were unknown which movies are on the target list
    Blind,
    /// The scores that `cinegraph predict` prints; they depend on the target list, which inflates the accuracy
    AsPublished,
}

#[derive(Debug, Serialize)]
struct Row {
    /// What was validated: a decade, a span of decades, or a profile.
    of: String,
    listed: usize,
    population: usize,
    hits: usize,
    accuracy: Option<f64>,
    /// Bounds of the 95 % confidence interval of the accuracy.
    low: Option<f64>,
    high: Option<f64>,
    expected_hits: Option<f64>,
    lift: Option<f64>,
    baseline_accuracy: Option<f64>,
    votes_accuracy: Option<f64>,
    rated_votes_accuracy: Option<f64>,
    unhittable: usize,
}

impl Row {
    fn new(of: impl ToString, totals: Totals) -> Self {
        let interval = totals.accuracy.interval();
        Self {
            of: of.to_string(),
            listed: totals.accuracy.listed,
            population: totals.population,
            hits: totals.accuracy.hits,
            accuracy: totals.accuracy.share(),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            expected_hits: totals.expected_hits,
            lift: totals.lift(),
            baseline_accuracy: totals.baseline(Baseline::Popularity),
            votes_accuracy: totals.baseline(Baseline::Votes),
            rated_votes_accuracy: totals.baseline(Baseline::RatedVotes),
            unhittable: totals.unhittable,
        }
    }
}

pub(super) async fn run(app: &App, args: ValidateArgs) -> anyhow::Result<()> {
    let services = app.services().await?;
    let rows = rows(&services, &args).await?;
    if args.json {
        return print_json(&rows);
    }
    print(&format!("{}{}", criteria_note(&services).await?, printed(&rows)))
}

async fn rows(services: &Services, args: &ValidateArgs) -> anyhow::Result<Vec<Row>> {
    let basis = match args.basis {
        BasisArg::Blind => Basis::Blind,
        BasisArg::AsPublished => Basis::AsPublished,
    };
    let list = &args.ranking.list;
    if args.profiles {
        require_list(services, list).await?;
        let active = services.profiles.all().await?.iter().filter(|profile| profile.active).cloned().collect();
        let compared = services.validation.compare(list, active, basis).await?;
        return Ok(compared.iter().map(|one| Row::new(&one.profile.name, one.report.overall())).collect());
    }
    // Reports for custom weights are not stored in the shared cache. A report that is printed once should not be
    // stored there either, even if its weights are those of a profile.
    let selection = args.ranking.selection(services).await?;
    anyhow::ensure!(
        selection.model.is_none() || args.basis == BasisArg::Blind,
        "a learned ranking has blind scores only: leave out --basis"
    );
    let tested = TestedWeights { weights: selection.weights, custom: true, model: selection.model };
    if let Some(decade) = args.decade {
        let report = services.validation.of_decade(list, decade, tested, basis).await?;
        return Ok(vec![Row::new(decade, report.totals())]);
    }
    let report: Report = services.validation.of_all(list, tested, basis).await?;
    let decades = report.decades.iter().map(|decade| Row::new(decade.decade, decade.totals()));
    // Earlier decades have rows, too, but do not count in the overall accuracy: they have too few listed movies.
    Ok(decades.chain([Row::new("1920s–2010s", report.overall())]).collect())
}

fn printed(rows: &[Row]) -> String {
    let columns = [
        Column::text("").cut(),
        Column::number("Listed"),
        Column::number("Movies").left_out(4),
        Column::number("Hits"),
        Column::number("Accuracy"),
        Column::number("95 % interval"),
        Column::number("Expected").left_out(3),
        Column::number("Lift"),
        Column::number("Popularity").left_out(2),
        Column::number("Votes").left_out(2),
        Column::number("Rating × votes").left_out(1),
        Column::number("Not imported").left_out(0),
    ];
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.1}"));
    let cells = |row: &Row| {
        [
            row.of.clone(),
            row.listed.to_string(),
            row.population.to_string(),
            row.hits.to_string(),
            share(row.accuracy),
            row.low.map_or_else(|| "–".to_owned(), |_| format!("{} – {}", share(row.low), share(row.high))),
            number(row.expected_hits),
            number(row.lift),
            share(row.baseline_accuracy),
            share(row.votes_accuracy),
            share(row.rated_votes_accuracy),
            row.unhittable.to_string(),
        ]
    };
    table(columns, rows.iter().map(cells).collect()) + "\n"
}
