//! The lists as CSV: what the page shows, with the same filters and ranking.

use std::sync::Arc;

use async_graphql::Executor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::chrome::Tab;
use super::context::PageContext;
use super::criteria::CRITERIA;
use super::problem::PageError;
use super::queries::{Named, PageInfo, Part, run_query};
use crate::graphql::OperationEnd;
use crate::http::state::HttpState;

const PREDICTIONS: &str = concat!(include_str!("queries/csv_predictions.graphql"), include_str!("queries/csv.graphql"));
const ADDITIONS: &str = concat!(include_str!("queries/csv_additions.graphql"), include_str!("queries/csv.graphql"));

/// What a spreadsheet takes for the start of a formula, or skips in front of one.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Maximum number of rows. A choice: more than people read, and little work for the service.
const ROWS_MAX: usize = 2000;

#[derive(Deserialize)]
struct Ranked {
    ranking: Ranking,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ranking {
    nodes: Vec<Prediction>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Prediction {
    rank: Option<usize>,
    score: f64,
    likelihood: f64,
    probability: Option<f64>,
    breakdown: Vec<Part>,
    movie: Movie,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Movie {
    slug: String,
    title: String,
    year: Option<i32>,
    tmdb_id: Option<i32>,
    imdb_id: Option<String>,
    directors: Vec<Named>,
    genres: Vec<Named>,
}

/// `GET /predictions.csv`
pub(super) async fn predictions<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    RawQuery(query): RawQuery,
) -> Response {
    csv(&state, query.as_deref(), Tab::Predictions).await
}

/// `GET /additions.csv`
pub(super) async fn additions<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    RawQuery(query): RawQuery,
) -> Response {
    csv(&state, query.as_deref(), Tab::Additions).await
}

async fn csv<E: Executor>(state: &HttpState<E>, url_query: Option<&str>, tab: Tab) -> Response {
    let context = PageContext::load(state, url_query, tab).await;
    match rows(state, &context, tab).await {
        Ok((predictions, end)) => {
            let Ok(text) = written(&predictions) else { return context.fail(PageError::internal()) };
            let name = format!("attachment; filename=\"cinegraph-{}s.csv\"", context.page.decade());
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            let mut response = (Extension(end), headers, text).into_response();
            if let Ok(name) = HeaderValue::try_from(name) {
                response.headers_mut().insert(CONTENT_DISPOSITION, name);
            }
            response
        }
        Err(problem) => context.fail(problem),
    }
}

/// The first movies of the list, at most [`ROWS_MAX`], and how the last operation ended.
async fn rows<E: Executor>(
    state: &HttpState<E>,
    context: &PageContext,
    tab: Tab,
) -> Result<(Vec<Prediction>, OperationEnd), PageError> {
    let (document, mut query) = match tab {
        // The query `confirmedAdditions` has no argument `filter`.
        Tab::Additions => (ADDITIONS, context.query()?.without_filters().on_first_page()),
        _ => (PREDICTIONS, context.query()?.on_first_page()),
    };
    let mut all = Vec::new();
    loop {
        let result = run_query::<Ranked, E>(&state.pipeline, document, query.page_variables()?).await?;
        let Ranking { nodes, page_info } = result.data.ranking;
        all.extend(nodes);
        match page_info.end_cursor.filter(|_| page_info.has_next_page && all.len() < ROWS_MAX) {
            Some(cursor) => query.after = cursor,
            None => {
                all.truncate(ROWS_MAX);
                return Ok((all, result.end));
            }
        }
    }
}

/// The rows as CSV, after a byte order mark: without it, Excel takes the text for one of another encoding.
fn written(predictions: &[Prediction]) -> Result<Vec<u8>, csv::Error> {
    // Spreadsheets take a quoted number for a number. Quotes keep a text with another separator in its cell.
    let mut csv =
        csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer("\u{feff}".as_bytes().to_vec());
    let points = CRITERIA.map(|criterion| format!("{}_points", criterion.api.to_lowercase()));
    let first = ["rank", "title", "year", "directors", "genres", "score", "likelihood", "probability"];
    csv.write_record(first.into_iter().chain(points.iter().map(String::as_str)).chain(["tmdb_id", "imdb_id", "page"]))?;
    for Prediction { rank, score, likelihood, probability, breakdown, movie } in predictions {
        let names = |named: &[Named]| named.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut record = vec![
            rank.map(|rank| rank.to_string()).unwrap_or_default(),
            as_text(&movie.title),
            known(movie.year.map(i64::from)),
            as_text(&names(&movie.directors)),
            as_text(&names(&movie.genres)),
            format!("{score:.4}"),
            format!("{likelihood:.4}"),
            probability.map(|probability| format!("{probability:.4}")).unwrap_or_default(),
        ];
        record.extend(breakdown.iter().map(|part| format!("{:.4}", part.contribution)));
        let imdb_id = as_text(movie.imdb_id.as_deref().unwrap_or_default());
        record.extend([known(movie.tmdb_id.map(i64::from)), imdb_id, format!("/films/{}", movie.slug)]);
        csv.write_record(record)?;
    }
    csv.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// Characters at which a cell may end, besides the comma. Quotes do not prevent that in a spreadsheet that splits at
/// semicolons: all but those of the first field are then within a cell.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// A text that a spreadsheet takes for a text: what begins like a formula, in the cell or after a separator, gets an
/// apostrophe.
fn as_text(text: &str) -> String {
    let cell = |cell: &str| {
        let is_formula = cell.trim_start_matches([' ', '"']).starts_with(FORMULA_STARTS);
        if is_formula { format!("'{cell}") } else { cell.to_owned() }
    };
    // Each part but the last ends with its separator.
    text.split_inclusive(SEPARATORS).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_takes_no_title_for_a_formula() {
        for formula in ["=HYPERLINK(\"http://evil.example\")", "+1", "-30-", "@home", "\tx", "＝1"] {
            assert_eq!(as_text(formula), format!("'{formula}"));
        }
        let within = [
            ("Heat;=1", "Heat;'=1"),
            ("Heat; =1", "Heat;' =1"),
            ("a\t@b", "a\t'@b"),
            ("a\n-1", "a\n'-1"),
            ("\"=1", "'\"=1"),
            ("a;\"\"+1;b", "a;'\"\"+1;b"),
        ];
        for (formula, expected) in within {
            assert_eq!(as_text(formula), expected);
        }
        for text in ["Heat", "", "1900", "'71", "Heat; and Dust", "Face-Off", "8½;", "a, = b"] {
            assert_eq!(as_text(text), text);
        }
    }
}
