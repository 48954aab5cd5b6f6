//! `cinegraph predict`

use std::collections::HashMap;

use async_graphql::Value;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::api::{LocalApi, decoded};
use super::arguments::{RANKING_ARGUMENTS, RANKING_VARIABLES, RankingArgs, count, criteria_note, decade};
use super::empty::no_predictions;
use super::output::{print, print_data, print_json};
use super::table::{Column, table};
use crate::app::App;
use crate::graphql::PAGE_MAX;
use crate::scoring::learned::points;
use crate::scoring::{Decade, likelihood};
use crate::services::Services;
use crate::services::learned::LearnedScore;
use crate::services::profiles::WeightSelection;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
pub(super) struct PredictArgs {
    /// First year of the decade, such as 1990 [default: the latest decade with movies]
    #[arg(long, value_parser = decade)]
    decade: Option<Decade>,
    /// How many movies, 1 or more
    #[arg(long, value_parser = count, default_value = "25")]
    first: usize,
    /// Rank the movies that are on the list already, instead of candidates
    #[arg(long)]
    confirmed: bool,
    #[command(flatten)]
    ranking: RankingArgs,
    /// Print JSON, with the names and values of the API
    #[arg(long)]
    json: bool,
    /// Print all fully imported movies of the decade: the candidates, then those on the list
    #[arg(long, conflicts_with_all = ["first", "confirmed"])]
    all: bool,
    /// With --all: print CSV with the raw inputs of each criterion
    #[arg(long, conflicts_with = "json", requires = "all")]
    csv: bool,
}

/// Which field of the API has the movies of a decade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Candidates,
    Listed,
}

impl Kind {
    fn field(self) -> &'static str {
        match self {
            Self::Candidates => "predictions",
            Self::Listed => "confirmedAdditions",
        }
    }
}

/// What a page selects.
const PAGE: &str = "
    totalCount dataVersion asOf ranking modelVersion pageInfo { hasNextPage endCursor }
    nodes {
      rank status score likelihood learnedScore probability coverage computedAt source
      breakdown { criterion value weight contribution }
      movie { slug tmdbId imdbId title year releaseDate }
    }";

/// A page of the API, or several that were put together.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total_count: usize,
    data_version: i64,
    as_of: String,
    ranking: String,
    model_version: Option<i64>,
    page_info: PageInfo,
    nodes: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    rank: Option<usize>,
    score: f64,
    likelihood: f64,
    learned_score: Option<f64>,
    probability: Option<f64>,
    coverage: u8,
    breakdown: Vec<Part>,
    movie: Movie,
}

#[derive(Debug, Deserialize)]
struct Part {
    value: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movie {
    title: String,
    release_date: Option<String>,
}

pub(super) async fn run(app: &App, mut args: PredictArgs) -> anyhow::Result<()> {
    let api = LocalApi::open(app).await?;
    args.ranking.resolve(&api.services).await?;
    let decade = args.decade.unwrap_or(api.services.reference.names().await?.default_decade);
    let selection = args.ranking.selection(&api.services).await?;
    if args.csv {
        let movies = print_csv(&api.services, &args, decade, &selection).await?;
        return if movies > 0 { Ok(()) } else { Err(no_predictions(&api, args.ranking.list(), decade, false).await?) };
    }
    let kind = if args.confirmed { Kind::Listed } else { Kind::Candidates };
    let mut page = pages(&api, kind, &args, decade, if args.all { usize::MAX } else { args.first }).await?;
    if args.all {
        let listed = pages(&api, Kind::Listed, &args, decade, usize::MAX).await?;
        page.total_count += listed.total_count;
        page.nodes.extend(listed.nodes);
    }
    let is_empty = page.nodes.is_empty();
    if args.json {
        print_json(&json(&args, decade, &selection, page)?)?;
    } else if !is_empty {
        print_table(&api, &args, decade, &selection, page).await?;
    }
    if is_empty { Err(no_predictions(&api, args.ranking.list(), decade, args.confirmed).await?) } else { Ok(()) }
}

/// The first `first` movies.
async fn pages(api: &LocalApi, kind: Kind, args: &PredictArgs, decade: Decade, first: usize) -> anyhow::Result<Page> {
    let field = kind.field();
    let document = format!(
        "query Predict({RANKING_VARIABLES}, $decade: Int!, $first: Int!, $after: String) {{
  {field}({RANKING_ARGUMENTS}, decade: $decade, first: $first, after: $after) {{ {PAGE} }}
}}"
    );
    let mut variables = args.ranking.variables();
    variables.insert("decade".to_owned(), json!(decade.year()));
    let mut all: Option<Page> = None;
    loop {
        let left = first - all.as_ref().map_or(0, |all| all.nodes.len());
        variables.insert("first".to_owned(), json!(i32::try_from(left).map_or(PAGE_MAX, |left| left.min(PAGE_MAX))));
        let mut page: Page = decoded(&api.query(&document, variables.clone()).await?)?;
        if let Some(mut before) = all.take() {
            before.nodes.append(&mut page.nodes);
            page.nodes = before.nodes;
        }
        match &page.page_info {
            PageInfo { has_next_page: true, end_cursor: Some(cursor) } if page.nodes.len() < first => {
                variables.insert("after".to_owned(), json!(cursor));
            }
            _ => return Ok(page),
        }
        all = Some(page);
    }
}

fn json(
    args: &PredictArgs,
    decade: Decade,
    selection: &WeightSelection,
    page: Page,
) -> anyhow::Result<impl serde::Serialize> {
    let Page { total_count, data_version, as_of, ranking, model_version, nodes, .. } = page;
    let ranked = args.ranking.json(selection)?.with("decade", decade.year())?.with("ranking", ranking)?;
    let read = ranked.with("modelVersion", model_version)?.with("dataVersion", data_version)?.with("asOf", as_of)?;
    read.with("totalCount", total_count)?.with("nodes", nodes)
}

async fn print_table(
    api: &LocalApi,
    args: &PredictArgs,
    decade: Decade,
    selection: &WeightSelection,
    page: Page,
) -> anyhow::Result<()> {
    let rows = page.nodes.iter().map(decoded).collect::<anyhow::Result<Vec<Row>>>()?;
    let kind = match (args.all, args.confirmed) {
        (true, _) => "movies",
        (false, true) => "movies on the list",
        (false, false) => "candidates",
    };
    let selection = match (&selection.model, &selection.profile) {
        (Some(model), _) => format!("version {} of the learned ranking", model.version),
        (None, Some(profile)) => profile.name.clone(),
        (None, None) => "custom weights".to_owned(),
    };
    print(&format!(
        "{} of {} {kind} of the {} for {}, by {selection}\n{}\n{}\n",
        rows.len(),
        page.total_count,
        decade,
        args.ranking.list(),
        criteria_note(&api.services).await?,
        printed(&rows)
    ))
}

/// Prints all movies with the raw inputs of their criteria as CSV. An unknown input is an empty cell. Returns the number of
/// movies.
async fn print_csv(
    services: &Services,
    args: &PredictArgs,
    decade: Decade,
    selection: &WeightSelection,
) -> anyhow::Result<usize> {
    let ranked = services.predictions.all(args.ranking.list(), decade, &selection.ranked_by()).await?;
    let ids: Vec<_> = ranked.iter().map(|movie| movie.id).collect();
    let movies = services.movies.movies(&ids).await?;
    let inputs: HashMap<_, _> = services.predictions.inputs(decade).await?.into_iter().collect();
    let mut csv = csv::Writer::from_writer(Vec::new());
    let known = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    csv.write_record([
        "rank",
        "tmdb_id",
        "title",
        "release_date",
        "score",
        "likelihood",
        "popular_opinion",
        "critical_acclaim",
        "industry_recognition",
        "cultural_impact",
        "people_quality",
        "coverage",
        "tmdb_rating",
        "imdb_rating",
        "metascore",
        "tomatometer",
        "popularity",
        "nominations",
        "wins",
        "lists",
        "mean_person_quality",
        "learned_score",
        "probability",
    ])?;
    for scored in &ranked {
        // A movie that was deleted after it was ranked has no details, and one that left the decade in between no inputs.
        let (Some(movie), Some(inputs)) = (movies.get(&scored.id), inputs.get(&scored.id)) else { continue };
        let mut record = vec![
            scored.rank.map_or_else(String::new, |rank| rank.to_string()),
            movie.tmdb_id.map_or_else(String::new, |id| id.to_string()),
            movie.title.clone(),
            movie.release_date.map_or_else(String::new, |day| day.to_string()),
            scored.score.to_string(),
            likelihood(scored.score).to_string(),
        ];
        record.extend(scored.vector.0.map(|value| value.to_string()));
        record.extend([
            scored.coverage.to_string(),
            known(inputs.tmdb_rating),
            known(inputs.imdb_rating),
            known(inputs.metascore),
            known(inputs.tomatometer),
            known(inputs.popularity),
            inputs.nominations.to_string(),
            inputs.wins.to_string(),
            inputs.lists.to_string(),
            // The store reads at most one value here: the mean quality of the credited people.
            known(inputs.people.first().copied()),
            known(scored.learned.as_ref().map(|learned| points(learned.log_odds))),
            known(scored.learned.as_ref().and_then(LearnedScore::probability)),
        ]);
        csv.write_record(record)?;
    }
    print_data(&String::from_utf8(csv.into_inner()?)?)?;
    Ok(ranked.len())
}

/// A probability as a percentage; a dash if it is unknown.
pub(super) fn percent(probability: Option<f64>) -> String {
    probability.map_or_else(|| "–".to_owned(), |probability| format!("{:.1} %", 100.0 * probability))
}

fn printed(rows: &[Row]) -> String {
    // All rows are of one ranking.
    let is_learned = rows.iter().any(|row| row.learned_score.is_some());
    let [score, likely] = if is_learned { ["Points", "Chance"] } else { ["Score", "Likely"] };
    let columns = [
        Column::number("Rank"),
        Column::number(score),
        Column::number(likely),
        Column::text("Title").cut(),
        Column::text("Released").left_out(2),
        Column::number("Popular").left_out(1),
        Column::number("Critics").left_out(1),
        Column::number("Awards").left_out(1),
        Column::number("Culture").left_out(1),
        Column::number("People").left_out(1),
        Column::number("Known").left_out(0),
    ];
    let value = |row: &Row, criterion: usize| {
        row.breakdown.get(criterion).map_or_else(String::new, |part| format!("{:.3}", part.value))
    };
    let cells = |row: &Row| {
        [
            row.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string()),
            format!("{:.2}", row.learned_score.unwrap_or(row.score)),
            if is_learned { percent(row.probability) } else { format!("{:.1}", row.likelihood) },
            row.movie.title.clone(),
            row.movie.release_date.clone().unwrap_or_default(),
            value(row, 0),
            value(row, 1),
            value(row, 2),
            value(row, 3),
            value(row, 4),
            // How many of the four ratings are known: TMDb, IMDb, Metacritic and Rotten Tomatoes.
            format!("{}/4", row.coverage),
        ]
    };
    table(columns, rows.iter().map(cells).collect())
}
