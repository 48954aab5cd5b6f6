//! Waiting for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Far longer than anything that a test waits for takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is yes.
///
/// # Panics
/// When it does not become yes.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "still not: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
