//! Export of spans: the batch processor of the SDK, behind a gate that counts what it cannot take.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
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
        let sent = self.client.export(&ExportTraceServiceRequest { resource_spans }, spans);
        async move {
            // The client has logged the cause.
            if sent.await.unwrap_or(false) {
                Ok(())
            } else {
                Err(OTelSdkError::InternalFailure("export failed".to_owned()))
            }
        }
    }
}
