//! An OpenTelemetry collector: receives OTLP over HTTP and, by the server of tonic, over gRPC, on one port.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use flate2::read::GzDecoder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;

use super::certificates::Identity;
use super::wait::until;

/// Attributes by name, as texts.
pub(crate) type Attributes = BTreeMap<String, String>;

/// How an export was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

/// What a collector does instead of accepting an export.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Responds with this status over HTTP.
    Status(u16),
    /// Asks for another attempt after this number of seconds.
    RetryAfter(u64),
    /// Responds with this code over gRPC.
    Code(tonic::Code),
}

#[derive(Default)]
struct Received {
    resources: Vec<Attributes>,
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    /// Those of the last export.
    metrics: Vec<Metric>,
    sent: Vec<Sent>,
    /// For the next exports, in turn.
    faults: VecDeque<Fault>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Received>>);

/// A running collector.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Shared,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::serving(None).await
    }

    /// With a certificate of its own, which requires one of `authority` from its clients.
    pub(crate) async fn with_tls(identity: &Identity, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&identity.key).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::serving(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serving(tls: Option<TlsAcceptor>) -> Self {
        let received = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), router.clone()));
            }
        });
        Self { address, received }
    }

    /// Makes the next exports fail in this way, in turn.
    pub(crate) fn fail(&self, faults: &[Fault]) {
        self.received.0.lock().unwrap().faults.extend(faults);
    }

    /// The resources of all exports.
    pub(crate) fn resources(&self) -> Vec<Attributes> {
        self.received.0.lock().unwrap().resources.clone()
    }

    /// How the exports were sent, failed ones included.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.received.0.lock().unwrap().sent.clone()
    }

    /// The spans of a trace.
    pub(crate) fn trace(&self, id: &str) -> Vec<Span> {
        self.received.0.lock().unwrap().spans.iter().filter(|span| hex(&span.trace_id) == id).cloned().collect()
    }

    /// The spans of a trace, once its root span, which ends last, has arrived.
    pub(crate) async fn whole(&self, id: &str) -> Vec<Span> {
        let is_root = |span: &Span| span.parent_span_id.is_empty();
        until("the trace has arrived", async || self.trace(id).iter().any(is_root)).await;
        self.trace(id)
    }

    /// All spans.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.0.lock().unwrap().spans.clone()
    }

    /// A received span whose name starts like this.
    pub(crate) fn starting(&self, name: &str) -> Option<Span> {
        self.spans().into_iter().find(|span| span.name.starts_with(name))
    }

    /// A received span of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Span> {
        self.received.0.lock().unwrap().spans.iter().find(|span| span.name == name).cloned()
    }

    /// The log lines of a trace.
    pub(crate) fn lines(&self, trace: &str) -> Vec<LogRecord> {
        self.received.0.lock().unwrap().logs.iter().filter(|line| hex(&line.trace_id) == trace).cloned().collect()
    }

    /// All log lines.
    pub(crate) fn all_lines(&self) -> Vec<LogRecord> {
        self.received.0.lock().unwrap().logs.clone()
    }

    /// The metrics of the last export.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.received.0.lock().unwrap().metrics.clone()
    }

    /// The sum of a metric's values over the series with these labels; 0 without any.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = self.metrics();
        let points = metrics.iter().filter(|metric| metric.name == name).flat_map(numbers);
        let matches = |point: &NumberDataPoint| {
            let own = attributes(&point.attributes);
            labels.iter().all(|(label, value)| own.get(*label).is_some_and(|own| own == value))
        };
        points.filter(matches).map(value).sum()
    }
}

/// The points of a counter or gauge, and those of a histogram's counts.
fn numbers(metric: &Metric) -> Vec<NumberDataPoint> {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.clone(),
        Data::Sum(sum) => sum.data_points.clone(),
        Data::Histogram(histogram) => {
            let count = |count: u64| Some(Value::AsInt(count.try_into().unwrap()));
            let points = histogram.data_points.iter();
            points
                .map(|point| NumberDataPoint {
                    attributes: point.attributes.clone(),
                    value: count(point.count),
                    ..NumberDataPoint::default()
                })
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn value(point: NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Value::AsInt(number) => number as f64,
        Value::AsDouble(number) => number,
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    let (builder, service) = (auto::Builder::new(TokioExecutor::new()), TowerToHyperService::new(router));
    // A client that goes away or is refused is no failure of the collector.
    let _ = match tls {
        None => builder.serve_connection(TokioIo::new(stream), service).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
            Err(_) => Ok(()),
        },
    };
}

fn router(received: &Shared) -> Router {
    let traces = TraceServiceServer::new(received.clone()).accept_compressed(Gzip);
    let metrics = MetricsServiceServer::new(received.clone()).accept_compressed(Gzip);
    let logs = LogsServiceServer::new(received.clone()).accept_compressed(Gzip);
    let services = Routes::new(traces).add_service(metrics).add_service(logs).prepare();
    let http = Router::new()
        .route("/v1/traces", post(take::<ExportTraceServiceRequest>))
        .route("/v1/metrics", post(take::<ExportMetricsServiceRequest>))
        .route("/v1/logs", post(take::<ExportLogsServiceRequest>))
        .with_state(received.clone());
    http.merge(services.into_axum_router()).layer(middleware::from_fn_with_state(received.clone(), intercept))
}

/// Notes how an export was sent, and responds with the next fault.
async fn intercept(State(received): State<Shared>, request: Request, next: Next) -> Response {
    let sent = Sent {
        at: Instant::now(),
        path: request.uri().path().to_owned(),
        version: request.version(),
        headers: request.headers().clone(),
    };
    let fault = {
        let mut received = received.0.lock().unwrap();
        received.sent.push(sent);
        received.faults.pop_front()
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => (StatusCode::from_u16(status).unwrap(), "not now").into_response(),
        Some(Fault::RetryAfter(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Some(Fault::Code(code)) => tonic::Status::new(code, "not now").into_http(),
    }
}

/// An export of one signal.
trait Export: Message + Default {
    fn keep(self, received: &mut Received);
}

impl Export for ExportTraceServiceRequest {
    fn keep(self, received: &mut Received) {
        for of_resource in self.resource_spans {
            received.resources.extend(of_resource.resource.map(of));
            received.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
}

impl Export for ExportLogsServiceRequest {
    fn keep(self, received: &mut Received) {
        for of_resource in self.resource_logs {
            received.resources.extend(of_resource.resource.map(of));
            received.logs.extend(of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records));
        }
    }
}

impl Export for ExportMetricsServiceRequest {
    fn keep(self, received: &mut Received) {
        received.metrics.clear();
        for of_resource in self.resource_metrics {
            received.resources.extend(of_resource.resource.map(of));
            received.metrics.extend(of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
        }
    }
}

fn of(resource: Resource) -> Attributes {
    attributes(&resource.attributes)
}

async fn take<E: Export>(State(received): State<Shared>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let body = match headers.get("content-encoding") {
        None => body.to_vec(),
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            let mut plain = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        }
    };
    E::decode(&body[..]).unwrap().keep(&mut received.0.lock().unwrap());
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        request.into_inner().keep(&mut self.0.lock().unwrap());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        request.into_inner().keep(&mut self.0.lock().unwrap());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        request.into_inner().keep(&mut self.0.lock().unwrap());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

/// Attributes as texts.
pub(crate) fn attributes(of: &[KeyValue]) -> Attributes {
    of.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect()
}

/// A value as a text.
pub(crate) fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(yes)) => yes.to_string(),
        _ => String::new(),
    }
}

/// Bytes as hexadecimal digits, as ids are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
