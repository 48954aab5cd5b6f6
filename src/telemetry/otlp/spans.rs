//! Export of spans: the batch processor of the SDK, behind a gate that counts what it cannot take.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::super::dropped::{QueueGate, Signal};
use super::attribute_limits::AttributeLimits;
use super::client::Client;
use super::settings::BatchSettings;

/// Queues spans without blocking.
#[derive(Debug)]
pub(super) struct Spans {
    gate: Arc<QueueGate>,
    batches: BatchSpanProcessor,
}

impl Spans {
    pub(super) fn new(client: Client, batch: BatchSettings, resource: &Resource, limits: AttributeLimits) -> Self {
        let gate = Arc::new(QueueGate::new(Signal::Spans, batch.queue_items));
        let exporter = Exporter { gate: Arc::clone(&gate), client, resource: resource.into(), limits };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(batch.queue_items)
            .with_max_export_batch_size(batch.batch_items)
            .with_scheduled_delay(batch.delay)
            .build();
        Self { gate, batches: BatchSpanProcessor::builder(exporter).with_batch_config(config).build() }
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.gate.admits() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let ended = self.batches.shutdown_with_timeout(timeout);
        self.gate.close();
        ended
    }
}

#[derive(Debug)]
struct Exporter {
    gate: Arc<QueueGate>,
    client: Client,
    resource: ResourceAttributesWithSchema,
    limits: AttributeLimits,
}

impl SpanExporter for Exporter {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let spans = batch.len();
        self.gate.release(spans);
        let mut resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let scopes = resource_spans.iter_mut().flat_map(|of_resource| &mut of_resource.scope_spans);
        scopes.flat_map(|scope| &mut scope.spans).for_each(|span| self.limits.apply_to_span(span));
        self.client.export(&ExportTraceServiceRequest { resource_spans }, spans)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::Bytes;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use prost::Message;

    use super::super::super::dropped::{self, DropReason};
    use super::super::settings::Settings;
    use super::super::thread::ExportThread;
    use super::super::variables::Variables;
    use super::*;

    const THREADS: usize = 4;
    const SPANS: usize = 5000;

    fn not_delivered() -> [u64; 2] {
        [DropReason::QueueFull, DropReason::ExportFailed].map(|reason| dropped::count(Signal::Spans, reason))
    }

    /// Ends spans on several threads at once, faster than they can be exported.
    fn end_spans(endpoint: String) {
        let variables = [("ENDPOINT", endpoint), ("TIMEOUT", "300".to_owned())];
        let variables = variables.map(|(name, value)| (format!("OTEL_EXPORTER_OTLP_{name}"), value));
        let settings = Settings::read(Variables::of(variables), "test");
        let thread = ExportThread::start().unwrap();
        let (target, _) = settings.spans.unwrap();
        let client = Client::new(Signal::Spans, target, thread.runtime().clone(), thread.abort().clone());
        let batch = BatchSettings { queue_items: 100, batch_items: 30, delay: Duration::from_millis(1) };
        let spans = Spans::new(client, batch, &settings.resource, settings.span_attributes);
        let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn).with_span_processor(spans).build();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let tracer = provider.tracer("test");
                    (0..SPANS).for_each(|_| drop(tracer.start("span")));
                });
            }
        });
        provider.shutdown().unwrap();
    }

    /// One test, since the counters are those of the process.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_span_that_is_not_delivered_is_counted() {
        static DELIVERED: AtomicUsize = AtomicUsize::new(0);
        let accept = async |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|of_resource| &of_resource.scope_spans);
            DELIVERED.fetch_add(scopes.map(|scope| scope.spans.len()).sum(), Ordering::Relaxed);
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(accept)).await });

        let before = not_delivered();
        tokio::task::spawn_blocking(|| end_spans(endpoint)).await.unwrap();
        let [full, failed] = not_delivered();
        assert_eq!(failed, before[1]);
        let delivered = DELIVERED.load(Ordering::Relaxed) as u64;
        assert_eq!(delivered + full - before[0], (THREADS * SPANS) as u64);

        // It accepts connections and never responds.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let before = not_delivered();
        tokio::task::spawn_blocking(|| end_spans(endpoint)).await.unwrap();
        let lost: u64 = not_delivered().iter().zip(before).map(|(after, before)| after - before).sum();
        assert_eq!(lost, (THREADS * SPANS) as u64);
    }
}
