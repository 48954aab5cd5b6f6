//! The exports of this process, from the variables to the providers.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Key;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;

use super::super::dropped::Signal;
use super::super::metric_recorder::Recorder;
use super::client::Client;
use super::logs::Logs;
use super::metrics::{MetricExport, MetricExportGuard};
use super::settings::Settings;
use super::spans::Spans;
use super::target::Target;
use super::thread::ExportThread;
use super::variables::Variables;

/// How long the end of the program waits for the collector: for the rest of the queues, then at most for what fails at
/// once. The values are choices: a few attempts, well below the time after which an orchestrator kills a process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(4);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The exports of this process.
#[derive(Debug)]
pub(in super::super) struct Pipeline {
    service: String,
    traces: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<MetricExport>,
    exporting_metrics: Mutex<Option<MetricExportGuard>>,
    is_disabled: bool,
    warnings: Vec<String>,
    /// `None` if nothing is exported.
    thread: Option<ExportThread>,
}

impl Pipeline {
    /// Starts what the `OTEL_*` variables ask for.
    ///
    /// # Errors
    /// If the thread of the exports cannot be started.
    pub(in super::super) fn from_environment(service: &'static str) -> io::Result<Self> {
        Self::start(Settings::read(Variables::from_environment(), service))
    }

    fn start(settings: Settings) -> io::Result<Self> {
        let Settings { resource, span_attributes, log_attributes, spans, metrics, logs, .. } = settings;
        let is_exporting = spans.is_some() || metrics.is_some() || logs.is_some();
        let thread = is_exporting.then(ExportThread::start).transpose()?;
        let client = |signal, target: Target| {
            let thread = thread.as_ref()?;
            Some(Client::new(signal, target, thread.runtime().clone(), thread.abort().clone()))
        };
        let traces =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_span_limits(settings.span_limits);
        let spans = spans.and_then(|(target, batch)| Some((client(Signal::Spans, target)?, batch)));
        let traces = match spans {
            Some((client, batch)) => {
                let processor = Spans::new(client, batch, &resource, span_attributes);
                traces.with_sampler(settings.sampler).with_span_processor(processor)
            }
            // Log lines need the ids, which unsampled spans have as well. To record more would be useless.
            None => traces.with_sampler(Sampler::AlwaysOff),
        };
        let logs = logs.and_then(|(target, batch)| {
            let processor = Logs::new(client(Signal::Logs, target)?, batch, &resource, log_attributes);
            let provider = SdkLoggerProvider::builder().with_resource(resource.clone());
            Some(provider.with_log_processor(processor).build())
        });
        let metrics = metrics.and_then(|(target, interval)| {
            Some(MetricExport::new(client(Signal::Metrics, target)?, interval, &resource))
        });
        READS_TRACE_CONTEXT.store(settings.reads_trace_context, Ordering::Relaxed);
        let name = resource.get(&Key::from_static_str("service.name"));
        Ok(Self {
            service: name.map(|name| name.to_string()).unwrap_or_default(),
            traces: traces.build(),
            logs,
            metrics,
            exporting_metrics: Mutex::default(),
            is_disabled: settings.is_disabled,
            warnings: settings.warnings,
            thread,
        })
    }

    /// The name of the service, which the variables may set.
    pub(in super::super) fn service(&self) -> &str {
        &self.service
    }

    pub(in super::super) fn traces(&self) -> &SdkTracerProvider {
        &self.traces
    }

    /// The provider that exports log lines; `None` if they are not exported.
    pub(in super::super) fn logs(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// Whether traces are disabled, their ids included.
    pub(in super::super) fn is_disabled(&self) -> bool {
        self.is_disabled
    }

    /// Logs what is set but not honoured.
    pub(in super::super) fn log_warnings(&self) {
        // In one line, since equal lines are limited in number.
        if !self.warnings.is_empty() {
            tracing::warn!(reasons = self.warnings.join("; "), "some OTEL_* variables are not honoured");
        }
    }

    /// Exports the metrics of `recorder` from now on, if the variables ask for it. Called in the runtime of the service,
    /// which is measured too.
    pub(in super::super) fn export_metrics(&self, recorder: &Recorder) {
        if let (Some(metrics), Some(thread), Ok(service)) = (&self.metrics, &self.thread, Handle::try_current()) {
            if !recorder.is_exported() {
                tracing::warn!("OTEL_METRICS_EXPORTER has no effect, since the setting metrics_enabled is false");
                return;
            }
            let guard = metrics.start(recorder.clone(), service, thread.runtime());
            *self.exporting_metrics.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        }
    }

    /// Exports what is queued, within [`SHUTDOWN_TIMEOUT`], and ends the exports.
    ///
    /// # Errors
    /// If the queues could not be emptied in time.
    pub(in super::super) fn shutdown(&self) -> OTelSdkResult {
        if let Some(thread) = &self.thread {
            let abort = thread.abort().clone();
            thread.runtime().spawn(async move {
                tokio::time::sleep(FLUSH_TIMEOUT).await;
                abort.cancel();
            });
        }
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        let metrics = self.exporting_metrics.lock().unwrap_or_else(PoisonError::into_inner).take();
        let metrics = metrics.map(MetricExportGuard::export_last);
        let emptied = std::thread::scope(|scope| {
            let logs = self.logs.as_ref();
            let logs = logs.map(|logs| scope.spawn(|| logs.shutdown_with_timeout(SHUTDOWN_TIMEOUT)));
            let traces = self.traces.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
            // A thread that panicked has shut down as well.
            traces.and(logs.and_then(|logs| logs.join().ok()).unwrap_or(Ok(())))
        });
        if let Some(exported) = metrics {
            // Nothing is ever sent: the wait ends with the last export, or in time.
            let _ = exported.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        emptied
    }
}

/// Whether `OTEL_PROPAGATORS` contains the W3C trace context. Static, like the tracer provider of a process.
static READS_TRACE_CONTEXT: AtomicBool = AtomicBool::new(true);

/// Whether the trace context of a request is read.
#[must_use]
pub(crate) fn reads_trace_context() -> bool {
    READS_TRACE_CONTEXT.load(Ordering::Relaxed)
}
