//! Metrics of statements and connections: the values of their labels.

use crate::telemetry::label;

label! {
    /// A pool of database connections.
    Pool { Primary = "primary", Replica = "replica" }
}

label! {
    /// State of a pooled connection.
    ConnectionState { Idle = "idle", Used = "used" }
}
