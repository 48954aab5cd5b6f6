//! Counters and gauges that the service itself reads, for `/status` and reports. They keep a copy of the value, because
//! the exported instruments are write-only.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, GaugeFn as _};

/// A counter that can be read.
#[derive(Debug)]
pub(crate) struct ReadableCounter {
    exported: Counter,
    value: AtomicU64,
}

impl ReadableCounter {
    pub(crate) fn increment(&self, by: u64) {
        self.exported.increment(by);
        self.value.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl From<Counter> for ReadableCounter {
    fn from(exported: Counter) -> Self {
        Self { exported, value: AtomicU64::new(0) }
    }
}

/// A gauge that can be read.
#[derive(Debug)]
pub(crate) struct ReadableGauge {
    exported: Gauge,
    /// The bits of an `f64`: in this form `AtomicU64` implements [`GaugeFn`](metrics::GaugeFn).
    value: AtomicU64,
}

impl ReadableGauge {
    pub(crate) fn set(&self, value: f64) {
        self.exported.set(value);
        self.value.set(value);
    }

    pub(crate) fn increment(&self, by: f64) {
        self.exported.increment(by);
        self.value.increment(by);
    }

    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }
}

impl From<Gauge> for ReadableGauge {
    fn from(exported: Gauge) -> Self {
        Self { exported, value: AtomicU64::new(0) }
    }
}
