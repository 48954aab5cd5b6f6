//! The ranked lists: candidates, and confirmed additions.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::chrome::{Chrome, FILTER_FIELDS, Tab, WEIGHT_FIELDS};
use super::context::{PageContext, html};
use super::criteria::{CRITERIA, Segment, segments};
use super::numbers::{one_decimal, probability};
use super::poster::Poster;
use super::queries::{ADDITIONS, Named, PREDICTIONS, Part, Prediction, Ranked, Ranking, run_query};
use crate::http::state::HttpState;

/// `GET /`: candidates, by rank.
pub(super) async fn predictions<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    RawQuery(query): RawQuery,
) -> Response {
    list(&state, query.as_deref(), Tab::Predictions).await
}

/// `GET /additions`: confirmed additions, by score.
pub(super) async fn additions<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    RawQuery(query): RawQuery,
) -> Response {
    list(&state, query.as_deref(), Tab::Additions).await
}

async fn list<E: Executor>(state: &HttpState<E>, url_query: Option<&str>, tab: Tab) -> Response {
    let context = PageContext::load(state, url_query, tab).await;
    let result = async {
        let (document, query) = match tab {
            // The query `confirmedAdditions` has no argument `filter`.
            Tab::Additions => (ADDITIONS, context.query()?.without_filters()),
            _ => (PREDICTIONS, context.query()?.clone()),
        };
        run_query::<Ranked, E>(&state.pipeline, document, query.page_variables()?).await
    };
    match result.await {
        Ok(result) => {
            let ranking = result.data.ranking;
            let placeholder_row = placeholder_row();
            let view = ListPage { page: context.page, ranking, stale: result.stale, placeholder_row };
            (Extension(result.end), html(StatusCode::OK, state.posters.as_ref(), &view)).into_response()
        }
        Err(problem) => context.fail(problem),
    }
}

/// Movies, best first.
#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    page: Chrome,
    ranking: Ranking,
    stale: bool,
    /// An empty row, which the scripts clone for each movie that they add.
    placeholder_row: Prediction,
}

impl ListPage {
    fn next(&self) -> Option<String> {
        self.page.next(&self.ranking.page_info, self.page.path())
    }

    fn previous(&self) -> Option<String> {
        self.page.previous(self.page.path())
    }

    /// The cursor after which the scripts continue the list; empty on the last page.
    fn end_cursor(&self) -> &str {
        let info = &self.ranking.page_info;
        info.end_cursor.as_deref().filter(|_| info.has_next_page).unwrap_or_default()
    }

    /// The rank at which the list would end, if it took as many films of the decade as it has. `None` if it has none, and
    /// with filters, which leave ranks out.
    fn cut_rank(&self) -> Option<usize> {
        let shows_all = self.is_predictions() && !self.page.query.has_filter();
        let listed = usize::try_from(self.page.listed(&self.page.decade())).unwrap_or_default();
        Some(listed).filter(|listed| shows_all && *listed > 0)
    }

    /// Address of the list, without the place in it.
    fn canonical(&self) -> String {
        self.page.query.on_first_page().link(self.page.path())
    }

    /// What the list is, for search engines and previews of links.
    fn description(&self) -> String {
        let (decade, list) = (self.page.decade(), self.page.list_name());
        let relation = if self.is_predictions() { "most likely to join" } else { "on" };
        format!("{decade}s films {relation} {list}")
    }

    /// Address of the list as CSV.
    fn csv_link(&self) -> String {
        let path = if self.is_predictions() { "/predictions.csv" } else { "/additions.csv" };
        self.page.query.on_first_page().link(path)
    }

    fn is_predictions(&self) -> bool {
        self.page.tab == Tab::Predictions
    }
}

impl Prediction {
    /// The probability, or why there is none.
    fn probability_text(&self) -> String {
        match (self.probability, self.known_groups) {
            (Some(value), _) => probability(value),
            (None, Some(_)) => "not enough known".to_owned(),
            (None, None) => "not scored yet".to_owned(),
        }
    }

    /// Width of the bar that shows the probability, in percent.
    fn probability_width(&self) -> String {
        one_decimal(self.probability.unwrap_or_default() * 100.0)
    }

    /// How much is known of the movie, for a row of a learned ranking; empty if all is.
    fn known_text(&self) -> String {
        match (self.known_groups, self.total_groups) {
            (Some(known), Some(total)) if known < total => format!("known: {known} of {total} groups"),
            _ => String::new(),
        }
    }

    fn score_text(&self) -> String {
        one_decimal(self.score)
    }

    fn segments(&self) -> Vec<Segment> {
        segments(&self.breakdown)
    }

    fn genres(&self) -> String {
        joined(&self.movie.genres)
    }

    fn directors(&self) -> String {
        joined(&self.movie.directors)
    }

    fn poster(&self) -> Poster {
        Poster::small(&self.movie.title, self.movie.poster_url.clone())
    }

    /// What is unusual about the data of the score; empty otherwise.
    fn coverage_text(&self) -> String {
        let ratings = (self.coverage < 4).then(|| format!("{} of 4 ratings known", self.coverage));
        let direct = (self.source == "DIRECT_QUERY").then(|| "computed on demand".to_owned());
        ratings.into_iter().chain(direct).collect::<Vec<_>>().join(" · ")
    }
}

fn joined(all: &[Named]) -> String {
    all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A prediction without content, but with all parts that a row can have: one segment per criterion.
fn placeholder_row() -> Prediction {
    Prediction { breakdown: CRITERIA.map(|_| Part::default()).into(), ..Prediction::default() }
}
