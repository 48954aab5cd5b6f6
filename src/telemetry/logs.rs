//! Setup of logs and traces. A log line is one JSON object (or one short line), with the id of its trace.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Serializer as _;
use serde::ser::SerializeMap;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::dropped;
use super::log_writer::{BufferedWriter, FlushGuard};
use super::usage::OperationUsage;

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One short line, for people.
    Pretty,
}

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
    /// An `OTEL_*` variable is invalid.
    #[error("trace export cannot start; check the OTEL_* variables")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The thread that writes log lines cannot be started.
    #[error("log writer thread cannot start")]
    Thread(#[source] std::io::Error),
    /// The process already has a global subscriber.
    #[error("telemetry is already running")]
    Running(#[from] SetGlobalDefaultError),
}

/// Keeps logs and traces running. Its drop writes and exports what is left, and stops both.
#[derive(Debug)]
#[must_use = "logs and traces stop when this is dropped"]
pub struct TelemetryGuard {
    traces: SdkTracerProvider,
    /// Held for its drop, which writes the remaining lines.
    lines: Option<FlushGuard>,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Err(error) = self.traces.shutdown() {
            tracing::warn!(%error, "trace shutdown failed; spans may be lost");
        }
    }
}

/// Starts logs and traces for the whole process. `filter` is what `RUST_LOG` would hold, e.g. `info,sqlx::query=off`.
///
/// # Errors
/// [`TelemetryError`] if the filter or an `OTEL_*` variable is invalid, or if telemetry is running already.
pub fn init(format: LogFormat, filter: &str, output: LogOutput) -> Result<TelemetryGuard, TelemetryError> {
    let (writer, lines) = match output {
        LogOutput::Stdout => {
            let (buffer, lines) = BufferedWriter::before(std::io::stdout()).map_err(TelemetryError::Thread)?;
            (BoxMakeWriter::new(move || buffer.clone()), Some(lines))
        }
        LogOutput::Stderr => (BoxMakeWriter::new(std::io::stderr), None),
    };
    let (subscriber, mut guard) = subscriber(format, filter, writer)?;
    tracing::subscriber::set_global_default(subscriber)?;
    guard.lines = lines;
    if !super::export::disabled() {
        opentelemetry::global::set_tracer_provider(guard.traces.clone());
    }
    Ok(guard)
}

/// Builds the subscriber that [`init`] installs, for use in one thread or one test.
///
/// # Errors
/// [`TelemetryError::Filter`] or [`TelemetryError::Exporter`], for an invalid filter or `OTEL_*` variable.
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
    let provider = super::export::provider(SERVICE)?;
    // The log filter does not apply to spans, so that warnings have a trace id even if info logs are off.
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traced());
    let enabled = !super::export::disabled();
    // The log layer needs no spans: a line takes their ids from the OpenTelemetry context.
    let filter = filter_fn(|metadata| !metadata.is_span()).and(filter).and(RateLimitFilter::default());
    let lines = Lines { format, writer }.with_filter(filter);
    let spans = SampledSpanFilter(enabled.then(traced));
    Ok((
        Registry::default().with(enabled.then_some(traces)).with(lines).with(spans),
        TelemetryGuard { traces: provider, lines: None },
    ))
}

/// The tracer of the process, which starts request spans; a no-op before [`init`].
#[must_use]
pub fn tracer() -> BoxedTracer {
    opentelemetry::global::tracer(SERVICE)
}

const SERVICE: &str = "cinegraph";

/// The spans that are recorded in traces.
fn traced() -> Targets {
    // The job library opens a span for every poll of its tables. The `task` spans of Cinegraph show what a job does.
    Targets::new().with_default(LevelFilter::INFO).with_target("graphile_worker", LevelFilter::OFF)
}

/// Disables spans below an unsampled span, so that they cost nothing, and spans above the limit of [`OperationUsage`].
///
/// This is a layer and not a filter of the trace layer, because the registry still creates a span that only the filters
/// of layers reject.
struct SampledSpanFilter(Option<Targets>);

impl SampledSpanFilter {
    fn is_recorded(&self, metadata: &Metadata<'_>) -> bool {
        self.0.as_ref().is_some_and(|traced| traced.would_enable(metadata.target(), metadata.level()))
    }
}

impl<S: Subscriber> Layer<S> for SampledSpanFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() {
            true if self.is_recorded(metadata) => Interest::sometimes(),
            true => Interest::never(),
            false => Interest::always(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let starts_trace = || NEW_TRACES.contains(&metadata.name());
        !metadata.is_span()
            || self.is_recorded(metadata) && (starts_trace() || !is_unsampled() && OperationUsage::allows_span())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// Maximum number of lines per second and callsite for warnings and errors. Under load the first ones are enough.
const WARNINGS_PER_SECOND: u32 = 10;

/// Rate limit of warnings and errors, separate for each callsite.
struct RateLimitFilter {
    started: Instant,
    /// By callsite: the second of its last line, and its number of lines in that second.
    seen: Mutex<HashMap<Identifier, (u64, u32)>>,
}

impl Default for RateLimitFilter {
    fn default() -> Self {
        Self { started: Instant::now(), seen: Mutex::default() }
    }
}

impl<S: Subscriber> Filter<S> for RateLimitFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // `Interest::always` skips `enabled`. An event that `event_enabled` then rejects fails an assertion of the
        // library, so every level that this filter can reject must be `sometimes`.
        if *metadata.level() > Level::WARN { Interest::always() } else { Interest::sometimes() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let now = self.started.elapsed().as_secs();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, lines) = seen.entry(event.metadata().callsite()).or_insert((now, 0));
        if *second != now {
            (*second, *lines) = (now, 0);
        }
        *lines += 1;
        let is_allowed = *lines <= WARNINGS_PER_SECOND;
        if !is_allowed {
            dropped::record_lines(1);
        }
        is_allowed
    }
}

/// Spans that start a new trace, even inside an unsampled one.
const NEW_TRACES: [&str; 2] = ["revalidate", "task"];

/// Whether the current span belongs to a trace that is not sampled.
fn is_unsampled() -> bool {
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid() && !span.is_sampled()
    })
}

/// Keys that a line always has. Fields of an event with these names are left out, so that no key occurs twice.
const RESERVED: [&str; 7] = ["timestamp", "level", "target", "service", "version", "trace_id", "span_id"];

/// The OpenTelemetry context of the current span, if valid. Also works in spawned tasks that carry their span.
fn current_span() -> Option<SpanContext> {
    let span = opentelemetry::Context::current().span().span_context().clone();
    span.is_valid().then_some(span)
}

/// Initial capacity of a line's buffer. Nearly all lines are shorter.
const LINE_BYTES: usize = 1024;

/// The current time in RFC 3339 format, in microseconds, UTC.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Writes a line for each event by one `write`, so that concurrent lines do not mix.
struct Lines<W> {
    format: LogFormat,
    writer: W,
}

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = match self.format {
            LogFormat::Json => json(event).map_err(io::Error::from),
            LogFormat::Pretty => pretty(event).map_err(io::Error::other),
        };
        let written = line.and_then(|line| self.writer.make_writer_for(event.metadata()).write_all(&line));
        if written.is_err() {
            dropped::record_lines(1);
        }
    }
}

fn pretty(event: &Event<'_>) -> Result<Vec<u8>, fmt::Error> {
    let mut line = String::with_capacity(LINE_BYTES);
    write!(line, "{} {:>5} {}: ", now(), event.metadata().level(), event.metadata().target())?;
    DefaultFields::new().format_fields(Writer::new(&mut line), event)?;
    if let Some(span) = current_span() {
        write!(line, " trace_id={}", span.trace_id())?;
    }
    line.push('\n');
    Ok(line.into_bytes())
}

fn json(event: &Event<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &now())?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    map.serialize_entry("target", event.metadata().target())?;
    let mut fields = Fields { map: &mut map, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    map.serialize_entry("service", SERVICE)?;
    map.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
    if let Some(span) = current_span() {
        map.serialize_entry("trace_id", &format_args!("{}", span.trace_id()))?;
        map.serialize_entry("span_id", &format_args!("{}", span.span_id()))?;
    }
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

/// Serialises an event's fields, including the message, until the first error, which it keeps.
struct Fields<'a, M: SerializeMap> {
    map: &'a mut M,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<'_, M> {
    fn write(&mut self, field: &Field, value: &impl serde::Serialize) {
        if self.result.is_ok() && !RESERVED.contains(&field.name()) {
            self.result = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Fields<'_, M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, &format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use tracing::Instrument;

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
        assert_eq!(line.get("trace_id"), None);
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
            let request = tracing::info_span!("request");
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
        assert_eq!(outside["span_id"], inside["span_id"]);
        assert_ne!(outside["trace_id"], apart["trace_id"]);
    }

    #[test]
    fn warnings_above_the_rate_limit_are_dropped_and_counted() {
        let before = dropped::lines();
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
        assert!(dropped::lines() - before >= 80);
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
        let before = dropped::lines();

        tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));

        assert!(dropped::lines() > before);
    }

    #[test]
    fn warnings_have_a_trace_id_when_info_is_off() {
        let captured = capture(LogFormat::Json, "warn", || {
            tracing::info_span!("request").in_scope(|| tracing::warn!("slow"));
        });

        assert!(captured.lines()[0]["trace_id"].is_string());
    }

    #[test]
    fn pretty_lines_end_with_the_trace_id() {
        let captured = capture(LogFormat::Pretty, "info", || {
            tracing::info_span!("request").in_scope(|| tracing::info!(movies = 3, "scored"));
        });

        let text = captured.text();
        assert!(text.contains(" INFO cinegraph::telemetry::logs::tests: scored movies=3 trace_id="), "{text}");
    }

    #[test]
    fn an_invalid_filter_is_named_in_the_error() {
        let invalid = subscriber(LogFormat::Json, "info,sqlx=loud", io::sink).map(|_| ());

        assert_eq!(invalid.unwrap_err().to_string(), "log filter \"info,sqlx=loud\" is not valid");
    }
}
