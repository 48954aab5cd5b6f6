//! Waiting for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Far longer than any condition of a test takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until the condition holds.
///
/// # Panics
/// If it does not hold within 30 seconds.
pub(crate) async fn until(what: &str, is_so: impl AsyncFnMut() -> bool) {
    within(PATIENCE, what, is_so).await;
}

/// Polls until the condition holds.
///
/// # Panics
/// If it does not hold within `limit`.
pub(crate) async fn within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !is_so().await {
        assert!(Instant::now() < end, "timed out waiting until: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
