//! How late the runtime wakes tasks. No histogram of requests sees that the process gets too little CPU: a request that
//! waits for a worker has not begun yet.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::catalogue;
use super::metric_recorder::Recorder;
use metrics::Histogram;

/// How long the task sleeps: short enough that a scrape sees many wakes, long enough that they cost nothing.
const SLEEP: Duration = Duration::from_millis(250);

/// Measures how late a sleeping task wakes.
#[derive(Debug, Clone)]
pub struct ScheduleDelay(Histogram);

impl ScheduleDelay {
    /// The histogram of the delays.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(recorder.histogram(&catalogue::SCHEDULE_DELAY, &[]))
    }

    /// Measures the runtime that this runs on, until it is dropped.
    pub async fn measure(self) {
        loop {
            let due = Instant::now() + SLEEP;
            sleep_until(due).await;
            self.0.record(due.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_kept_busy_wakes_tasks_late() {
        let recorder = Recorder::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(ScheduleDelay::new(&recorder).measure());
            tokio::task::yield_now().await;
            // The only thread: the task cannot wake before this ends.
            std::thread::sleep(SLEEP + Duration::from_millis(600));
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        let text = recorder.render();
        let at_most = |bound| format!("tokio_schedule_delay_seconds_bucket{{le=\"{bound}\"}}");
        assert!(text.contains(&format!("{} 0", at_most("0.5"))), "{text}");
        assert!(text.contains("tokio_schedule_delay_seconds_count 1"), "{text}");
    }
}
