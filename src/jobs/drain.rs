//! `score_drain`: films that have changed get new scores within a second.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Jobs;
use super::instrument::{self, JobOutcome};
use crate::services::drain::{Drain, Step};
use crate::telemetry::Task;

/// How often to look at the queue while it is empty.
const EVERY: Duration = Duration::from_millis(250);

/// How long to wait after a failure; each wait is twice as long as the last, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a success is written down for the next start, and for other instances.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// Drains the queue whenever there is something in it, until `stop`. A batch that is under way then is undone, and done
/// by the next to drain.
pub(super) async fn run(jobs: Jobs, stop: CancellationToken) {
    // Of how often other instances hear of a success, and scrapes see one; 250 ms would always seem missed.
    jobs.metrics.task_interval(Task::ScoreDrain, NOTED_EVERY);
    stop.run_until_cancelled_owned(Box::pin(run_loop(jobs))).await;
}

async fn run_loop(jobs: Jobs) {
    let mut drain = Drain::of(&jobs.store);
    let (mut runs, mut pause) = (0_u64, FIRST_PAUSE);
    let mut noted: Option<Instant> = None;
    loop {
        match poll_once(&jobs, &mut drain, &mut runs).await {
            Ok(true) => pause = FIRST_PAUSE,
            Ok(false) => {
                pause = FIRST_PAUSE;
                instrument::succeeded(Task::ScoreDrain, &jobs.metrics, &jobs.clock);
                if noted.is_none_or(|at| at.elapsed() > NOTED_EVERY)
                    && jobs.store.note_success(Task::ScoreDrain).await.is_ok()
                {
                    noted = Some(Instant::now());
                }
                tokio::time::sleep(EVERY).await;
            }
            Err(()) => {
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }
    }
}

/// One look at the queue, and one step where something waits. Whether more may wait; what failed is in the log.
async fn poll_once(jobs: &Jobs, drain: &mut Drain, runs: &mut u64) -> Result<bool, ()> {
    match drain.is_due().await {
        Ok(false) => return Ok(false),
        Ok(true) => {}
        Err(error) => {
            tracing::warn!(%error, "the queue of changed films cannot be looked at; trying again");
            return Err(());
        }
    }
    *runs += 1;
    let step = async {
        Ok(match drain.step().await? {
            Step::Drained { films, .. } => JobOutcome::Done(films),
            Step::Idle => JobOutcome::Done(0),
            Step::Elsewhere => JobOutcome::Skipped,
        })
    };
    let ended = instrument::run(Task::ScoreDrain, &runs.to_string(), &jobs.metrics, &jobs.clock, step).await;
    match ended {
        Ok(ended) => Ok(ended != JobOutcome::Skipped),
        Err(_) => Err(()),
    }
}
