//! Format of log lines: one JSON object or one short line per event, with the id of its trace.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde::Serializer as _;
use serde::ser::SerializeMap;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Layer};

use super::dropped::{self, DropReason, Signal};

/// Name of the service in log lines and traces, unless the `OTEL_*` variables set another.
pub(super) const SERVICE: &str = "cinegraph";

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One short line, for people.
    Pretty {
        /// Whether the levels of warnings and errors have colours.
        colours: bool,
    },
}

/// Keys that a line always has. Fields of an event with these names are left out, so that no key occurs twice.
const RESERVED: [&str; 8] = ["timestamp", "level", "target", "service", "version", "trace_id", "span_id", "sampled"];

/// The trace and span id of the current span; `None` outside a span. They come from the current OpenTelemetry context,
/// which spawned tasks have too if they are instrumented with a span.
fn current_span() -> Option<SpanContext> {
    let span = opentelemetry::Context::current().span().span_context().clone();
    span.is_valid().then_some(span)
}

/// Initial capacity of a line's buffer. Nearly all lines are shorter, so it rarely grows.
const LINE_BYTES: usize = 1024;

/// The current UTC time in RFC 3339 format, with microseconds.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Writes each event as a line with a single `write`, so that the lines of several threads do not mix.
pub(super) struct LineLayer<W> {
    pub(super) format: LogFormat,
    /// Name of the service in JSON lines.
    pub(super) service: String,
    pub(super) writer: W,
}

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for LineLayer<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = match self.format {
            LogFormat::Json => json(event, &self.service).map_err(io::Error::from),
            LogFormat::Pretty { colours } => pretty(event, colours).map_err(io::Error::other),
        };
        let written = line.and_then(|line| self.writer.make_writer_for(event.metadata()).write_all(&line));
        if written.is_err() {
            dropped::record(Signal::Logs, DropReason::ExportFailed, 1);
        }
    }
}

fn pretty(event: &Event<'_>, colours: bool) -> Result<Vec<u8>, fmt::Error> {
    let mut line = String::with_capacity(LINE_BYTES);
    let (begin, end) = if colours { colour(*event.metadata().level()) } else { ("", "") };
    write!(line, "{} {begin}{:>5}{end} {}: ", now(), event.metadata().level(), event.metadata().target())?;
    DefaultFields::new().format_fields(Writer::new(&mut line), event)?;
    if let Some(span) = current_span() {
        write!(line, " trace_id={}", span.trace_id())?;
    }
    line.push('\n');
    Ok(line.into_bytes())
}

/// The escape sequences before and after a level: red for errors, yellow for warnings.
fn colour(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
        Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
        _ => ("", ""),
    }
}

fn json(event: &Event<'_>, service: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &now())?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    map.serialize_entry("target", event.metadata().target())?;
    let mut fields = Fields { map: &mut map, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    if !has_message(event.metadata()) {
        map.serialize_entry("message", name_of(event.metadata()))?;
    }
    map.serialize_entry("service", service)?;
    map.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
    if let Some(span) = current_span() {
        map.serialize_entry("trace_id", &format_args!("{}", span.trace_id()))?;
        map.serialize_entry("span_id", &format_args!("{}", span.span_id()))?;
        map.serialize_entry("sampled", &span.is_sampled())?;
    }
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

fn has_message(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field("message").is_some()
}

/// What stands for the message of a line without one, as some libraries write them: the name of the event, or its target
/// if it has no name but its place in the source.
fn name_of(metadata: &Metadata<'static>) -> &'static str {
    if metadata.name().starts_with("event ") { metadata.target() } else { metadata.name() }
}

/// Serialises the fields of an event, including its message. Stops at the first error and keeps it in `result`, because
/// the methods of [`Visit`] cannot return it.
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
