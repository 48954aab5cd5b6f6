//! `score_drain`: recomputes the scores of changed movies within a second.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::dependencies::Jobs;
use super::task_telemetry::{self, JobOutcome};
use crate::services::drain::{Drain, Step};
use crate::store::Task;
use crate::telemetry::Label as _;

/// Polling interval while the queue is empty. A choice: changed movies must be rescored within a second, and a poll is
/// one cheap statement.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Pause after the first failure; it doubles with each further failure, up to [`LONGEST_PAUSE`]. Both are choices: an
/// unavailable database is not polled often, and the drain continues soon after it is available again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a success is stored in the database, where the next start and other instances read it. Storing each of
/// four successes per second would be a useless load.
const RECORD_INTERVAL: Duration = Duration::from_mins(1);

/// Drains the queue whenever it is not empty, until `stop`. A batch in progress is then rolled back, and recomputed by
/// the next drain.
pub(super) async fn run(jobs: Jobs, stop: CancellationToken) {
    // An alert compares this interval with the age of the last success. Other instances learn of a success only when it
    // is stored, and scrapes are seconds apart, so the polling interval would make a run look missed all the time.
    jobs.metrics.set_interval(Task::ScoreDrain, RECORD_INTERVAL);
    stop.run_until_cancelled_owned(Box::pin(run_loop(jobs))).await;
}

async fn run_loop(jobs: Jobs) {
    let mut drain = Drain::of(&jobs.store);
    let (mut runs, mut pause) = (0_u64, FIRST_PAUSE);
    let mut recorded_at: Option<Instant> = None;
    loop {
        match poll_once(&jobs, &mut drain, &mut runs).await {
            Ok(true) => pause = FIRST_PAUSE,
            Ok(false) => {
                pause = FIRST_PAUSE;
                jobs.metrics.succeeded(Task::ScoreDrain, jobs.clock.now());
                if recorded_at.is_none_or(|at| at.elapsed() > RECORD_INTERVAL)
                    && jobs.store.record_success(Task::ScoreDrain).await.is_ok()
                {
                    recorded_at = Some(Instant::now());
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(()) => {
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }
    }
}

/// Polls the queue once, and runs one step if it is not empty. Returns false if the queue is empty or another instance
/// drains it, true if more may be queued. `runs` counts the steps and names them in logs and traces. Failures are
/// already logged.
async fn poll_once(jobs: &Jobs, drain: &mut Drain, runs: &mut u64) -> Result<bool, ()> {
    match drain.is_due().await {
        Ok(false) => return Ok(false),
        Ok(true) => {}
        Err(error) => {
            tracing::warn!(task = Task::ScoreDrain.as_str(), %error, "cannot read the score queue; retrying");
            return Err(());
        }
    }
    *runs += 1;
    let step = async {
        Ok(match drain.step().await? {
            Step::Drained { movies, .. } => JobOutcome::Done(movies),
            Step::Idle => JobOutcome::Done(0),
            Step::Elsewhere => JobOutcome::Skipped,
        })
    };
    let ended = task_telemetry::run(Task::ScoreDrain, &runs.to_string(), &jobs.metrics, &jobs.clock, step).await;
    match ended {
        Ok(ended) => Ok(ended != JobOutcome::Skipped),
        Err(_) => Err(()),
    }
}
