//! Resource usage of a running operation: its statements and their time, which its log line shows, and its spans, whose
//! number is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::context::FutureExt;
use tracing::Instrument;

/// Maximum number of spans below the span of an operation. Together with the span of the operation and that of the
/// request, a trace has at most 100. That number is a choice: far more than usual operations need, and few enough that
/// one operation does not fill the export queue.
const SPANS_MAX: u32 = 98;

tokio::task_local! {
    static CURRENT: Arc<OperationUsage>;
}

/// Counts the statements, their time and the spans of one operation.
#[derive(Debug, Default)]
pub struct OperationUsage {
    statements: AtomicU64,
    nanoseconds: AtomicU64,
    spans: AtomicU32,
}

impl OperationUsage {
    /// Runs `work`, and counts its statements and spans in this usage.
    pub async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Number of statements executed until now.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Sum of the statements' times. May exceed the elapsed time, since statements run concurrently.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// Whether spans were left out of the trace because the limit was reached.
    #[must_use]
    pub fn is_trace_truncated(&self) -> bool {
        self.spans.load(Ordering::Relaxed) > SPANS_MAX
    }

    /// Counts one more span of the current operation, and returns whether the limit allows it. Returns true outside an
    /// operation, where there is no limit.
    pub(crate) fn count_span_within_limit() -> bool {
        CURRENT.try_with(|usage| usage.spans.fetch_add(1, Ordering::Relaxed) < SPANS_MAX).unwrap_or(true)
    }

    /// Number of statements that the current operation has executed until now; 0 outside an operation.
    #[must_use]
    pub fn current_statements() -> u64 {
        CURRENT.try_with(|usage| usage.statements()).unwrap_or(0)
    }

    /// Counts a statement of the current operation.
    pub(crate) fn record_statement(took: Duration) {
        // Outside an operation, for example in a background task, there is no log line to count for.
        let _ = CURRENT.try_with(|usage| {
            usage.statements.fetch_add(1, Ordering::Relaxed);
            usage.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        });
    }
}

/// Wraps `work` for a spawned task, so that it counts for the current operation and belongs to its trace. Outside an
/// operation, it gets a usage of its own, which nobody reads.
pub fn in_current_operation<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let usage = CURRENT.try_with(Arc::clone).unwrap_or_default();
    usage.scope(work).in_current_span().with_current_context()
}
