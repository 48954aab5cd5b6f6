//! A scrape: the text of all metrics.

use std::fmt::Write as _;

use super::catalogue::{self, Definition};
use super::recorder::Recorder;
use super::{dropped, process};

impl Recorder {
    /// Renders all metrics in Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let busy_seconds = process::sample_runtime(self);
        let cpu_seconds = process::sample_process(self);
        #[cfg(feature = "jemalloc")]
        process::sample_allocator(self);
        for (signal, count) in [("spans", dropped::spans()), ("logs", dropped::lines())] {
            self.counter(&catalogue::TELEMETRY_DROPPED, &[signal]).absolute(count);
        }
        let mut text = self.export();
        write_seconds(&mut text, &catalogue::PROCESS_CPU, cpu_seconds);
        write_seconds(&mut text, &catalogue::TOKIO_BUSY, busy_seconds);
        text
    }

    /// Sets the labels of the build info metric.
    pub fn build_info(&self, revision: &str, schema_hash: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.gauge(&catalogue::BUILD_INFO, &[version, revision, schema_hash]).set(1.0);
    }
}

/// Appends a counter of seconds to `text`. The exporter's counters are integers, too coarse for a rate of seconds.
fn write_seconds(text: &mut String, metric: &Definition, value: f64) {
    let Definition { name, help, .. } = metric;
    let written = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n\n");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
