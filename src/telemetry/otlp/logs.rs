//! Export of log lines: the batch processor of the SDK, behind a gate that counts what it cannot take.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord,
};

use super::super::dropped::{QueueGate, Signal};
use super::attribute_limits::AttributeLimits;
use super::client::Client;
use super::settings::BatchSettings;

/// Queues log lines without blocking.
#[derive(Debug)]
pub(super) struct Logs {
    gate: Arc<QueueGate>,
    batches: BatchLogProcessor,
}

impl Logs {
    pub(super) fn new(client: Client, batch: BatchSettings, resource: &Resource, limits: AttributeLimits) -> Self {
        let gate = Arc::new(QueueGate::new(Signal::Logs, batch.queue_items));
        let exporter = Exporter { gate: Arc::clone(&gate), client, resource: resource.into(), limits };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(batch.queue_items)
            .with_max_export_batch_size(batch.batch_items)
            .with_scheduled_delay(batch.delay)
            .build();
        Self { gate, batches: BatchLogProcessor::builder(exporter).with_batch_config(config).build() }
    }
}

impl LogProcessor for Logs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.gate.admits() {
            self.batches.emit(record, scope);
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

impl LogExporter for Exporter {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let lines = batch.iter().count();
        self.gate.release(lines);
        let mut resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        let scopes = resource_logs.iter_mut().flat_map(|of_resource| &mut of_resource.scope_logs);
        scopes.flat_map(|scope| &mut scope.log_records).for_each(|record| self.limits.apply_to_log(record));
        self.client.export(&ExportLogsServiceRequest { resource_logs }, lines)
    }
}
