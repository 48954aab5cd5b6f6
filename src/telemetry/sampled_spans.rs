//! Which spans are recorded: those of sampled traces, up to a limit per operation.

use std::sync::LazyLock;

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::{Context, Filter, Layer};

use super::operation_usage::OperationUsage;

/// Maximum number of spans below the span of an operation. Together with the span of the operation and that of the
/// request, a trace has at most 100. That number is a choice: far more than usual operations need, and few enough that
/// one operation does not fill the export queue.
const SPANS_MAX: u32 = 98;

/// Names of spans that start a trace of their own, even if the current span is unsampled: background refreshes and
/// tasks.
const NEW_TRACES: [&str; 2] = ["revalidate", "task"];

/// Name of the spans that are in the trace of their request, or start one of their own where no request is: operations
/// over WebSocket.
const OPERATION: &str = "operation";

/// Filter of what is exported as traces. No log line becomes an event of its span: exceptions are recorded in logs, as the
/// semantic conventions of OpenTelemetry say, and lines have the ids of their span.
pub(super) fn exported<S: Subscriber>() -> impl Filter<S> {
    filter_fn(is_span).with_max_level_hint(LevelFilter::INFO).and(traced())
}

/// Whether it describes a span and not a log line. The method's own path is no `Fn` of every lifetime.
fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
}

/// Filter of the spans that are recorded in sampled traces.
pub(super) fn traced() -> Targets {
    // The job library opens a span for every poll of its tables. The `task` spans of Cinegraph show what a job does.
    Targets::new().with_default(LevelFilter::INFO).with_target("graphile_worker", LevelFilter::OFF)
}

/// The ids of a trace without spans, for responses and log lines of what is not traced. No ids if `OTEL_SDK_DISABLED` is
/// true.
pub(crate) fn trace_without_spans() -> opentelemetry::Context {
    static DISABLED: LazyLock<bool> =
        LazyLock::new(|| std::env::var("OTEL_SDK_DISABLED").is_ok_and(|text| text.eq_ignore_ascii_case("true")));
    let context = opentelemetry::Context::new();
    if *DISABLED {
        return context;
    }
    let ids = RandomIdGenerator::default();
    let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
    let unsampled = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
    context.with_remote_span_context(unsampled)
}

/// Disables spans below an unsampled span, so that they cost nothing, spans above [`SPANS_MAX`], and
/// spans outside of requests and tasks: polls of the queue, of the versions and of servers, which find nothing nearly
/// always.
///
/// This is a layer and not a filter of the trace layer, because the registry creates a span even if the filters of all
/// layers reject it.
///
/// It contains the targets of the spans that are recorded; `None` if traces are disabled, when no span is created.
pub(super) struct SampledSpanFilter(pub(super) Option<Targets>);

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
        // `count_span_within_limit` counts the span, so it comes last: only spans that are recorded count.
        let belongs_to_trace = || match is_sampled() {
            _ if NEW_TRACES.contains(&metadata.name()) => true,
            None => metadata.name() == OPERATION,
            Some(is_sampled) => is_sampled && count_span_within_limit(),
        };
        !metadata.is_span() || self.is_recorded(metadata) && belongs_to_trace()
    }

    /// The level of the most verbose spans. Log lines may be more verbose, since the most verbose hint of all layers
    /// counts.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// Counts one more span of the current operation, and returns whether the limit allows it. Returns true outside an
/// operation, where there is no limit.
pub(crate) fn count_span_within_limit() -> bool {
    OperationUsage::count_span().is_none_or(|spans| spans <= SPANS_MAX)
}

/// Whether spans of an operation were left out of its trace because the limit was reached.
pub(crate) fn is_trace_truncated(usage: &OperationUsage) -> bool {
    usage.spans() > SPANS_MAX
}

/// Whether the current span belongs to a trace that is sampled; `None` outside of a span.
fn is_sampled() -> Option<bool> {
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.is_sampled())
    })
}
