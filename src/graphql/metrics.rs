//! Metrics of operations: the values of their labels.

use crate::cache::DataSource;
use crate::telemetry::label;

label! {
    /// The type of an operation; unknown until its document is parsed.
    OperationType { Query = "query", Mutation = "mutation", Subscription = "subscription", Unknown = "unknown" }
}

label! {
    /// How an operation ended: `partial` is data with a server error, `rejected` is a client error.
    Outcome { Ok = "ok", Partial = "partial", Error = "error", Rejected = "rejected", Cancelled = "cancelled" }
}

label! {
    /// A phase of an operation, in order.
    Phase { Parse = "parse", Validate = "validate", Execute = "execute" }
}

label! {
    /// Why an operation was rejected before execution.
    Rejection {
        Syntax = "syntax",
        Validation = "validation",
        Depth = "depth",
        Complexity = "complexity",
        Auth = "auth",
        RateLimit = "rate_limit",
        TooLarge = "too_large",
    }
}

label! {
    /// Why a subscription was ended or rejected: slow client, too many subscriptions, shutdown or an error.
    Dropped { Slow = "slow", Limit = "limit", Shutdown = "shutdown", Error = "error" }
}

impl Outcome {
    /// Outcome of an operation whose future is dropped: an error during a panic, otherwise cancelled by the client.
    #[must_use]
    pub fn abandoned() -> Self {
        if std::thread::panicking() { Self::Error } else { Self::Cancelled }
    }
}

/// How the operation of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationEnd {
    /// Success, or the kind of failure.
    pub outcome: Outcome,
    /// The slowest source used, if all root fields are predictions.
    pub prediction: Option<DataSource>,
}
