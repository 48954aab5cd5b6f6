//! Logs and traces: one JSON object per line on stdout, each with the trace it belongs to.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
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

use super::log_writer::{BufferedWriter, FlushGuard};
use super::usage::OperationUsage;

/// How log lines look.
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
    /// For services.
    Stdout,
    /// For commands whose result goes to stdout.
    Stderr,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is not one.
    #[error("log filter {filter:?} is not valid")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// An `OTEL_*` variable makes no sense.
    #[error("traces cannot be exported as the OTEL_* variables say")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The system gives us no thread that writes lines.
    #[error("log lines cannot be written")]
    Thread(#[source] std::io::Error),
    /// The process already logs.
    #[error("telemetry is already running")]
    Running(#[from] SetGlobalDefaultError),
}

/// Keeps lines and traces flowing; dropped, it hands over what is left and ends them.
#[derive(Debug)]
#[must_use = "traces end when this is dropped"]
pub struct TelemetryGuard {
    traces: SdkTracerProvider,
    /// Only held: its drop writes what is left.
    lines: Option<FlushGuard>,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Err(error) = self.traces.shutdown() {
            tracing::warn!(%error, "traces were lost at the end");
        }
    }
}

/// Starts logs and traces for the whole process. `filter` is what `RUST_LOG` would hold, e.g. `info,sqlx::query=off`.
///
/// # Errors
/// [`TelemetryError`] when the filter is wrong or when it was started before.
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

/// What [`init`] starts, for one thread or one test.
///
/// # Errors
/// [`TelemetryError::Filter`] when the filter is wrong.
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
    // The log filter does not hide spans from here, so that a quiet log still names its traces.
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traced());
    let enabled = !super::export::disabled();
    // Of spans, lines need their ids alone, which OpenTelemetry knows.
    let filter = filter_fn(|metadata| !metadata.is_span()).and(filter).and(RateLimitFilter::default());
    let lines = Lines { format, writer }.with_filter(filter);
    let spans = SampledSpanFilter(enabled.then(traced));
    Ok((
        Registry::default().with(enabled.then_some(traces)).with(lines).with(spans),
        TelemetryGuard { traces: provider, lines: None },
    ))
}

/// What begins the spans of requests: that of the process, and without one, one that does nothing.
#[must_use]
pub fn tracer() -> BoxedTracer {
    opentelemetry::global::tracer(SERVICE)
}

const SERVICE: &str = "cinegraph";

/// What becomes part of a trace.
fn traced() -> Targets {
    // The job library opens spans for each look at its tables; ours say what a task does.
    Targets::new().with_default(LevelFilter::INFO).with_target("graphile_worker", LevelFilter::OFF)
}

/// Which spans there are: none below one that is not sampled, so that nothing is spent on it, and of one operation no more
/// than [`OperationUsage`] allows. A layer that is asked before all others: what only their filters refuse, the registry makes.
struct SampledSpanFilter(Option<Targets>);

impl SampledSpanFilter {
    fn may_have(&self, metadata: &Metadata<'_>) -> bool {
        self.0.as_ref().is_some_and(|traced| traced.would_enable(metadata.target(), metadata.level()))
    }
}

impl<S: Subscriber> Layer<S> for SampledSpanFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() {
            true if self.may_have(metadata) => Interest::sometimes(),
            true => Interest::never(),
            false => Interest::always(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let begins_trace = || NEW_TRACES.contains(&metadata.name());
        !metadata.is_span()
            || self.may_have(metadata) && (begins_trace() || !is_unsampled() && OperationUsage::allows_span())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// Lines of one kind of warning or error in a second at most: under load the first ones say it all.
const WARNINGS_PER_SECOND: u32 = 10;

/// Lines that nobody will read.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// How many log lines were left out, or lost, since the process began.
pub(super) fn dropped_lines() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Counts lines that are left out, or lost.
pub(super) fn record_dropped(lines: usize) {
    LEFT_OUT.fetch_add(lines as u64, Ordering::Relaxed);
}

/// Leaves out warnings and errors that come too fast, each place in the code counted apart.
struct RateLimitFilter {
    started: Instant,
    /// By place: the second of its last line, and how many it has had in that.
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
        // An event that no filter was asked about must not be refused by one later: the library's own check fails then.
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
        let within = *lines <= WARNINGS_PER_SECOND;
        if !within {
            record_dropped(1);
        }
        within
    }
}

/// Spans that begin a trace, whatever goes on around them.
const NEW_TRACES: [&str; 2] = ["revalidate", "task"];

/// Whether the current trace is recorded by nobody.
fn is_unsampled() -> bool {
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid() && !span.is_sampled()
    })
}

/// Names that an event's own fields cannot take: a line has each key once.
const RESERVED: [&str; 7] = ["timestamp", "level", "target", "service", "version", "trace_id", "span_id"];

/// The span that the line is written in, as traces know it; also inside spawned tasks that carry their span.
fn current_span() -> Option<SpanContext> {
    let span = opentelemetry::Context::current().span().span_context().clone();
    span.is_valid().then_some(span)
}

/// Longer than nearly all lines.
const LINE_BYTES: usize = 1024;

/// The time, as RFC 3339 writes it, to the microsecond.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Writes a line for each event, by one write.
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
            record_dropped(1);
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

/// Writes an event's fields, the message among them, and keeps the first failure.
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
            tracing::info!(films = 3_u64, ratio = 0.5, done = true, list = "a \"b\"\nc", "scored {}", "all");
        });

        let [line] = captured.lines().try_into().unwrap();
        assert_eq!(line["message"], "scored all");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], module_path!());
        assert_eq!(line["service"], "cinegraph");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(line["films"], 3);
        assert_eq!(line["ratio"], 0.5);
        assert_eq!(line["done"], true);
        assert_eq!(line["list"], "a \"b\"\nc");
        assert!(chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
        assert_eq!(line.get("trace_id"), None);
    }

    #[test]
    fn a_field_cannot_take_the_name_of_ours() {
        let captured = capture(LogFormat::Json, "info", || tracing::info!(level = "mine", "hello"));

        assert_eq!(captured.text().matches("\"level\"").count(), 1);
    }

    #[test]
    fn lines_of_one_trace_share_its_id_also_in_spawned_tasks() {
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
    fn below_an_unsampled_span_lines_bear_its_id() {
        let captured = capture(LogFormat::Json, "info", || {
            let _request = tracing::info_span!("revalidate").entered();
            tracing::info!("outside");
            let operation = tracing::info_span!("operation");
            assert!(operation.is_disabled(), "something is spent on a span that nobody sees");
            operation.in_scope(|| tracing::info!("inside"));
            tracing::info_span!(parent: None, "task").in_scope(|| tracing::info!("apart"));
        });

        let [outside, inside, apart] = captured.lines().try_into().unwrap();
        assert_eq!(outside["span_id"], inside["span_id"]);
        assert_ne!(outside["trace_id"], apart["trace_id"]);
    }

    #[test]
    fn a_flood_of_warnings_is_cut_and_counted() {
        let before = dropped_lines();
        let captured = capture(LogFormat::Json, "info", || {
            for n in 0..100 {
                tracing::warn!(n, "again");
                tracing::info!(n, "fine");
            }
            tracing::warn!("something else");
        });

        let lines = captured.lines();
        let count = |message| lines.iter().filter(|line| line["message"] == message).count();
        // The hundred may fall on two seconds.
        assert!([10, 20].contains(&count("again")), "{}", count("again"));
        assert_eq!((count("fine"), count("something else")), (100, 1));
        assert!(dropped_lines() - before >= 80);
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
        let before = dropped_lines();

        tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));

        assert!(dropped_lines() > before);
    }

    #[test]
    fn a_quiet_log_still_names_its_traces() {
        let captured = capture(LogFormat::Json, "warn", || {
            tracing::info_span!("request").in_scope(|| tracing::warn!("slow"));
        });

        assert!(captured.lines()[0]["trace_id"].is_string());
    }

    #[test]
    fn pretty_lines_end_with_the_trace() {
        let captured = capture(LogFormat::Pretty, "info", || {
            tracing::info_span!("request").in_scope(|| tracing::info!(films = 3, "scored"));
        });

        let text = captured.text();
        assert!(text.contains(" INFO cinegraph::telemetry::logs::tests: scored films=3 trace_id="), "{text}");
    }

    #[test]
    fn a_wrong_filter_is_refused_by_name() {
        let refused = subscriber(LogFormat::Json, "info,sqlx=loud", io::sink).map(|_| ());

        assert_eq!(refused.unwrap_err().to_string(), "log filter \"info,sqlx=loud\" is not valid");
    }
}
