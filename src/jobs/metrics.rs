//! Metrics of background tasks: the values of their labels.

use crate::telemetry::label;

label! {
    /// How a background task ended; `skipped`: another instance held the lock.
    TaskOutcome { Ok = "ok", Error = "error", Skipped = "skipped" }
}
