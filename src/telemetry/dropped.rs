//! Counters of telemetry that was not delivered. They are static, because a process has one log, one tracer provider
//! and one registry.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::metric_label::{Label, label};

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

/// Counts what waits for an exporter, and rejects what exceeds the limit.
///
/// The batch processors of the SDK bound their queues too, but do not report how many items they drop. Their queues have
/// the same limit, and an item leaves them before it is released here, so this gate is always the first to be full: what
/// the processors are given, they export.
#[derive(Debug)]
pub(super) struct QueueGate {
    signal: Signal,
    limit: usize,
    waiting: AtomicUsize,
}

impl QueueGate {
    pub(super) fn new(signal: Signal, limit: usize) -> Self {
        Self { signal, limit, waiting: AtomicUsize::new(0) }
    }

    /// Whether one more item may be queued. Otherwise it is counted as dropped.
    pub(super) fn admits(&self) -> bool {
        let one_more = |waiting| (waiting < self.limit).then_some(waiting + 1);
        let is_admitted = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok();
        if !is_admitted {
            record(self.signal, DropReason::QueueFull, 1);
        }
        is_admitted
    }

    /// Makes room after these items have left the queue.
    pub(super) fn release(&self, items: usize) {
        self.waiting.fetch_sub(items, Ordering::AcqRel);
    }

    /// Admits nothing from now on, and counts what is still waiting as not exported.
    pub(super) fn close(&self) {
        let waiting = self.waiting.swap(usize::MAX / 2, Ordering::AcqRel);
        record(self.signal, DropReason::ExportFailed, waiting.min(self.limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_counts_what_it_rejects() {
        let gate = QueueGate::new(Signal::Metrics, 2);
        let before = count(Signal::Metrics, DropReason::QueueFull);

        let admitted = [gate.admits(), gate.admits(), gate.admits()];
        gate.release(1);

        assert_eq!(admitted, [true, true, false]);
        assert!(gate.admits());
        assert_eq!(count(Signal::Metrics, DropReason::QueueFull) - before, 1);
    }

    #[test]
    fn a_closed_gate_counts_what_still_waits() {
        let gate = QueueGate::new(Signal::Metrics, 8);
        assert!(gate.admits() && gate.admits());
        let before = count(Signal::Metrics, DropReason::ExportFailed);

        gate.close();

        assert_eq!(count(Signal::Metrics, DropReason::ExportFailed) - before, 2);
        assert!(!gate.admits());
    }

    #[test]
    fn only_log_lines_are_rate_limited() {
        let limited: Vec<_> = counts().filter(|(_, reason, _)| *reason == DropReason::RateLimited).collect();

        assert_eq!(counts().count(), 7);
        assert!(matches!(limited[..], [(Signal::Logs, ..)]));
    }
}
