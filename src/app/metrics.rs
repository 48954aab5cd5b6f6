//! The metrics of a service, grouped by the part of the program that records them.

use crate::breaker::BreakerMetrics;
use crate::cache::CacheMetrics;
use crate::graphql::{self, GraphqlMetrics};
use crate::http::HttpMetrics;
use crate::jobs::{ModelMetrics, TaskMetrics};
use crate::store::StoreMetrics;
use crate::telemetry::{self, Recorder, ScheduleDelay};

/// All instruments of a service. They exist from the start in every process, so that a series that has no event yet is
/// 0 and not missing.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Renders the values of all instruments for a scrape.
    pub recorder: Recorder,
    /// Circuit breakers.
    pub breakers: BreakerMetrics,
    /// Caches.
    pub caches: CacheMetrics,
    /// Operations.
    pub graphql: GraphqlMetrics,
    /// Requests.
    pub http: HttpMetrics,
    /// Statements and connections.
    pub store: StoreMetrics,
    /// Background tasks.
    pub tasks: TaskMetrics,
    /// Learned rankings.
    pub models: ModelMetrics,
    /// How late the runtime wakes tasks.
    pub schedule_delay: ScheduleDelay,
}

impl Metrics {
    /// Creates all instruments.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        let graphql =
            GraphqlMetrics::new(&recorder, graphql::ROOT_FIELDS, graphql::SUBSCRIPTION_FIELDS, graphql::LOADERS);
        Self {
            breakers: BreakerMetrics::new(&recorder),
            caches: CacheMetrics::new(&recorder),
            http: HttpMetrics::new(&recorder, graphql.clone()),
            graphql,
            store: StoreMetrics::new(&recorder),
            tasks: TaskMetrics::new(&recorder),
            models: ModelMetrics::new(&recorder),
            schedule_delay: ScheduleDelay::new(&recorder),
            recorder,
        }
    }
}

/// Returns the reference of all metrics as Markdown, the content of docs/METRICS.md.
#[must_use]
pub fn metrics_reference() -> String {
    telemetry::markdown(|recorder| drop(Metrics::new(recorder)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;
    use crate::http::Method;
    use crate::telemetry::catalogue::{CATALOGUE, Kind};

    fn metrics() -> Metrics {
        Metrics::new(Recorder::new().unwrap())
    }

    /// Types of the rendered metrics by name.
    fn rendered_types(text: &str) -> BTreeMap<String, String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_scrape_contains_exactly_the_catalogue() {
        let metrics = metrics();
        metrics.recorder.build_info("abc", "def");
        metrics.http.http_request(Method::Get, "/graphql".into()).sent_all();
        metrics.models.update(&["1001_movies".to_owned()], &[], DateTime::UNIX_EPOCH);

        let expected: BTreeMap<_, _> = CATALOGUE
            .iter()
            .map(|metric| {
                let kind = match metric.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram(_) => "histogram",
                };
                (metric.name.to_owned(), kind.to_owned())
            })
            .collect();

        assert_eq!(rendered_types(&metrics.recorder.render()), expected);
    }

    #[test]
    fn every_known_label_value_starts_at_zero() {
        let text = metrics().recorder.render();

        for line in [
            r#"cinegraph_slo_requests_total{surface="page",result="bad"} 0"#,
            r#"cinegraph_graphql_errors_total{code="INTERNAL"} 0"#,
            r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="error"} 0"#,
            r#"cinegraph_graphql_field_requests_total{field="other",outcome="ok"} 0"#,
            r#"cinegraph_db_errors_total{query_name="movies_by_id",error_type="timeout"} 0"#,
            r#"db_client_connections{state="idle",pool="replica"} 0"#,
            r#"cinegraph_task_runs_total{task="score_refresh",outcome="skipped"} 0"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing");
        }
    }
}
