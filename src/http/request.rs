//! What every request gets: a server span in the caller's trace, its trace id in the answer, and its measurement, which
//! lasts until the last byte of the body is ready.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::metrics::UNMATCHED;
use crate::telemetry::{self, HttpRequestGuard, Metrics, OperationEnd};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Asked all day by machines: they would drown what people ask for.
const UNMEASURED: [&str; 3] = ["/metrics", "/health/live", "/health/ready"];

/// The longest name of a request that is taken over.
const REQUEST_ID_LIMIT: usize = 64;

/// What the client, or a proxy before us, calls a request, if that can be written into a log as it is.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let sane = |id: &&str| {
        (1..=REQUEST_ID_LIMIT).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    text(headers, REQUEST_ID).filter(sane)
}

pub(super) async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let (span, trace_id) = server_span(&request, &route);
    let request_id = request_id(request.headers()).and_then(|id| HeaderValue::from_str(id).ok());
    let guard = (!UNMEASURED.contains(&route.as_str())).then(|| metrics.http_request(label(request.method()), route));

    let mut response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
    if let Some(id) = request_id.or_else(|| trace_id.clone()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if let Some(trace_id) = trace_id {
        response.headers_mut().insert(TRACE_ID, trace_id);
    }
    match guard {
        Some(guard) => measure_body(response, status, guard, span),
        None => response,
    }
}

fn measure_body(mut response: Response, status: StatusCode, mut guard: HttpRequestGuard, span: Span) -> Response {
    let end = response.extensions_mut().remove::<OperationEnd>();
    guard.answered(status.as_u16(), end);
    response.map(|body| Body::new(MeasuredBody::new(body, guard, span)))
}

/// The span of a request, and the name of its trace.
fn server_span(request: &Request, route: &str) -> (Span, Option<HeaderValue>) {
    let headers = request.headers();
    let span = tracing::info_span!(
        "http",
        otel.kind = "server",
        otel.status_code = Empty,
        "http.request.method" = Empty,
        "http.route" = Empty,
        "http.response.status_code" = Empty,
        "url.path" = Empty,
        "url.scheme" = Empty,
        "network.protocol.version" = Empty,
        "server.address" = Empty,
        "server.port" = Empty,
        "user_agent.original" = Empty,
        "error.type" = Empty,
    );
    if headers.contains_key(TRACEPARENT) {
        // Refused only when no telemetry runs, and then there is no trace to join.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(headers)));
    }
    let context = span.context();
    let ids = context.span().span_context().clone();
    // Most requests are not sampled, and what nobody will see need not be said.
    if ids.is_sampled() {
        let host = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
        context.span().update_name(format!("{} {route}", telemetry::Label::as_str(label(request.method()))));
        span.record("http.request.method", request.method().as_str());
        span.record("http.route", route);
        span.record("url.path", request.uri().path());
        span.record("url.scheme", "http");
        span.record("network.protocol.version", protocol(request.version()));
        span.record("server.address", host.as_ref().map(Authority::host));
        span.record("server.port", host.as_ref().and_then(Authority::port_u16));
        span.record("user_agent.original", text(headers, header::USER_AGENT));
    }
    let trace_id = ids.is_valid().then(|| HeaderValue::from_str(&ids.trace_id().to_string()).ok()).flatten();
    (span, trace_id)
}

fn label(method: &Method) -> telemetry::Method {
    match *method {
        Method::GET => telemetry::Method::Get,
        Method::POST => telemetry::Method::Post,
        Method::OPTIONS => telemetry::Method::Options,
        _ => telemetry::Method::Other,
    }
}

fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Headers as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// A body that holds its request's measurement and span until its last byte is ready.
struct MeasuredBody {
    body: Body,
    guard: Option<HttpRequestGuard>,
    _span: Span,
}

impl MeasuredBody {
    fn new(body: Body, guard: HttpRequestGuard, span: Span) -> Self {
        let mut measured = Self { body, guard: Some(guard), _span: span };
        measured.finish_if_ended();
        measured
    }

    /// The server does not ask again for more of a body that says it has ended.
    fn finish_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.sent_all();
        }
    }
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(guard), Some(data)) = (&mut self.guard, frame.data_ref()) {
                    guard.sent(data.len());
                }
                self.finish_if_ended();
            }
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
