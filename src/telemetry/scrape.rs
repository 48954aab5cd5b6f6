//! Renders the text of all metrics, as a scrape by Prometheus receives it.

use std::fmt::Write as _;

use super::catalogue::{self, Definition};
use super::metric_label::Label as _;
use super::metric_recorder::Recorder;
use super::{dropped, process};

impl Recorder {
    /// Samples the metrics of the process and of its runtime, then renders all metrics in Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let busy_seconds = process::sample_runtime(self);
        let cpu_seconds = process::sample_process(self);
        #[cfg(feature = "jemalloc")]
        process::sample_allocator(self);
        for (signal, reason, count) in dropped::counts() {
            self.counter(&catalogue::TELEMETRY_DROPPED, &[signal.as_str(), reason.as_str()]).absolute(count);
        }
        // The exporter writes numbers as Rust does; the format knows infinity by another name.
        let mut text = self.export().replace(" inf\n", " +Inf\n");
        write_seconds(&mut text, &catalogue::PROCESS_CPU, cpu_seconds);
        write_seconds(&mut text, &catalogue::TOKIO_BUSY, busy_seconds);
        text
    }

    /// Records the running build: the version of this crate, the revision of its source, and a hash of the GraphQL
    /// schema.
    pub fn build_info(&self, revision: &str, schema_hash: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.gauge(&catalogue::BUILD_INFO, &[version, revision, schema_hash]).set(1.0);
    }
}

/// Appends a counter of seconds to `text`. It does not go through the exporter, whose counters are integers: whole
/// seconds are too coarse for the rate of CPU time.
fn write_seconds(text: &mut String, metric: &Definition, value: f64) {
    let Definition { name, help, .. } = metric;
    let written = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n\n");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
