//! `cinegraph predict`

use std::collections::HashMap;
use std::sync::LazyLock;

use clap::Args;
use serde::Serialize;

use super::arguments::{RankingArgs, criteria_note, decade};
use super::output::{print, print_data, print_json};
use super::table::{Column, table};
use crate::app::App;
use crate::graphql;
use crate::scoring::learned::points;
use crate::scoring::{Decade, MovieId, likelihood};
use crate::services::Services;
use crate::services::learned::LearnedScore;
use crate::services::predictions::ScoredMovie;
use crate::services::profiles::WeightSelection;

/// Text of the default decade, in the form of the argument.
static DEFAULT_DECADE: LazyLock<String> = LazyLock::new(|| graphql::DEFAULT_DECADE.to_string());

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
pub(super) struct PredictArgs {
    /// First year of the decade, such as 1990
    #[arg(long, value_parser = decade, default_value = DEFAULT_DECADE.as_str())]
    decade: Decade,
    /// How many movies
    #[arg(long, default_value_t = 25)]
    first: usize,
    /// Rank the movies that are on the list already, instead of candidates
    #[arg(long)]
    confirmed: bool,
    #[command(flatten)]
    ranking: RankingArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print all fully imported movies of the decade: the candidates, then those on the list
    #[arg(long, conflicts_with_all = ["first", "confirmed"])]
    all: bool,
    /// With --all: print CSV with the raw inputs of each criterion
    #[arg(long, conflicts_with = "json", requires = "all")]
    csv: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    /// Finds the inputs for CSV. Not printed, because the id has no meaning outside of this database.
    #[serde(skip)]
    id: MovieId,
    /// `None` for movies on the list, which are not ranked among the candidates.
    rank: Option<usize>,
    tmdb_id: Option<i32>,
    title: String,
    release_date: Option<chrono::NaiveDate>,
    score: f64,
    likelihood: f64,
    popular_opinion: f64,
    critical_acclaim: f64,
    industry_recognition: f64,
    cultural_impact: f64,
    people_quality: f64,
    coverage: u8,
    /// Points of the learned ranking; `None` if the formula ranks.
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_score: Option<f64>,
    /// Probability of the learned ranking; `None` if the formula ranks, or too little is known of the movie.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
}

pub(super) async fn run(app: &App, args: PredictArgs) -> anyhow::Result<()> {
    let services = app.services().await?;
    let selection = args.ranking.selection(&services).await?;
    if args.all {
        print_all(&services, &args, &selection).await
    } else {
        print_first(&services, &args, selection).await
    }
}

async fn print_all(services: &Services, args: &PredictArgs, selection: &WeightSelection) -> anyhow::Result<()> {
    let movies = services.predictions.all(&args.ranking.list, args.decade, &selection.ranked_by()).await?;
    let rows = rows(services, &movies).await?;
    match (args.csv, args.json) {
        (true, _) => print_csv(services, args.decade, &rows).await,
        (false, true) => print_json(&rows),
        (false, false) => print(&format!("{}\n", printed(&rows))),
    }
}

async fn print_first(services: &Services, args: &PredictArgs, selection: WeightSelection) -> anyhow::Result<()> {
    // Not `predictions.page`, whose pages have at most 100 movies while results are cached.
    let mut movies = services.predictions.all(&args.ranking.list, args.decade, &selection.ranked_by()).await?;
    movies.retain(|movie| movie.listed == args.confirmed);
    let total = movies.len();
    movies.truncate(args.first);
    let rows = rows(services, &movies).await?;
    if args.json {
        return print_json(&rows);
    }
    let kind = if args.confirmed { "movies on the list" } else { "candidates" };
    let selection = match (&selection.model, &selection.profile) {
        (Some(model), _) => format!("version {} of the learned ranking", model.version),
        (None, Some(profile)) => profile.name.clone(),
        (None, None) => "custom weights".to_owned(),
    };
    print(&format!(
        "{} of {} {kind} of the {} for {}, by {selection}\n{}\n{}\n",
        rows.len(),
        total,
        args.decade,
        args.ranking.list,
        criteria_note(services).await?,
        printed(&rows)
    ))
}

/// Prints the ranked movies with the raw inputs of their criteria as CSV. An unknown input is an empty cell.
async fn print_csv(services: &Services, decade: Decade, rows: &[Row]) -> anyhow::Result<()> {
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
    for row in rows {
        // Scores are read before inputs. A movie that left the decade in between has no inputs, and is omitted.
        let Some(inputs) = inputs.get(&row.id) else { continue };
        csv.write_record([
            row.rank.map_or_else(String::new, |rank| rank.to_string()),
            row.tmdb_id.map_or_else(String::new, |id| id.to_string()),
            row.title.clone(),
            row.release_date.map_or_else(String::new, |day| day.to_string()),
            row.score.to_string(),
            row.likelihood.to_string(),
            row.popular_opinion.to_string(),
            row.critical_acclaim.to_string(),
            row.industry_recognition.to_string(),
            row.cultural_impact.to_string(),
            row.people_quality.to_string(),
            row.coverage.to_string(),
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
            known(row.learned_score),
            known(row.probability),
        ])?;
    }
    print_data(&String::from_utf8(csv.into_inner()?)?)
}

/// The ranked movies with their details, in the same order.
async fn rows(services: &Services, ranked: &[ScoredMovie]) -> anyhow::Result<Vec<Row>> {
    let ids: Vec<_> = ranked.iter().map(|movie| movie.id).collect();
    let mut movies = services.movies.movies(&ids).await?;
    let row = |scored: &ScoredMovie| {
        // A movie that was deleted after it was ranked has no details, and is omitted.
        let movie = movies.remove(&scored.id)?;
        let [popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality] =
            scored.vector.0;
        Some(Row {
            id: scored.id,
            rank: scored.rank,
            tmdb_id: movie.tmdb_id,
            title: movie.title.clone(),
            release_date: movie.release_date,
            score: scored.score,
            likelihood: likelihood(scored.score),
            popular_opinion,
            critical_acclaim,
            industry_recognition,
            cultural_impact,
            people_quality,
            coverage: scored.coverage,
            learned_score: scored.learned.as_ref().map(|learned| points(learned.log_odds)),
            probability: scored.learned.as_ref().and_then(LearnedScore::probability),
        })
    };
    Ok(ranked.iter().filter_map(row).collect())
}

fn percent(probability: Option<f64>) -> String {
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
    let cells = |row: &Row| {
        [
            row.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string()),
            format!("{:.2}", row.learned_score.unwrap_or(row.score)),
            if is_learned { percent(row.probability) } else { format!("{:.1}", row.likelihood) },
            row.title.clone(),
            row.release_date.map_or_else(String::new, |day| day.to_string()),
            format!("{:.3}", row.popular_opinion),
            format!("{:.3}", row.critical_acclaim),
            format!("{:.3}", row.industry_recognition),
            format!("{:.3}", row.cultural_impact),
            format!("{:.3}", row.people_quality),
            // How many of the four ratings are known: TMDb, IMDb, Metacritic and Rotten Tomatoes.
            format!("{}/4", row.coverage),
        ]
    };
    table(columns, rows.iter().map(cells).collect())
}
