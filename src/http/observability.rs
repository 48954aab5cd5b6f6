//! Observability of requests: a server span, which joins the caller's trace if the peer is trusted; the request id and
//! the trace id in the response headers; and metrics, which measure a request until the last byte of the response body
//! is ready.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::context::FutureExt;
use opentelemetry::global::BoxedTracer;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context as Trace, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::instrumented_body::{InstrumentedBody, OpenEnded};
use super::metrics::{self, HttpMetrics, HttpRequestGuard, UNMATCHED};
use super::peer::TrustedPeers;
use crate::graphql::OperationEnd;
use crate::telemetry::{self, Label as _};

/// W3C trace context of a request.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Routes without metrics: frequent probes and scrapes would hide the requests of clients.
const UNMEASURED: [&str; 4] = ["/metrics", "/status", "/health/live", "/health/ready"];

/// Maximum length of a client's request id, in bytes. The value is a choice: a UUID has 36 characters, and every log
/// line of the request repeats the id.
const REQUEST_ID_LIMIT: usize = 64;

/// The `x-request-id` of the client or a proxy; `None` if there is none, or if it is not safe to log verbatim.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let sane = |id: &&str| {
        (1..=REQUEST_ID_LIMIT).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    text(headers, REQUEST_ID).filter(sane)
}

/// Starts the span and the metrics of requests.
#[derive(Clone)]
pub(super) struct RequestObserver {
    pub(super) metrics: HttpMetrics,
    tracer: Arc<BoxedTracer>,
    /// Peers whose `traceparent` becomes the parent of the request's span.
    trusted: TrustedPeers,
}

impl RequestObserver {
    pub(super) fn new(metrics: HttpMetrics, trusted: TrustedPeers) -> Self {
        Self { metrics, tracer: Arc::new(telemetry::tracer()), trusted }
    }

    /// Starts measuring a request. `route` is the template of its route, such as `/films/{id}`.
    pub(super) fn begin(&self, request: &Request, route: Cow<'static, str>) -> RequestGuard {
        let is_measured = !UNMEASURED.contains(&&*route);
        RequestGuard {
            // Probes and scrapes are polls: a trace of each would hide those of clients.
            trace: if is_measured { self.start_span(request, &route) } else { telemetry::trace_without_spans() },
            request_id: request_id(request.headers()).and_then(|id| HeaderValue::from_str(id).ok()),
            guard: is_measured.then(|| self.metrics.http_request(method_label(request.method()), route)),
        }
    }

    /// Starts the request's span. It is an OpenTelemetry span and not one of `tracing`, because most requests are not
    /// sampled: such a span holds only its ids, while one of `tracing` would cost as much as if it were sampled.
    fn start_span(&self, request: &Request, route: &str) -> Trace {
        let headers = request.headers();
        let mut span = SpanBuilder::from_name("http").with_kind(SpanKind::Server);
        let mut parent = Trace::new();
        if headers.contains_key(TRACEPARENT) && telemetry::reads_trace_context() {
            let caller = TraceContextPropagator::new().extract_with_context(&parent, &Headers(headers));
            if self.trusts_peer(request) {
                parent = caller;
            } else {
                // Linked only: an untrusted client must not control sampling or join an existing trace.
                span = span.with_links(vec![Link::with_context(caller.span().span_context().clone())]);
            }
        }
        let trace = parent.with_span(self.tracer.build_with_context(span, &parent));
        if trace.span().is_recording() {
            describe_request(&trace.span(), request, route);
        }
        trace
    }

    fn trusts_peer(&self, request: &Request) -> bool {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        self.trusted.trusts(peer.map(|ConnectInfo(peer)| peer.ip()))
    }
}

/// Middleware that observes the requests to all routes except `/graphql`, which the fast path observes.
pub(super) async fn observe(State(observer): State<RequestObserver>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    observer.begin(&request, route.into()).instrument(next.run(request)).await
}

/// A request that is being measured.
pub(super) struct RequestGuard {
    trace: Trace,
    /// Measures the request; `None` for routes without metrics.
    guard: Option<HttpRequestGuard>,
    /// The valid request id that the client has sent, if any.
    request_id: Option<HeaderValue>,
}

impl RequestGuard {
    /// Context whose span is the parent of all work for the request.
    pub(super) fn trace(&self) -> Trace {
        self.trace.clone()
    }

    /// Runs a handler in the request's trace, and finishes its response; see [`finish`](Self::finish). The handler
    /// attaches an [`OperationEnd`] to the response if it ran an operation.
    pub(super) async fn instrument(self, handler: impl Future<Output = Response>) -> Response {
        let mut response = handler.with_context(self.trace()).await;
        let end = response.extensions_mut().remove::<OperationEnd>();
        self.finish(response, end)
    }

    /// Adds the request id and the trace id to the response, and lets the measurement continue until the last byte of
    /// the body is ready. If the body is open-ended, the measurement ends here. `end` is how the operation ended, if
    /// the request ran one.
    pub(super) fn finish<B>(self, mut response: Response<B>, end: Option<OperationEnd>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let (status, span) = (response.status(), self.trace.span());
        if span.is_recording() {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            if status.is_server_error() {
                span.set_attribute(KeyValue::new("error.type", status.as_u16().to_string()));
                // No description: the status code already says what went wrong.
                span.set_status(Status::error(""));
            }
        }
        let ids = span.span_context();
        let trace_id = ids.is_valid().then(|| HeaderValue::from_str(&ids.trace_id().to_string()).ok()).flatten();
        // A request without an id of its own gets the trace id, by which it can be found in the log.
        if let Some(id) = self.request_id.or_else(|| trace_id.clone()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(trace_id) = trace_id {
            response.headers_mut().insert(TRACE_ID, trace_id);
        }
        let is_open_ended = response.extensions_mut().remove::<OpenEnded>().is_some();
        match self.guard {
            Some(mut guard) if is_open_ended => {
                guard.response_started(status.as_u16(), end);
                guard.sent_all();
                // Ended here, because this body, unlike an `InstrumentedBody`, does not end the span.
                span.end();
                response.map(Body::new)
            }
            Some(mut guard) => {
                guard.response_started(status.as_u16(), end);
                response.map(|body| Body::new(InstrumentedBody::new(body, guard, self.trace)))
            }
            None => response.map(Body::new),
        }
    }
}

/// Sets the name and the attributes of a request's span, as the semantic conventions for HTTP define them.
fn describe_request(span: &SpanRef<'_>, request: &Request, route: &str) {
    let headers = request.headers();
    let host = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    let port = host.as_ref().and_then(Authority::port_u16);
    let attribute = |name, value: Option<&str>| value.map(|value| KeyValue::new(name, value.to_owned()));
    let method = known_method(request.method());
    let route = Some(route).filter(|route| *route != UNMATCHED);
    let name = method.unwrap_or("HTTP");
    span.update_name(route.map_or_else(|| name.to_owned(), |route| format!("{name} {route}")));
    span.set_attributes(
        [
            attribute("http.request.method", Some(method.unwrap_or(metrics::Method::Other.as_str()))),
            attribute("http.request.method_original", method.is_none().then(|| request.method().as_str())),
            attribute("http.route", route),
            attribute("url.path", Some(request.uri().path())),
            // The listener has no TLS. If a proxy is in front of it, the scheme that the client used is unknown.
            attribute("url.scheme", Some("http")),
            attribute("network.protocol.version", protocol_version(request.version())),
            attribute("server.address", host.as_ref().map(Authority::host)),
            port.map(|port| KeyValue::new("server.port", i64::from(port))),
            attribute("user_agent.original", text(headers, header::USER_AGENT)),
        ]
        .into_iter()
        .flatten(),
    );
}

fn method_label(method: &Method) -> metrics::Method {
    match *method {
        Method::GET => metrics::Method::Get,
        Method::POST => metrics::Method::Post,
        Method::OPTIONS => metrics::Method::Options,
        _ => metrics::Method::Other,
    }
}

/// The method, if it is one that the semantic conventions know: a client could send any other text.
fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| method.as_str() == *known)
}

fn protocol_version(version: Version) -> Option<&'static str> {
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

/// The headers of a request in the form that the propagator reads.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
