//! What an operation spends, gathered while it runs: statements and their time, for its log line, and spans, of which one
//! operation gets only so many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::context::FutureExt;
use tracing::Instrument;

/// The most spans below that of an operation; with it and the request's that makes a hundred.
const SPANS: u32 = 98;

tokio::task_local! {
    static CURRENT: Arc<OperationUsage>;
}

/// Statements and their time, and spans, so far.
#[derive(Debug, Default)]
pub struct OperationUsage {
    statements: AtomicU64,
    nanoseconds: AtomicU64,
    spans: AtomicU32,
}

impl OperationUsage {
    /// Runs `work`, whose statements are counted here.
    pub async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Statements so far.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Their time, summed: several may run at once.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// Whether its trace lacks spans, because they were too many.
    #[must_use]
    pub fn is_trace_truncated(&self) -> bool {
        self.spans.load(Ordering::Relaxed) > SPANS
    }

    /// Whether whatever this task works for may have another span, which is counted.
    pub(super) fn allows_span() -> bool {
        CURRENT.try_with(|usage| usage.spans.fetch_add(1, Ordering::Relaxed) < SPANS).unwrap_or(true)
    }

    /// Counts a statement for whatever this task works for.
    pub(super) fn record_statement(took: Duration) {
        // Work for nobody in particular is not counted.
        let _ = CURRENT.try_with(|usage| {
            usage.statements.fetch_add(1, Ordering::Relaxed);
            usage.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        });
    }
}

/// `work` for a task of its own that works for the same operation as this one, in the same trace.
pub fn in_current_operation<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let usage = CURRENT.try_with(Arc::clone).unwrap_or_default();
    usage.scope(work).in_current_span().with_current_context()
}
