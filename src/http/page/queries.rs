//! GraphQL operations of the page and the types of their results.

use async_graphql::{Executor, Request, Variables};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::learned::{LearnedReason, main_reasons};
use super::problem::{GraphqlError, PageError};
use crate::graphql::{Lookup, OperationEnd, OperationPipeline, RETRY_AFTER_SECONDS, Received, Transport};
use crate::http::response_status::MediaType;

/// The decoded result of an operation.
pub(super) struct QueryResult<T> {
    pub(super) data: T,
    /// Whether the response was stale: newer data are being loaded in the background.
    pub(super) stale: bool,
    /// Outcome of the operation, for the metrics of the request.
    pub(super) end: OperationEnd,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<GraphqlError>,
}

/// Executes an operation on the pipeline. The response cache and all limits apply, as to an operation of a client.
///
/// # Errors
/// [`PageError`] for the first GraphQL error, or if the result does not match `T`.
pub(super) async fn run_query<T: DeserializeOwned, E: Executor>(
    pipeline: &OperationPipeline<E>,
    document: impl Into<String>,
    variables: Map<String, Value>,
) -> Result<QueryResult<T>, PageError> {
    let request = Request::new(document).variables(Variables::from_json(Value::Object(variables)));
    // Only for the log line of the operation: no HTTP response is sent.
    let http_status = MediaType::GraphqlResponse.status_code();
    let received = Received { transport: Transport::Internal, fingerprint: None, request_id: None, http_status };
    let response = pipeline.execute(request, received).await;
    let envelope: Envelope<T> = serde_json::from_slice(&response.body).map_err(|error| {
        // The schema and the result types disagree.
        tracing::error!(%error, "the page cannot decode the response to one of its own queries");
        PageError::internal()
    })?;
    match (envelope.data, envelope.errors.first()) {
        (Some(data), None) => Ok(QueryResult {
            data,
            stale: response.cache.as_ref().is_some_and(|metadata| metadata.lookup == Lookup::Stale),
            end: response.end(),
        }),
        (_, Some(error)) => Err(PageError::from_graphql(error, response.unavailable.then_some(RETRY_AFTER_SECONDS))),
        (None, None) => Err(PageError::internal()),
    }
}

/// Data that every page shows: profiles, lists and the values of filters.
pub(super) const FRAME: &str = include_str!("queries/frame.graphql");

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    data_origin: String,
    pub(super) defaults: Defaults,
    pub(super) profiles: Vec<Profile>,
    pub(super) lists: Vec<List>,
    pub(super) genres: Vec<Named>,
    pub(super) countries: Vec<Country>,
    criteria_without_data: Vec<String>,
    metric_sources: Vec<MetricSource>,
}

/// The list and the decade of a page whose URL names none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Defaults {
    pub(super) list: String,
    pub(super) decade: i32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricSource {
    source: String,
    films: i64,
    newest_at: String,
}

impl Frame {
    /// Whether the movies are generated, which the page must state.
    pub(super) fn is_generated(&self) -> bool {
        self.data_origin == "GENERATED"
    }

    /// Whether a criterion does not count for lack of data.
    pub(super) fn lacks_data(&self, criterion: &str) -> bool {
        self.criteria_without_data.iter().any(|missing| missing == criterion)
    }

    /// How new the data of each source are; empty if no source is known.
    pub(super) fn data_age(&self) -> String {
        let source = |MetricSource { source, films, newest_at }: &MetricSource| {
            let day = newest_at.split('T').next().unwrap_or_default();
            format!("{source} {day} ({films} films)")
        };
        self.metric_sources.iter().map(source).collect::<Vec<_>>().join(" · ")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) is_default: bool,
    pub(super) weights: Weights,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Weights {
    popular_opinion: f64,
    critical_acclaim: f64,
    industry_recognition: f64,
    cultural_impact: f64,
    people_quality: f64,
}

impl Weights {
    /// Percentages with one decimal, in criterion order.
    pub(super) fn percents(self) -> [f64; 5] {
        let shares = [
            self.popular_opinion,
            self.critical_acclaim,
            self.industry_recognition,
            self.cultural_impact,
            self.people_quality,
        ];
        // A tenth of a percent is finer than a slider's resolution.
        shares.map(|share| (share * 1e3).round() / 10.0)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) decades: Vec<ListDecade>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListDecade {
    pub(super) decade: i32,
    /// Movies of the decade on the list.
    pub(super) listed: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Country {
    pub(super) code: String,
    pub(super) name: String,
}

/// The learned rankings of a list, whose result is [`super::learned::Models`].
pub(super) const MODELS: &str = include_str!("queries/models.graphql");

/// Candidates of a decade.
pub(super) const PREDICTIONS: &str =
    concat!(include_str!("queries/predictions.graphql"), include_str!("queries/row.graphql"));

/// Confirmed additions of a decade.
pub(super) const ADDITIONS: &str =
    concat!(include_str!("queries/additions.graphql"), include_str!("queries/row.graphql"));

#[derive(Debug, Deserialize)]
pub(super) struct Ranked {
    pub(super) ranking: Ranking,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ranking {
    pub(super) nodes: Vec<Prediction>,
    pub(super) page_info: PageInfo,
    pub(super) total_count: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prediction {
    pub(super) rank: Option<usize>,
    pub(super) score: f64,
    pub(super) coverage: u8,
    #[serde(default)]
    pub(super) source: String,
    pub(super) breakdown: Vec<Part>,
    pub(super) probability: Option<f64>,
    pub(super) known_groups: Option<u8>,
    pub(super) total_groups: Option<u8>,
    pub(super) reasons: Option<Vec<LearnedReason>>,
    pub(super) movie: Movie,
}

impl Prediction {
    /// The reasons that a row shows, as one text; empty for the formula.
    pub(super) fn main_reasons(&self) -> String {
        self.reasons.as_deref().map(main_reasons).unwrap_or_default()
    }
}

/// The part of a score that one criterion contributes. Lists do not query `value` and `weight`, which are then 0.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    pub(super) value: f64,
    #[serde(default)]
    pub(super) weight: f64,
    pub(super) contribution: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movie {
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) year: Option<i32>,
    #[serde(default)]
    pub(super) genres: Vec<Named>,
    #[serde(default)]
    pub(super) directors: Vec<Named>,
    #[serde(default)]
    pub(super) poster_url: Option<String>,
}
