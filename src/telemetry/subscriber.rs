//! The subscriber of `tracing`, which combines the layers and filters of logs and traces, and the start of both.

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::log_format::{LineLayer, LogFormat, SERVICE};
use super::log_writer::{BufferedWriter, FlushGuard};
use super::metric_recorder::Recorder;
use super::otlp::Pipeline;
use super::panics::log_panics;
use super::rate_limit::RateLimitFilter;
use super::sampled_spans::{self, SampledSpanFilter};

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output, for the service.
    Stdout,
    /// Standard error, for commands that print their result to stdout.
    Stderr,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be parsed.
    #[error("log filter {filter:?} is not valid")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// The parse error.
        source: ParseError,
    },
    /// A thread that writes log lines or exports telemetry cannot be started.
    #[error("a thread of telemetry cannot start")]
    Thread(#[source] std::io::Error),
    /// The process already has a global subscriber.
    #[error("telemetry is already running")]
    Running(#[from] SetGlobalDefaultError),
}

/// Keeps telemetry running. When dropped, stops it, after the remaining lines are written and the rest is exported, or
/// after five seconds.
#[derive(Debug)]
#[must_use = "logs and traces stop when this is dropped"]
pub struct TelemetryGuard {
    exports: Pipeline,
    /// Held for its drop, which writes the remaining lines; `None` if lines are written without a buffer.
    lines: Option<FlushGuard>,
}

impl TelemetryGuard {
    /// Exports the metrics of `recorder` by OTLP from now on, if the `OTEL_*` variables ask for it. Called in the runtime
    /// of the service, which is measured too.
    pub fn export_metrics(&self, recorder: &Recorder) {
        self.exports.export_metrics(recorder);
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        // Runs before `lines` is dropped, so that this warning is still written.
        if let Err(error) = self.exports.shutdown() {
            tracing::warn!(%error, "telemetry shutdown failed; spans or log lines may be lost");
        }
    }
}

/// Starts logs and traces for the whole process, and logs its panics. `filter` is what `RUST_LOG` would hold, e.g.
/// `info,sqlx::query=off`.
///
/// # Errors
/// [`TelemetryError`] if the filter is invalid, a thread cannot be started, or telemetry is running already.
pub fn init(format: LogFormat, filter: &str, output: LogOutput) -> Result<TelemetryGuard, TelemetryError> {
    let (writer, lines) = match output {
        LogOutput::Stdout => {
            let (buffer, lines) = BufferedWriter::before(std::io::stdout()).map_err(TelemetryError::Thread)?;
            (BoxMakeWriter::new(move || buffer.clone()), Some(lines))
        }
        // Without a buffer: commands serve no requests that a slow reader could delay.
        LogOutput::Stderr => (BoxMakeWriter::new(std::io::stderr), None),
    };
    let (subscriber, mut guard) = subscriber(format, filter, writer)?;
    tracing::subscriber::set_global_default(subscriber)?;
    log_panics();
    guard.lines = lines;
    if !guard.exports.is_disabled() {
        opentelemetry::global::set_tracer_provider(guard.exports.traces().clone());
    }
    guard.exports.log_warnings();
    Ok(guard)
}

/// Builds the subscriber that [`init`] installs, for use in one thread or one test.
///
/// # Errors
/// [`TelemetryError::Filter`] for an invalid filter, [`TelemetryError::Thread`] if a thread cannot be started.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, TelemetryGuard), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets =
        filter.parse().map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let exports = Pipeline::from_environment(SERVICE).map_err(TelemetryError::Thread)?;
    // Spans have a filter of their own, so that warnings have a trace id even if the log filter excludes info.
    let traces = tracing_opentelemetry::layer()
        .with_tracer(exports.traces().tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(sampled_spans::exported());
    let enabled = !exports.is_disabled();
    // The log layer needs no spans: a line takes their ids from the OpenTelemetry context. Every filter tells the level of
    // its most verbose lines: without one hint, that of the spans would count for lines, too.
    let filter = filter_fn(|metadata| !metadata.is_span())
        .with_max_level_hint(LevelFilter::TRACE)
        .and(filter)
        .and(RateLimitFilter::default());
    // What is written is also what is exported, so that a line counts once for the rate limit.
    let exported = exports.logs().map(OpenTelemetryTracingBridge::new);
    let lines =
        LineLayer { format, service: exports.service().to_owned(), writer }.and_then(exported).with_filter(filter);
    let spans = SampledSpanFilter(enabled.then(sampled_spans::traced));
    Ok((
        Registry::default().with(enabled.then_some(traces)).with(lines).with(spans),
        TelemetryGuard { exports, lines: None },
    ))
}

/// The tracer of the process, which starts the spans of requests. Its spans are no-ops before [`init`].
#[must_use]
pub fn tracer() -> BoxedTracer {
    opentelemetry::global::tracer(SERVICE)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::Instrument;

    use super::super::dropped::{self, DropReason, Signal};
    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn lines(&self) -> Vec<Value> {
            self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn capture(format: LogFormat, filter: &str, work: impl FnOnce()) -> Captured {
        let captured = Captured::default();
        let writer = captured.clone();
        let (subscriber, _guard) = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        captured
    }

    #[test]
    fn a_line_is_one_flat_json_object() {
        let captured = capture(LogFormat::Json, "info", || {
            tracing::info!(movies = 3_u64, ratio = 0.5, done = true, list = "a \"b\"\nc", "scored {}", "all");
        });

        let [line] = captured.lines().try_into().unwrap();
        assert_eq!(line["message"], "scored all");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], module_path!());
        assert_eq!(line["service"], "cinegraph");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(line["movies"], 3);
        assert_eq!(line["ratio"], 0.5);
        assert_eq!(line["done"], true);
        assert_eq!(line["list"], "a \"b\"\nc");
        assert!(chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
        assert_eq!((line.get("trace_id"), line.get("sampled")), (None, None));
    }

    #[test]
    fn debug_lines_can_be_switched_on() {
        let filter = format!("info,{}=debug", module_path!());
        let captured = capture(LogFormat::Json, &filter, || {
            tracing::debug!("wanted");
            tracing::trace!("too verbose");
            tracing::debug!(target: "elsewhere", "not wanted");
        });

        let messages: Vec<_> = captured.lines().iter().map(|line| line["message"].clone()).collect();
        assert_eq!(messages, ["wanted"]);
        let captured = capture(LogFormat::Json, "info", || tracing::debug!("not wanted"));
        assert_eq!(captured.text(), "");
    }

    #[test]
    fn lines_without_a_message_have_the_name_of_their_event() {
        let captured = capture(LogFormat::Json, "info", || {
            tracing::info!(target: "sqlx::query", rows = 3);
            tracing::info!(name: "Exporter.Failed", target: "opentelemetry", reason = "refused");
        });

        let [unnamed, named] = captured.lines().try_into().unwrap();
        assert_eq!((&unnamed["message"], &unnamed["rows"]), (&"sqlx::query".into(), &3.into()));
        assert_eq!(named["message"], "Exporter.Failed");
    }

    #[test]
    fn event_fields_cannot_replace_reserved_keys() {
        let captured = capture(LogFormat::Json, "info", || tracing::info!(level = "mine", "hello"));

        assert_eq!(captured.text().matches("\"level\"").count(), 1);
    }

    #[test]
    fn lines_of_a_trace_share_its_id_even_in_spawned_tasks() {
        let captured = capture(LogFormat::Json, "info", || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let request = tracing::info_span!("operation");
            runtime.block_on(
                async {
                    tracing::info!("outside");
                    let spawned = async { tracing::info!("inside") };
                    tokio::spawn(spawned.instrument(tracing::info_span!("task"))).await.unwrap();
                }
                .instrument(request),
            );
        });

        let [outside, inside] = captured.lines().try_into().unwrap();
        assert_eq!(outside["trace_id"].as_str().unwrap().len(), 32);
        assert_eq!(outside["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(outside["trace_id"], inside["trace_id"]);
        assert_ne!(outside["span_id"], inside["span_id"]);
    }

    #[test]
    fn lines_below_an_unsampled_span_carry_its_id() {
        let captured = capture(LogFormat::Json, "info", || {
            let _request = tracing::info_span!("revalidate").entered();
            tracing::info!("outside");
            let operation = tracing::info_span!("operation");
            assert!(operation.is_disabled(), "a span below an unsampled span is enabled");
            operation.in_scope(|| tracing::info!("inside"));
            tracing::info_span!(parent: None, "task").in_scope(|| tracing::info!("apart"));
        });

        let [outside, inside, apart] = captured.lines().try_into().unwrap();
        assert!([&outside, &inside, &apart].iter().all(|line| line["sampled"] == false));
        assert_eq!(outside["span_id"], inside["span_id"]);
        assert_ne!(outside["trace_id"], apart["trace_id"]);
    }

    #[test]
    fn warnings_above_the_rate_limit_are_left_out_and_counted() {
        let left_out = || dropped::count(Signal::Logs, DropReason::RateLimited);
        let before = left_out();
        let captured = capture(LogFormat::Json, "info", || {
            for n in 0..100 {
                tracing::warn!(n, "again");
                tracing::info!(n, "fine");
            }
            tracing::warn!("something else");
        });

        let lines = captured.lines();
        let count = |message| lines.iter().filter(|line| line["message"] == message).count();
        // The hundred lines may span two seconds.
        assert!([10, 20].contains(&count("again")), "{}", count("again"));
        assert_eq!((count("fine"), count("something else")), (100, 1));
        assert!(left_out() - before >= 80);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        struct Full;
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (subscriber, _guard) = subscriber(LogFormat::Json, "info", || Full).unwrap();
        let lost = || dropped::count(Signal::Logs, DropReason::ExportFailed);
        let before = lost();

        tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));

        assert!(lost() > before);
    }

    #[test]
    fn warnings_have_a_trace_id_when_info_is_off() {
        let captured = capture(LogFormat::Json, "warn", || {
            tracing::info_span!("operation").in_scope(|| tracing::warn!("slow"));
        });

        assert!(captured.lines()[0]["trace_id"].is_string());
    }

    #[test]
    fn a_panic_is_a_line_in_both_formats() {
        log_panics();
        let panicking = |text: &'static str| {
            let operation = tracing::info_span!("operation");
            let panic = move || operation.in_scope(|| panic!("{text} \"{}\"", 7));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).is_err());
        };

        let captured = capture(LogFormat::Json, "info", || panicking("of JSON"));
        let [line] = captured.lines().try_into().unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"panicked".into()));
        assert_eq!((&line["exception.type"], &line["exception.message"]), (&"panic".into(), &"of JSON \"7\"".into()));
        assert!(line["location"].as_str().unwrap().starts_with(concat!(file!(), ":")), "{line}");
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);

        let captured = capture(LogFormat::Pretty { colours: false }, "info", || panicking("of pretty lines"));
        let text = captured.text();
        assert!(text.contains("ERROR cinegraph::telemetry::panics: panicked exception.type=\"panic\""), "{text}");
        assert!(
            text.contains("exception.message=\"of pretty lines \\\"7\\\"\"") && text.contains(" trace_id="),
            "{text}"
        );

        assert_eq!(capture(LogFormat::Json, "off", || panicking("printed instead")).text(), "");
    }

    #[test]
    fn pretty_lines_end_with_the_trace_id() {
        let captured = capture(LogFormat::Pretty { colours: false }, "info", || {
            tracing::info_span!("operation").in_scope(|| tracing::info!(movies = 3, "scored"));
        });

        let text = captured.text();
        assert!(text.contains(" INFO cinegraph::telemetry::subscriber::tests: scored movies=3 trace_id="), "{text}");
    }

    #[test]
    fn colours_are_those_of_the_level_alone() {
        let captured = capture(LogFormat::Pretty { colours: true }, "info", || {
            tracing::info!("done");
            tracing::warn!("slow");
        });

        let text = captured.text();
        assert!(text.contains("Z \u{1b}[33m WARN\u{1b}[0m cinegraph"), "{text}");
        assert_eq!(text.matches('\u{1b}').count(), 2, "{text}");
    }

    #[test]
    fn an_invalid_filter_is_named_in_the_error() {
        let invalid = subscriber(LogFormat::Json, "info,sqlx=loud", io::sink).map(|_| ());

        assert_eq!(invalid.unwrap_err().to_string(), "log filter \"info,sqlx=loud\" is not valid");
    }
}
