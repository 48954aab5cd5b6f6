//! Counters of telemetry that was not delivered. They are static, because a process has one log, one tracer provider
//! and one registry.

use std::sync::atomic::{AtomicU64, Ordering};

use super::label::{Label, label};

label! {
    /// A kind of telemetry.
    Signal { Spans = "spans", Metrics = "metrics", Logs = "logs" }
}

label! {
    /// Why an item was not delivered.
    DropReason {
        // More arrived than the exporter, or the reader of standard output, could take.
        QueueFull = "queue_full",
        // The collector, or standard output, did not accept it.
        ExportFailed = "export_failed",
        // A repeated log line, left out on purpose.
        RateLimited = "rate_limited",
    }
}

static COUNTS: [[AtomicU64; DropReason::ALL.len()]; Signal::ALL.len()] =
    [const { [const { AtomicU64::new(0) }; DropReason::ALL.len()] }; Signal::ALL.len()];

/// Counts items that were not delivered.
pub(super) fn record(signal: Signal, reason: DropReason, items: usize) {
    COUNTS[signal.index()][reason.index()].fetch_add(items as u64, Ordering::Relaxed);
}

/// Number of items that were not delivered since the process started.
pub(super) fn count(signal: Signal, reason: DropReason) -> u64 {
    COUNTS[signal.index()][reason.index()].load(Ordering::Relaxed)
}

/// All counts. Only log lines are rate-limited.
pub(super) fn counts() -> impl Iterator<Item = (Signal, DropReason, u64)> {
    let pairs = Signal::ALL.iter().flat_map(|&signal| DropReason::ALL.iter().map(move |&reason| (signal, reason)));
    pairs
        .filter(|&(signal, reason)| signal == Signal::Logs || reason != DropReason::RateLimited)
        .map(|(signal, reason)| (signal, reason, count(signal, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_log_lines_are_rate_limited() {
        let limited: Vec<_> = counts().filter(|(_, reason, _)| *reason == DropReason::RateLimited).collect();

        assert_eq!(counts().count(), 7);
        assert!(matches!(limited[..], [(Signal::Logs, ..)]));
    }
}
