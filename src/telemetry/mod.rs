//! Telemetry: metrics, logs and traces.
//!
//! [`metrics`] defines every metric; [`Metrics`] records them and returns guards; [`init`] starts logs and traces. This
//! module imports no other module of Cinegraph, and every layer except `scoring` may use it.

mod caches;
mod export;
mod guards;
mod log_writer;
mod logs;
pub mod metrics;
mod process;
mod registry;
mod usage;

pub use caches::revalidation_span;
pub use guards::{
    FieldGuard, HttpRequestGuard, OperationGuard, StatementGuard, SubscriptionGuard, TaskGuard, WaitGuard,
};
pub use logs::{LogFormat, LogOutput, TelemetryError, TelemetryGuard, init, subscriber, tracer};
pub(crate) use metrics::label;
pub use metrics::{BreakerName, BreakerState, Label, Status};
pub use registry::{Inventory, Metrics};
pub use usage::{OperationUsage, in_current_operation};
