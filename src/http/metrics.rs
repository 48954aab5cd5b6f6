//! Metrics of HTTP requests: instruments, the guard of a request, and label values.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::graphql::{GraphqlMetrics, OperationEnd, Outcome};
use crate::telemetry::{ByLabel, Counter, Gauge, Histogram, Label as _, Recorder, catalogue, label, number};

/// Route label of a request that matches no route.
pub(super) const UNMATCHED: &str = "unmatched";

/// The route of the API.
pub(super) const API_ROUTE: &str = "/graphql";

/// The routes of pages for people; those with a trailing slash redirect to them.
const PAGE_ROUTES: [&str; 7] =
    ["/", "/decades", "/additions", "/validation", "/validation/{decade}", "/films/{id}", "/model"];

/// The status that is counted if the client disconnects before the response: the one that nginx logs in this case.
const CLIENT_CLOSED_REQUEST: u16 = 499;

label! {
    /// An HTTP method: one that the service supports, or any other.
    Method { Get = "GET", Post = "POST", Options = "OPTIONS", Other = "_OTHER" }
}

label! {
    /// What the availability objective (SLO) counts apart: the API, and the pages for people.
    Surface { Api = "api", Page = "page" }
}

impl Surface {
    /// The surface of a route; `None` if the objective does not count its requests.
    fn of(route: &str) -> Option<Self> {
        let page = match route.trim_end_matches('/') {
            "" => "/",
            page => page,
        };
        match route {
            API_ROUTE => Some(Self::Api),
            _ if PAGE_ROUTES.contains(&page) => Some(Self::Page),
            _ => None,
        }
    }
}

label! {
    /// How a request to the API or to a page counts for the availability objective (SLO).
    Slo { Good = "good", Bad = "bad", Excluded = "excluded" }
}

label! {
    /// A timing of the predictions page, measured by the browser: until the first byte, until the list is shown, and
    /// from a change of the weights until the new order is shown.
    PagePhase { Ttfb = "ttfb", FirstList = "first_list", Rerank = "rerank" }
}

/// Metrics of requests. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    /// For errors of requests that run no operation, and for the duration of predictions.
    pub(super) graphql: GraphqlMetrics,
    /// For series by route and status, which are created when they first occur.
    pub(super) recorder: Recorder,
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    active: ByLabel<Method, Gauge>,
    /// Durations of responses of [`API_ROUTE`] with status 200, created when the first occurs.
    ok_durations: ByLabel<Method, OnceLock<Histogram>>,
    /// Sizes of responses of [`API_ROUTE`], created when the first occurs.
    response_sizes: OnceLock<Histogram>,
    slo: ByLabel<Surface, ByLabel<Slo, Counter>>,
    page: ByLabel<PagePhase, Histogram>,
}

impl HttpMetrics {
    /// The instruments of requests. `graphql` counts the errors that HTTP handlers return themselves.
    #[must_use]
    pub fn new(recorder: &Recorder, graphql: GraphqlMetrics) -> Self {
        let instruments = Instruments {
            active: ByLabel::of(|method: Method| recorder.gauge(&catalogue::HTTP_ACTIVE, &[method.as_str()])),
            ok_durations: ByLabel::of(|_| OnceLock::new()),
            response_sizes: OnceLock::new(),
            slo: ByLabel::of(|surface: Surface| recorder.counters(&catalogue::SLO_REQUESTS, &[surface.as_str()])),
            page: recorder.histograms(&catalogue::PAGE_DURATION, &[]),
        };
        Self { graphql, recorder: recorder.clone(), instruments: instruments.into() }
    }

    /// Starts measuring a request. `route` is the template of its route, such as `/films/{id}`.
    #[must_use]
    pub fn http_request(&self, method: Method, route: Cow<'static, str>) -> HttpRequestGuard {
        self.instruments.active.at(method).increment(1.0);
        HttpRequestGuard {
            metrics: self.clone(),
            started: Instant::now(),
            method,
            route,
            response: None,
            bytes: 0,
            complete: false,
        }
    }

    /// Records a browser timing of the predictions page.
    pub fn page(&self, phase: PagePhase, took: Duration) {
        self.instruments.page.at(phase).record(took);
    }

    /// Records an HTTP response. Nearly all responses are those of [`API_ROUTE`] with status 200, so the handle of
    /// their histogram is kept, which saves a lookup of its labels.
    fn record_response(&self, method: Method, route: &str, status: u16, took: Duration) {
        let make =
            || self.recorder.histogram(&catalogue::HTTP_DURATION, &[method.as_str(), route, &status.to_string()]);
        if route == API_ROUTE && status == 200 {
            self.instruments.ok_durations.at(method).get_or_init(make).record(took);
        } else {
            make().record(took);
        }
    }

    /// Records the size of an HTTP response body.
    fn record_response_size(&self, route: &str, bytes: u64) {
        let make = || self.recorder.histogram(&catalogue::HTTP_BODY_SIZE, &[route]);
        if route == API_ROUTE {
            self.instruments.response_sizes.get_or_init(make).record(number(bytes));
        } else {
            make().record(number(bytes));
        }
    }
}

/// Measures a request in flight, and records it when dropped. If it is dropped without [`sent_all`](Self::sent_all),
/// the client has disconnected.
#[derive(Debug)]
pub struct HttpRequestGuard {
    metrics: HttpMetrics,
    started: Instant,
    method: Method,
    route: Cow<'static, str>,
    /// The status, and how the operation ended if the request ran one; `None` until the response starts.
    response: Option<(u16, Option<OperationEnd>)>,
    bytes: u64,
    complete: bool,
}

impl HttpRequestGuard {
    /// Records that the response head is ready; `end` is set if the request ran an operation.
    pub fn response_started(&mut self, status: u16, end: Option<OperationEnd>) {
        self.response = Some((status, end));
    }

    /// Records that `bytes` of the body are ready.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Records that the whole body is ready.
    pub fn sent_all(mut self) {
        self.complete = true;
    }

    /// Failures of the service, including panics, are bad; whole responses without errors are good. Requests that fail
    /// because of the client are excluded: rejected ones, and those whose client has disconnected.
    fn slo(&self) -> Slo {
        match self.response.map(|(status, end)| (status, end.map(|end| end.outcome))) {
            Some((500.., _) | (_, Some(Outcome::Error | Outcome::Partial))) => Slo::Bad,
            Some((status, None | Some(Outcome::Ok))) if status < 400 && self.complete => Slo::Good,
            None if std::thread::panicking() => Slo::Bad,
            _ => Slo::Excluded,
        }
    }
}

impl Drop for HttpRequestGuard {
    fn drop(&mut self) {
        let instruments = &self.metrics.instruments;
        instruments.active.at(self.method).decrement(1.0);
        if let Some(surface) = Surface::of(&self.route) {
            instruments.slo.at(surface).at(self.slo()).increment(1);
        }
        let status = self.response.map_or(CLIENT_CLOSED_REQUEST, |(status, _)| status);
        let elapsed = self.started.elapsed();
        self.metrics.record_response(self.method, &self.route, status, elapsed);
        if let Some((_, Some(OperationEnd { outcome: Outcome::Ok, prediction: Some(source) }))) = self.response {
            self.metrics.graphql.prediction(source, elapsed);
        }
        // What was sent before a client disconnected says nothing about the sizes of responses.
        if self.complete {
            self.metrics.record_response_size(&self.route, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> (HttpMetrics, Recorder) {
        let recorder = Recorder::new().unwrap();
        (HttpMetrics::new(&recorder, GraphqlMetrics::new(&recorder, &[], &[], &[])), recorder)
    }

    fn assert_has(recorder: &Recorder, lines: &[&str]) {
        let text = recorder.render();
        for line in lines {
            assert!(text.lines().any(|have| have == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_request_is_active_until_its_last_byte() {
        let (metrics, recorder) = metrics();

        let mut request = metrics.http_request(Method::Post, "/graphql".into());
        request.response_started(200, Some(OperationEnd { outcome: Outcome::Ok, prediction: None }));
        request.sent(300);
        assert_has(&recorder, &[r#"http_server_active_requests{http_request_method="POST"} 1"#]);
        request.sent_all();

        assert_has(
            &recorder,
            &[
                r#"http_server_active_requests{http_request_method="POST"} 0"#,
                r#"http_server_response_body_size_bytes_sum{http_route="/graphql"} 300"#,
                r#"cinegraph_slo_requests_total{surface="api",result="good"} 1"#,
            ],
        );
    }

    #[test]
    fn a_request_is_good_bad_or_excluded() {
        let cases = [
            (200, Some(Outcome::Ok), "good"),
            (200, None, "good"),
            (200, Some(Outcome::Rejected), "excluded"),
            (413, None, "excluded"),
            (200, Some(Outcome::Partial), "bad"),
            (200, Some(Outcome::Error), "bad"),
            (500, None, "bad"),
        ];
        for (status, outcome, result) in cases {
            let (metrics, recorder) = metrics();
            let mut request = metrics.http_request(Method::Post, "/graphql".into());
            request.response_started(status, outcome.map(|outcome| OperationEnd { outcome, prediction: None }));
            request.sent_all();
            assert_has(&recorder, &[&format!(r#"cinegraph_slo_requests_total{{surface="api",result="{result}"}} 1"#)]);
        }
    }

    #[test]
    fn pages_are_counted_apart_from_the_api_and_other_routes_are_not_counted() {
        let (metrics, recorder) = metrics();
        let pages = [
            "/",
            "/decades",
            "/additions",
            "/additions/",
            "/validation",
            "/validation/{decade}/",
            "/films/{id}",
            "/model",
        ];
        let others = ["/proof", "/page/timings", "/assets/{version}/{name}", "/graphql/ws", "/graphql/", UNMATCHED];
        for route in pages.into_iter().chain(others) {
            let mut request = metrics.http_request(Method::Get, route.into());
            request.response_started(200, None);
            request.sent_all();
        }
        assert_has(
            &recorder,
            &[
                &format!(r#"cinegraph_slo_requests_total{{surface="page",result="good"}} {}"#, pages.len()),
                r#"cinegraph_slo_requests_total{surface="api",result="good"} 0"#,
            ],
        );
    }

    #[test]
    fn a_client_that_disconnects_counts_as_499_and_is_excluded() {
        let (metrics, recorder) = metrics();

        drop(metrics.http_request(Method::Post, "/graphql".into()));

        assert_has(
            &recorder,
            &[
                r#"http_server_request_duration_seconds_count{http_request_method="POST",http_route="/graphql",http_response_status_code="499"} 1"#,
                r#"cinegraph_slo_requests_total{surface="api",result="excluded"} 1"#,
                r#"http_server_active_requests{http_request_method="POST"} 0"#,
            ],
        );
    }
}
