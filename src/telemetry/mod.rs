//! Telemetry: metrics, logs and traces.
//!
//! [`catalogue`] defines every metric; a [`Recorder`] creates the instruments that each area of the crate records in;
//! [`init()`] starts logs and traces, and what is exported by OTLP. This module knows no domain: it imports no other
//! module of Cinegraph, and every layer except `versions` may use it.

pub mod catalogue;
mod dropped;
mod error_causes;
mod log_format;
mod log_writer;
mod metric_label;
mod metric_recorder;
mod operation_usage;
mod otlp;
mod outage_log;
mod panics;
mod process;
mod rate_limit;
mod readable;
mod reference;
mod sampled_spans;
mod schedule_delay;
mod scrape;
mod subscriber;

pub use dropped::{DropReason, Signal};
pub(crate) use error_causes::with_causes;
pub use log_format::LogFormat;
pub(crate) use metric_label::label;
pub use metric_label::{Label, Status};
pub use metric_recorder::Recorder;
pub(crate) use metric_recorder::{ByLabel, ByName, integer, number};
pub(crate) use metrics::{Counter, Gauge, Histogram};
pub use operation_usage::{OperationUsage, in_current_operation};
pub(crate) use otlp::reads_trace_context;
pub(crate) use outage_log::OutageLog;
pub use panics::log_panics;
pub(crate) use readable::{ReadableCounter, ReadableGauge};
pub use reference::markdown;
pub(crate) use sampled_spans::{count_span_within_limit, is_trace_truncated, trace_without_spans};
pub use schedule_delay::ScheduleDelay;
pub use subscriber::{LogOutput, TelemetryError, TelemetryGuard, init, subscriber, tracer};
