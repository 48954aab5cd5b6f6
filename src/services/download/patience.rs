//! Time limits and retries of a download.

use std::time::Duration;

/// When a download waits, retries and gives up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long the server may send nothing.
    pub read_timeout: Duration,
    /// Maximum number of attempts in a row that fetch less than a MiB each.
    pub attempts: u32,
    /// Pause after the first failed attempt; it doubles with each further one.
    pub first_pause: Duration,
}

impl Default for Patience {
    /// Choices: with eight attempts and their pauses, a download survives an interruption of about a minute.
    fn default() -> Self {
        Self { read_timeout: Duration::from_secs(30), attempts: 8, first_pause: Duration::from_millis(500) }
    }
}
