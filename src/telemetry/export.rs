//! Traces leave by OTLP over HTTP, as the standard `OTEL_*` variables say; without an endpoint they stay here.
//!
//! The queue is bounded and its losses are counted: a collector that is slow or gone slows no request. The library's own
//! batch processor drops as well, but tells nobody how many.

use std::env;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};

/// Spans that wait to be sent at most; as the standard's default.
const QUEUE: usize = 2048;

/// Spans of one message to the collector at most.
const BATCH: usize = 512;

/// How long spans wait for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);

/// Of the whole process, as traces are.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Spans that were lost because the queue was full, or because the collector did not take them.
pub(super) fn dropped_spans() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What makes spans, and sends them where the environment says.
///
/// # Errors
/// [`ExporterBuildError`] when an `OTEL_*` variable makes no sense.
pub(super) fn provider(service: &'static str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let resource = resource(service);
    let builder = SdkTracerProvider::builder().with_resource(resource.clone());
    if !wanted() {
        // Log lines name their traces all the same; nothing else would ever be seen of them.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    }
    let mut exporter = SpanExporter::builder().with_http().build()?;
    // The provider tells its processors, and ours has given the exporter to a thread by then.
    exporter.set_resource(&resource);
    Ok(builder.with_span_processor(Queue::new(exporter)).build())
}

/// Whether the environment names a collector, and does not switch traces off.
fn wanted() -> bool {
    let set = |name: &str| env::var(name).is_ok_and(|text| !text.is_empty());
    (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        && !disabled()
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// Whether the environment wants no traces at all, not even their ids.
pub(super) fn disabled() -> bool {
    is("OTEL_SDK_DISABLED", "true")
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|text| text.eq_ignore_ascii_case(value))
}

/// Who speaks; `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` may say otherwise and more.
fn resource(service: &'static str) -> Resource {
    let instance = format!("{:016x}", rand::random::<u64>());
    let ours = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
        KeyValue::new("deployment.environment.name", "development"),
    ];
    let builder = Resource::builder_empty().with_attributes(ours).with_service_name(service);
    builder.with_detector(Box::new(opentelemetry_sdk::resource::EnvResourceDetector::new())).build()
}

enum Message {
    Span(Box<SpanData>),
    Flush(SyncSender<()>),
    End,
}

/// Takes spans without waiting, and sends them from a thread of its own.
struct Queue {
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    fn new(exporter: SpanExporter) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("traces".to_owned()).spawn(move || send(&exporter, &receiver));
        // Without its thread nothing takes from the queue: it fills, and all is counted as lost.
        Self { sender, thread: Mutex::new(thread.ok()) }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(Message::Span(Box::new(span))).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let (done, flushed) = sync_channel(1);
        let asked = self.sender.send(Message::Flush(done)).is_ok();
        if asked && flushed.recv_timeout(Duration::from_secs(5)).is_ok() {
            return Ok(());
        }
        Err(OTelSdkError::Timeout(Duration::from_secs(5)))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let Some(thread) = self.thread.lock().ok().and_then(|mut thread| thread.take()) else {
            return Err(OTelSdkError::AlreadyShutdown);
        };
        let end = Instant::now() + timeout;
        let _ = self.sender.try_send(Message::End);
        while !thread.is_finished() {
            if Instant::now() >= end {
                return Err(OTelSdkError::Timeout(timeout));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Sends what comes, in batches, until told to end.
fn send(exporter: &SpanExporter, receiver: &Receiver<Message>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut due = Instant::now() + DELAY;
    loop {
        let message = receiver.recv_timeout(due.saturating_duration_since(Instant::now()));
        let (mut end, mut flushed) = (false, None);
        match message {
            Ok(Message::Span(span)) => batch.push(*span),
            Ok(Message::Flush(done)) => flushed = Some(done),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => end = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if end || flushed.is_some() || batch.len() >= BATCH || Instant::now() >= due {
            export(exporter, std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
            due = Instant::now() + DELAY;
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
    let spans = batch.len() as u64;
    if let Err(error) = futures_executor::block_on(exporter.export(batch)) {
        DROPPED.fetch_add(spans, Ordering::Relaxed);
        tracing::debug!(%error, spans, "the collector did not take these spans");
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}
