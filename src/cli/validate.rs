//! `cinegraph validate`

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, json};

use super::api::{LocalApi, Object, decoded};
use super::arguments::{RANKING_ARGUMENTS, RANKING_VARIABLES, RankingArgs, criteria_note, decade};
use super::empty::{no_movies, nothing_to_validate};
use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::App;
use crate::scoring::Decade;

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
    /// Print JSON, with the names and values of the API
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

impl BasisArg {
    /// The value of the API.
    fn api(self) -> &'static str {
        match self {
            Self::Blind => "BLIND",
            Self::AsPublished => "AS_PUBLISHED",
        }
    }
}

/// What every validation selects.
const TOTALS: &str = "
    listed population hits accuracy interval { low high } expectedHits lift baselineAccuracy baselines { kind accuracy }
    unhittable";

/// How accurate a ranking is in a decade, or in several.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    /// `None` if these are the totals of several decades.
    decade: Option<i32>,
    listed: usize,
    population: usize,
    hits: usize,
    accuracy: Option<f64>,
    interval: Option<Interval>,
    expected_hits: Option<f64>,
    lift: Option<f64>,
    baselines: Vec<BaselineAccuracy>,
    unhittable: usize,
}

#[derive(Debug, Deserialize)]
struct Interval {
    low: f64,
    high: f64,
}

#[derive(Debug, Deserialize)]
struct BaselineAccuracy {
    kind: String,
    accuracy: Option<f64>,
}

impl Totals {
    fn baseline(&self, kind: &str) -> Option<f64> {
        self.baselines.iter().find(|one| one.kind == kind)?.accuracy
    }
}

#[derive(Debug, Deserialize)]
struct Validation {
    decades: Vec<Totals>,
    overall: Totals,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    profiles: Vec<ProfileValidation>,
}

#[derive(Debug, Deserialize)]
struct ProfileValidation {
    profile: Profile,
    overall: Totals,
}

#[derive(Debug, Deserialize)]
struct Profile {
    name: String,
}

/// A row of the table: what was validated, and the result.
type Row = (String, Totals);

pub(super) async fn run(app: &App, mut args: ValidateArgs) -> anyhow::Result<()> {
    let api = LocalApi::open(app).await?;
    args.ranking.resolve(&api.services).await?;
    let (object, rows) = match validated(&api, &args).await {
        Ok(validated) => validated,
        // An empty database has no snapshot either.
        Err(error) => return Err(no_movies(&api).await?.unwrap_or(error)),
    };
    // The last row is that of all decades.
    let is_empty = rows.last().is_none_or(|(_, totals)| totals.listed == 0);
    if args.json {
        print_json(&object)?;
    } else if !is_empty {
        print(&format!("{}{}", criteria_note(&api.services).await?, printed(&rows)))?;
    }
    let of = args.decade.map_or_else(|| "of the 1920s–2010s".to_owned(), |decade| format!("of the {decade}"));
    if is_empty { Err(nothing_to_validate(&api, args.ranking.list(), &of).await?) } else { Ok(()) }
}

/// The validation that the arguments select: for `--json`, and as rows.
async fn validated(api: &LocalApi, args: &ValidateArgs) -> anyhow::Result<(Object, Vec<Row>)> {
    let (list, basis) = (args.ranking.list(), args.basis.api());
    if args.profiles {
        let document = format!(
            "query Compare($list: String!, $basis: ScoreBasis!) {{
  profileComparison(list: $list, basis: $basis) {{
    best {{ name }}
    profiles {{ profile {{ name }} overall {{ {TOTALS} }} decades {{ decade listed hits accuracy }} }}
  }}
}}"
        );
        let variables = Map::from_iter([("list".to_owned(), json!(list)), ("basis".to_owned(), json!(basis))]);
        let value = api.query(&document, variables).await?;
        let compared: Comparison = decoded(&value)?;
        let rows = compared.profiles.into_iter().map(|one| (one.profile.name, one.overall)).collect();
        return Ok((Object::default().with("list", list)?.with("basis", basis)?.and(value), rows));
    }
    let selection = args.ranking.selection(&api.services).await?;
    anyhow::ensure!(
        selection.model.is_none() || args.basis == BasisArg::Blind,
        "a learned ranking has blind scores only: leave out --basis"
    );
    let mut variables = args.ranking.variables();
    variables.insert("basis".to_owned(), json!(basis));
    let object = args.ranking.json(&selection)?.with("basis", basis)?;
    if let Some(decade) = args.decade {
        let document = format!(
            "query ValidateDecade({RANKING_VARIABLES}, $basis: ScoreBasis!, $decade: Int!) {{
  decadeValidation({RANKING_ARGUMENTS}, basis: $basis, decade: $decade) {{ decade ranking {TOTALS} }}
}}"
        );
        variables.insert("decade".to_owned(), json!(decade.year()));
        let value = api.query(&document, variables).await?;
        return Ok((object.and(value.clone()), vec![(decade.to_string(), decoded(&value)?)]));
    }
    let document = format!(
        "query Validate({RANKING_VARIABLES}, $basis: ScoreBasis!) {{
  validation({RANKING_ARGUMENTS}, basis: $basis) {{
    ranking snapshotAt
    overall {{ {TOTALS} }}
    eras {{ name decades listed hits accuracy }}
    hitRates {{ firstRank lastRank movies listed rate interval {{ low high }} }}
    decades {{ decade {TOTALS} }}
  }}
}}"
    );
    let value = api.query(&document, variables).await?;
    let Validation { decades, overall } = decoded(&value)?;
    let row = |totals: Totals| Some((format!("{}s", totals.decade?), totals));
    let decades = decades.into_iter().map(row).collect::<Option<Vec<_>>>().context("a decade without its year")?;
    // Earlier decades have rows, too, but do not count in the overall accuracy: they have too few listed movies.
    let rows = decades.into_iter().chain([("1920s–2010s".to_owned(), overall)]).collect();
    Ok((object.and(value), rows))
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
    let cells = |(of, row): &Row| {
        let interval = row.interval.as_ref();
        [
            of.clone(),
            row.listed.to_string(),
            row.population.to_string(),
            row.hits.to_string(),
            share(row.accuracy),
            interval.map_or_else(
                || "–".to_owned(),
                |interval| format!("{} – {}", share(Some(interval.low)), share(Some(interval.high))),
            ),
            number(row.expected_hits),
            number(row.lift),
            share(row.baseline("POPULARITY")),
            share(row.baseline("VOTES")),
            share(row.baseline("RATED_VOTES")),
            row.unhittable.to_string(),
        ]
    };
    table(columns, rows.iter().map(cells).collect()) + "\n"
}
