//! `cinegraph film`: movies by title, and the details of one.

use std::fmt::Write as _;

use anyhow::bail;
use async_graphql::Value;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::api::{LocalApi, decoded};
use super::arguments::{RANKING_ARGUMENTS, RANKING_VARIABLES, RankingArgs, page_size};
use super::empty::no_movies;
use super::output::{print, print_json};
use super::predict::percent;
use super::table::{Column, table};
use crate::app::App;
use crate::graphql::COUNT_MAX;

/// The fields of a movie that are selected.
const MOVIE: &str = "
    slug tmdbId imdbId title originalTitle year releaseDate decade runtime directors { name } genres { name }
    lists { key name position edition }";

/// The fields of its prediction that are selected.
const PREDICTION: &str = "
    rank unranked status score likelihood learnedScore learnedBase probability coverage computedAt source
    breakdown { criterion value weight contribution } reasons { group points sentence }";

#[derive(Debug, Args)]
pub(super) struct FilmArgs {
    /// Words of the title
    #[arg(required_unless_present = "id", num_args = 1..)]
    title: Vec<String>,
    /// Show the movie with this id instead: of TMDb or IMDb, such as 37165 or tt0120382, or as the table prints it
    #[arg(long, conflicts_with_all = ["title", "first"])]
    id: Option<String>,
    /// How many movies, 1 to 100
    #[arg(long, value_parser = page_size, default_value = "10")]
    first: i32,
    #[command(flatten)]
    ranking: RankingArgs,
    /// Print JSON, with the names and values of the API
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    total_count: usize,
    nodes: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movie {
    slug: String,
    imdb_id: Option<String>,
    title: String,
    original_title: Option<String>,
    year: Option<i32>,
    decade: Option<i32>,
    runtime: Option<i32>,
    directors: Vec<Named>,
    genres: Vec<Named>,
    lists: Vec<Named>,
    prediction: Prediction,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    rank: Option<usize>,
    unranked: Option<String>,
    score: f64,
    likelihood: f64,
    learned_score: Option<f64>,
    learned_base: Option<f64>,
    probability: Option<f64>,
    coverage: u8,
    breakdown: Vec<Contribution>,
    reasons: Option<Vec<Reason>>,
}

#[derive(Debug, Deserialize)]
struct Contribution {
    criterion: String,
    value: f64,
    weight: f64,
    contribution: f64,
}

#[derive(Debug, Deserialize)]
struct Reason {
    group: String,
    points: f64,
    sentence: String,
}

pub(super) async fn run(app: &App, mut args: FilmArgs) -> anyhow::Result<()> {
    let api = LocalApi::open(app).await?;
    args.ranking.resolve(&api.services).await?;
    let selection = args.ranking.selection(&api.services).await?;
    let Found { total_count, nodes } = found(&api, &args).await?;
    let movies = nodes.iter().map(decoded).collect::<anyhow::Result<Vec<Movie>>>()?;
    if args.json {
        let ranked = args.ranking.json(&selection)?;
        print_json(&ranked.with("totalCount", total_count)?.with("nodes", nodes)?)?;
    } else {
        match movies.as_slice() {
            [] => {}
            [movie] => print(&details(movie, args.ranking.list()))?,
            movies => print(&matches(movies, total_count))?,
        }
    }
    if !movies.is_empty() {
        return Ok(());
    }
    match (no_movies(&api).await?, args.id) {
        (Some(error), _) => Err(error),
        (None, Some(id)) => bail!("no movie has the id \"{id}\""),
        (None, None) => bail!("no movie has a title like \"{}\"", args.title.join(" ")),
    }
}

/// The movies that the arguments name, best match first.
async fn found(api: &LocalApi, args: &FilmArgs) -> anyhow::Result<Found> {
    let movie = format!("{MOVIE} prediction({RANKING_ARGUMENTS}) {{ {PREDICTION} }}");
    let mut variables = args.ranking.variables();
    let Some(id) = &args.id else {
        variables.insert("search".to_owned(), json!(args.title.join(" ")));
        variables.insert("first".to_owned(), json!(args.first));
        let document = format!(
            "query Films({RANKING_VARIABLES}, $search: String!, $first: Int!) {{
  movies(search: $search, first: $first) {{ totalCount nodes {{ {movie} }} }}
}}"
        );
        return decoded(&api.query(&document, variables).await?);
    };
    // A slug begins with the id of TMDb, that of IMDb or that of the service, and may end there.
    variables.insert("slug".to_owned(), json!(id));
    let document = format!(
        "query Film({RANKING_VARIABLES}, $slug: String!) {{
  movie(by: {{ slug: $slug }}) {{ {movie} }}
}}"
    );
    let nodes: Vec<_> = match api.query(&document, variables).await? {
        Value::Null => vec![],
        movie => vec![movie],
    };
    Ok(Found { total_count: nodes.len(), nodes })
}

/// The part of a slug that identifies the movie.
fn id(movie: &Movie) -> &str {
    movie.slug.split('-').next().unwrap_or_default()
}

/// The score that ranks, and how likely the movie is to join: of the learned ranking, or of the formula.
fn score(prediction: &Prediction) -> [String; 2] {
    let Some(points) = prediction.learned_score else {
        return [format!("{:.2}", prediction.score), format!("{:.1}", prediction.likelihood)];
    };
    [format!("{points:.2}"), percent(prediction.probability)]
}

fn matches(movies: &[Movie], total: usize) -> String {
    let is_learned = movies.iter().any(|movie| movie.prediction.learned_score.is_some());
    let [points, likely] = if is_learned { ["Points", "Chance"] } else { ["Score", "Likely"] };
    let columns = [
        Column::text("Title").cut(),
        Column::number("Year"),
        Column::number(points),
        Column::number(likely).left_out(1),
        Column::text("In its decade"),
        Column::text("Director").left_out(0),
        Column::text("Id"),
    ];
    let row = |movie: &Movie| {
        let [points, likely] = score(&movie.prediction);
        [
            movie.title.clone(),
            movie.year.map_or_else(String::new, |year| year.to_string()),
            points,
            likely,
            standing(&movie.prediction),
            names(&movie.directors),
            id(movie).to_owned(),
        ]
    };
    // The API counts no further.
    let total = if total < COUNT_MAX { total.to_string() } else { format!("{COUNT_MAX} or more") };
    let count = movies.len();
    let table = table(columns, movies.iter().map(row).collect());
    format!("{count} of {total} movies, best match first; --id ID shows one\n\n{table}\n")
}

/// The rank of a movie, or why it has none.
fn standing(prediction: &Prediction) -> String {
    match (prediction.rank, prediction.unranked.as_deref()) {
        (Some(rank), _) => format!("rank {rank}"),
        (None, Some("LISTED")) => "on the list".to_owned(),
        (None, Some("NO_RELEASE_DATE")) => "no release date".to_owned(),
        (None, Some("NOT_FULL")) => "not fully imported".to_owned(),
        (None, _) => "not ranked yet".to_owned(),
    }
}

fn names(named: &[Named]) -> String {
    named.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn details(movie: &Movie, list: &str) -> String {
    let prediction = &movie.prediction;
    let year = movie.year.map_or_else(String::new, |year| format!(" ({year})"));
    let mut text = format!("{}{year}\n", movie.title);
    let standing = match (prediction.rank, prediction.unranked.as_deref(), movie.decade) {
        (Some(rank), _, Some(decade)) => format!("rank {rank} of the {decade}s for {list}"),
        (_, Some("LISTED"), _) => format!("on {list}"),
        _ => standing(prediction),
    };
    let [points, likely] = score(prediction);
    let is_learned = prediction.learned_score.is_some();
    let [points_label, likely_label] = if is_learned { ["Points", "Chance"] } else { ["Score", "Likelihood"] };
    let original = movie.original_title.clone().filter(|title| *title != movie.title);
    let ids: Vec<_> = [Some(id(movie)), movie.imdb_id.as_deref()].into_iter().flatten().collect();
    let ids = if ids.first() == ids.last() { id(movie).to_owned() } else { ids.join(", ") };
    let facts = [
        ("Original title", original.unwrap_or_default()),
        ("Directed by", names(&movie.directors)),
        ("Genres", names(&movie.genres)),
        ("Running time", movie.runtime.map_or_else(String::new, |minutes| format!("{minutes} min"))),
        ("Lists", names(&movie.lists)),
        ("Id", ids),
        ("Standing", standing),
        (points_label, points),
        (likely_label, likely),
        ("Ratings known", format!("{} of 4", prediction.coverage)),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        let _ = writeln!(text, "  {name:14}  {fact}");
    }
    match &prediction.reasons {
        Some(reasons) => format!("{text}\n{}\n", reasons_table(reasons, prediction.learned_base.unwrap_or_default())),
        None => format!("{text}\n{}\n", contributions(prediction)),
    }
}

fn contributions(prediction: &Prediction) -> String {
    let columns =
        [Column::text("Criterion"), Column::number("Value"), Column::number("Weight"), Column::number("Contribution")];
    let row = |part: &Contribution| {
        let weight = format!("{:.1} %", 100.0 * part.weight);
        [words(&part.criterion), format!("{:.3}", part.value), weight, format!("{:.2}", part.contribution)]
    };
    let total = ["Score".to_owned(), String::new(), String::new(), format!("{:.2}", prediction.score)];
    table(columns, prediction.breakdown.iter().map(row).chain([total]).collect())
}

fn reasons_table(reasons: &[Reason], base: f64) -> String {
    let columns = [Column::text("Group"), Column::number("Points"), Column::text("Reason").cut()];
    let row = |reason: &Reason| [words(&reason.group), format!("{:+.2}", reason.points), reason.sentence.clone()];
    let base = ["Average".to_owned(), format!("{base:+.2}"), "the average movie of the decade".to_owned()];
    table(columns, reasons.iter().map(row).chain([base]).collect())
}

/// The name of a value of the API as words: `POPULAR_OPINION` as "Popular opinion".
fn words(value: &str) -> String {
    let lower = value.to_lowercase().replace('_', " ");
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
