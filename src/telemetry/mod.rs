//! Telemetry: what the service tells those who run it.
//!
//! [`metrics`] names everything that is measured; [`Metrics`] keeps it and hands out guards; [`init`] starts the logs
//! and traces. Imports nothing of ours and may be used from any storey but `scoring`.

mod guards;
mod logs;
pub mod metrics;
mod registry;

pub use guards::{FieldGuard, HttpRequestGuard, OperationGuard, StatementGuard, TaskGuard, WaitGuard};
pub use logs::{LogFormat, LogOutput, TelemetryError, TelemetryGuard, init, subscriber};
pub use metrics::{DbError, Done, ErrorCode, Label, Method, OperationType, Outcome, Pool, Slo, Task, TaskOutcome};
pub use registry::{Inventory, Metrics};
