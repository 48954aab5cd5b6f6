//! Export of metrics: at each interval, a snapshot of what `/metrics` contains.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::metric_recorder::Recorder;
use super::client::Client;
use super::metric_conversion::{self, Period};

/// Exports the metrics of a recorder.
#[derive(Debug, Clone)]
pub(super) struct MetricExport {
    client: Client,
    interval: Duration,
    resource: ResourceMessage,
    /// When the counters were 0.
    start: u64,
}

/// Ends the export of metrics after a last one.
#[derive(Debug)]
pub(super) struct MetricExportGuard {
    last: CancellationToken,
    ended: Receiver<()>,
}

impl MetricExport {
    pub(super) fn new(client: Client, interval: Duration, resource: &Resource) -> Self {
        let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
        let resource = ResourceMessage { attributes, ..ResourceMessage::default() };
        Self { client, interval, resource, start: nanoseconds(SystemTime::now()) }
    }

    /// Exports the metrics of `recorder` on `runtime`, until the guard ends it. `service` is the runtime whose workers
    /// are measured.
    pub(super) fn start(&self, recorder: Recorder, service: Handle, runtime: &Handle) -> MetricExportGuard {
        let (last, (done, ended)) = (CancellationToken::new(), channel());
        runtime.spawn(self.clone().run(recorder, service, last.clone(), done));
        MetricExportGuard { last, ended }
    }

    /// Drops `_done` after the last export.
    async fn run(self, recorder: Recorder, service: Handle, last: CancellationToken, _done: Sender<()>) {
        let mut due = Instant::now();
        loop {
            due += self.interval;
            let is_last = tokio::select! {
                () = sleep_until(due) => false,
                () = last.cancelled() => true,
            };
            // In a function, so that the runtime of the service is not entered while this task waits.
            let text = render(&recorder, &service);
            let request = self.request(&text);
            let metrics = request.resource_metrics.iter().flat_map(|of_resource| &of_resource.scope_metrics);
            let points = metrics.flat_map(|scope| &scope.metrics).map(metric_conversion::points).sum();
            // A failure is logged by the client, and the next export contains the same values or later ones.
            let _ = self.client.export(&request, points).await;
            // Not whether `last` is cancelled now: what has happened since the snapshot would never be exported.
            if is_last {
                return;
            }
            // An export may take longer than the interval. The missed ones would contain the same values.
            due = due.max(Instant::now() - self.interval);
        }
    }

    fn request(&self, text: &str) -> ExportMetricsServiceRequest {
        let period = Period { start: self.start, end: nanoseconds(SystemTime::now()) };
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let metrics = metric_conversion::read(text, period);
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }];
        let resource = Some(self.resource.clone());
        let of_resource = ResourceMetrics { resource, scope_metrics, schema_url: String::new() };
        ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
    }
}

impl MetricExportGuard {
    /// Exports once more. The sender of the returned channel is dropped after that.
    pub(super) fn export_last(self) -> Receiver<()> {
        self.last.cancel();
        self.ended
    }
}

fn render(recorder: &Recorder, service: &Handle) -> String {
    let _entered = service.enter();
    recorder.render()
}

/// Nanoseconds since 1970, as OTLP counts time.
fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|time| time.as_nanos().try_into().ok()).unwrap_or_default()
}
