//! Trace export by OTLP over HTTP, configured by the standard `OTEL_*` variables. Without an endpoint, nothing is
//! exported.
//!
//! The queue is bounded and dropped spans are counted, so a slow or unavailable collector delays no request. The batch
//! processor of the library drops spans as well, but does not report how many.

use std::env;
use std::fmt;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};

use super::dropped::{self, DropReason, Signal};

/// Maximum number of queued spans: the default of the OpenTelemetry specification.
const QUEUE_SPANS: usize = 2048;

/// Maximum number of spans in one message to the collector: the default of the specification.
const BATCH_SPANS: usize = 512;

/// How long spans are gathered before they are sent together. The value is a choice, below the 5 seconds of the
/// specification: a crash loses fewer spans, and traces appear sooner.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// How long a flush waits for the collector. The value is a choice: long enough for a slow export, but bounded.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a shutdown checks whether the last spans are sent. Short against the time of an export.
const SHUTDOWN_POLL: Duration = Duration::from_millis(5);

/// Creates the tracer provider, which exports to the collector that the environment names.
///
/// # Errors
/// [`ExporterBuildError`] if an `OTEL_*` variable is invalid.
pub(super) fn provider(service: &'static str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let resource = resource(service);
    let builder = SdkTracerProvider::builder().with_resource(resource.clone());
    if !is_enabled() {
        // Log lines need the ids, which unsampled spans have as well. To record more would be useless.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    }
    let mut exporter = SpanExporter::builder().with_http().build()?;
    // The provider sets the resource of its processors only after `Queue` has moved the exporter to its thread.
    exporter.set_resource(&resource);
    Ok(builder.with_span_processor(Queue::new(exporter)).build())
}

/// Whether the environment names a collector and does not disable traces.
fn is_enabled() -> bool {
    let set = |name: &str| env::var(name).is_ok_and(|text| !text.is_empty());
    (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        && !disabled()
        && !env_equals("OTEL_TRACES_EXPORTER", "none")
}

/// Whether the environment disables traces completely, including their ids.
pub(super) fn disabled() -> bool {
    env_equals("OTEL_SDK_DISABLED", "true")
}

/// Whether an environment variable has a value, in upper or lower case; false if it is not set.
fn env_equals(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|text| text.eq_ignore_ascii_case(value))
}

/// Resource attributes of this process. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` override and extend them.
fn resource(service: &'static str) -> Resource {
    let instance = format!("{:016x}", rand::random::<u64>());
    let defaults = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
        KeyValue::new("deployment.environment.name", "development"),
    ];
    let builder = Resource::builder_empty().with_attributes(defaults).with_service_name(service);
    builder.with_detector(Box::new(opentelemetry_sdk::resource::EnvResourceDetector::new())).build()
}

enum Message {
    Span(Box<SpanData>),
    /// Export what is queued before this message, then respond.
    Flush(SyncSender<()>),
    /// Export what is queued before this message, then end the thread.
    End,
}

/// Queues spans without blocking, and exports them from a dedicated thread, which ends at shutdown.
struct Queue {
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    fn new(exporter: SpanExporter) -> Self {
        let (sender, receiver) = sync_channel(QUEUE_SPANS);
        let builder = std::thread::Builder::new().name("traces".to_owned());
        let thread = builder.spawn(move || export_queued(&exporter, &receiver));
        // If the thread cannot be started, its receiver is dropped: every send fails and counts as a dropped span.
        Self { sender, thread: Mutex::new(thread.ok()) }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(Message::Span(Box::new(span))).is_err() {
            dropped::record(Signal::Spans, DropReason::QueueFull, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let (done, flushed) = sync_channel(1);
        // May wait for a place in the queue: unlike `on_end`, no request depends on it.
        let requested = self.sender.send(Message::Flush(done)).is_ok();
        if requested && flushed.recv_timeout(FLUSH_TIMEOUT).is_ok() {
            return Ok(());
        }
        Err(OTelSdkError::Timeout(FLUSH_TIMEOUT))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let Some(thread) = self.thread.lock().ok().and_then(|mut thread| thread.take()) else {
            return Err(OTelSdkError::AlreadyShutdown);
        };
        let end = Instant::now() + timeout;
        // Never blocks. If the queue is full, the message is lost and the loop below ends with the time-out.
        let _ = self.sender.try_send(Message::End);
        // `JoinHandle::join` has no time limit, hence the polling.
        while !thread.is_finished() {
            if Instant::now() >= end {
                return Err(OTelSdkError::Timeout(timeout));
            }
            std::thread::sleep(SHUTDOWN_POLL);
        }
        Ok(())
    }
}

/// Exports queued spans in batches until [`Message::End`] arrives or the queue is dropped.
fn export_queued(exporter: &SpanExporter, receiver: &Receiver<Message>) {
    let mut batch = Vec::with_capacity(BATCH_SPANS);
    let mut due = Instant::now() + BATCH_DELAY;
    loop {
        let message = receiver.recv_timeout(due.saturating_duration_since(Instant::now()));
        let (mut end, mut flushed) = (false, None);
        match message {
            Ok(Message::Span(span)) => batch.push(*span),
            Ok(Message::Flush(done)) => flushed = Some(done),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => end = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if end || flushed.is_some() || batch.len() >= BATCH_SPANS || Instant::now() >= due {
            export(exporter, std::mem::replace(&mut batch, Vec::with_capacity(BATCH_SPANS)));
            due = Instant::now() + BATCH_DELAY;
        }
        if let Some(done) = flushed {
            let _ = done.send(());
        }
        if end {
            return;
        }
    }
}

fn export(exporter: &SpanExporter, batch: Vec<SpanData>) {
    if batch.is_empty() {
        return;
    }
    let spans = batch.len();
    if let Err(error) = futures_executor::block_on(exporter.export(batch)) {
        dropped::record(Signal::Spans, DropReason::ExportFailed, spans);
        // Debug only: the loss is counted, and while the collector is down, each batch fails.
        tracing::debug!(%error, spans, "span export failed");
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}
