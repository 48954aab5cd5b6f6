//! Which spans are recorded: those of sampled traces, up to a limit per operation.

use opentelemetry::trace::TraceContextExt;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};

use super::usage::OperationUsage;

/// Names of spans that start a trace of their own, even if the current span is unsampled: background refreshes and
/// tasks.
const NEW_TRACES: [&str; 2] = ["revalidate", "task"];

/// Filter of the spans that are recorded in sampled traces.
pub(super) fn traced() -> Targets {
    // The job library opens a span for every poll of its tables. The `task` spans of Cinegraph show what a job does.
    Targets::new().with_default(LevelFilter::INFO).with_target("graphile_worker", LevelFilter::OFF)
}

/// Disables spans below an unsampled span, so that they cost nothing, and spans above the limit of [`OperationUsage`].
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
        let starts_trace = || NEW_TRACES.contains(&metadata.name());
        !metadata.is_span()
            || self.is_recorded(metadata)
                && (starts_trace() || !is_unsampled() && OperationUsage::count_span_within_limit())
    }

    /// The level of the most verbose spans. Log lines may be more verbose, since the most verbose hint of all layers
    /// counts.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// Whether the current span belongs to a trace that is not sampled.
fn is_unsampled() -> bool {
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid() && !span.is_sampled()
    })
}
