//! OpenTelemetry: traces, metrics and logs by OTLP, configured by the standard `OTEL_*` variables.
//!
//! [`Pipeline`] has the providers of the SDK. Their batch processors hand batches to a [`client`], one for
//! each signal, which sends them from a thread of its own. Queues are bounded and what they cannot take is counted, so a
//! slow or unavailable collector delays no request.

mod attribute_limits;
mod client;
mod connection;
mod error;
mod logs;
mod message;
mod metric_conversion;
mod metrics;
mod pipeline;
mod settings;
mod spans;
mod target;
mod thread;
mod tls;
mod variables;

pub(super) use pipeline::Pipeline;
pub(crate) use pipeline::reads_trace_context;
