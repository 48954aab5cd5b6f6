//! Long computations beside requests.

use std::ops::ControlFlow;

use rustix::process::setpriority_process;
use tokio::sync::{mpsc, oneshot};

use crate::scoring::learned::Interrupted;

/// Priority of the thread, from -20 to 19. A choice: the scheduler gives it a tenth of what a request's thread gets.
const NICENESS: i32 = 10;

/// How far a computation is, from 0 to 1. Reporting it also tells whether to go on.
pub(super) type Report<'a> = &'a mut dyn FnMut(f64) -> ControlFlow<()>;

/// Runs a computation on a thread of its own, of low priority. If the returned future is dropped, `report` breaks, and the
/// computation ends with [`Interrupted`] soon after.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce(Report<'_>) -> Result<T, Interrupted> + Send + 'static,
    progress: &mut (dyn FnMut(f64) + Send),
) -> Result<T, Interrupted> {
    let (report, mut reports) = mpsc::unbounded_channel();
    let (result, computed) = oneshot::channel();
    std::thread::spawn(move || {
        // On Linux, 0 is the calling thread. Where the priority cannot be lowered, the computation runs at the usual one.
        let _ = setpriority_process(None, NICENESS);
        let mut go_on = |done| match report.send(done) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        // The receiver is gone if nobody waits any more.
        let _ = result.send(work(&mut go_on));
    });
    while let Some(done) = reports.recv().await {
        progress(done);
    }
    // The sender is dropped without a result only if the thread panicked.
    computed.await.unwrap_or(Err(Interrupted))
}

/// Whether a report lets the computation go on.
///
/// # Errors
/// [`Interrupted`] if not.
pub(super) fn go_on(flow: ControlFlow<()>) -> Result<(), Interrupted> {
    if flow.is_break() { Err(Interrupted) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_future_interrupts_the_computation() {
        let (ended, end) = oneshot::channel();
        let (started, mut start) = mpsc::unbounded_channel();
        let work = move |report: Report<'_>| {
            while report(0.5).is_continue() {
                let _ = started.send(());
                std::thread::yield_now();
            }
            let _ = ended.send(());
            Err::<(), _>(Interrupted)
        };
        let running = tokio::spawn(async move { run(work, &mut |_| ()).await });
        start.recv().await.unwrap();
        running.abort();
        end.await.unwrap();
    }

    #[tokio::test]
    async fn progress_and_result_arrive() {
        let mut seen = vec![];
        let work = |report: Report<'_>| {
            let _ = report(0.25);
            let _ = report(1.0);
            Ok(7)
        };
        assert_eq!(run(work, &mut |done| seen.push(done)).await, Ok(7));
        assert_eq!(seen, [0.25, 1.0]);
    }
}
