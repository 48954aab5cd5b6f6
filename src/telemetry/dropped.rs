//! Counters of dropped telemetry. They are static, because a process has one log and one tracer provider.

use std::sync::atomic::{AtomicU64, Ordering};

static SPANS: AtomicU64 = AtomicU64::new(0);
static LINES: AtomicU64 = AtomicU64::new(0);

/// Number of spans that were dropped since the process started, because the queue was full or an export failed.
pub(super) fn spans() -> u64 {
    SPANS.load(Ordering::Relaxed)
}

/// Counts dropped spans.
pub(super) fn record_spans(spans: usize) {
    SPANS.fetch_add(spans as u64, Ordering::Relaxed);
}

/// Number of log lines that were rate-limited or could not be written since the process started.
pub(super) fn lines() -> u64 {
    LINES.load(Ordering::Relaxed)
}

/// Counts log lines that were rate-limited or could not be written.
pub(super) fn record_lines(lines: usize) {
    LINES.fetch_add(lines as u64, Ordering::Relaxed);
}
