//! Resource usage of a running operation: its statements and their time, which its log line shows, and its spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::context::FutureExt;
use tracing::Instrument;

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

    /// Number of spans counted until now.
    pub(super) fn spans(&self) -> u32 {
        self.spans.load(Ordering::Relaxed)
    }

    /// Counts one more span of the current operation, and returns their number with it; `None` outside an operation.
    pub(super) fn count_span() -> Option<u32> {
        CURRENT.try_with(|usage| usage.spans.fetch_add(1, Ordering::Relaxed) + 1).ok()
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
