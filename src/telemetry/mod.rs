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
    FieldGuard, HttpRequestGuard, OperationEnd, OperationGuard, StatementGuard, SubscriptionGuard, TaskGuard, WaitGuard,
};
pub use logs::{LogFormat, LogOutput, TelemetryError, TelemetryGuard, init, subscriber, tracer};
pub use metrics::{
    BreakerName, BreakerState, CacheName, CacheOperation, DbError, Done, Dropped, ErrorCode, Eviction, Fallback,
    FlightRole, Label, Layer, LayerResult, Lookup, Method, OperationType, Outcome, PagePhase, Phase, Pool, Rejection,
    Revalidation, Slo, Source, Task, TaskOutcome, WriteReason,
};
pub use registry::{Inventory, Metrics};
pub use usage::{OperationUsage, in_current_operation};
