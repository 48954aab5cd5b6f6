//! Progress of long work: a bar on a terminal, log lines otherwise.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::AbortHandle;
use tokio::time::interval;

use super::visible::visible_line;

/// Time between two log lines, also of different steps. A choice: frequent enough to show that work goes on.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How often a bar is drawn, so that its elapsed time moves while a long statement runs.
const DRAW_EVERY: Duration = Duration::from_millis(250);

const COUNTED: &str = "{msg:28} {wide_bar} {human_pos}/{human_len} {elapsed}";
const UNCOUNTED: &str = "{msg:28} {spinner} {elapsed}";

/// Shows a progress bar for each step, one after the other. Writes log lines instead if bars are not wanted or standard
/// error is not a terminal.
pub(super) struct Steps {
    /// Whether bars are wanted.
    bars: bool,
    current: Arc<Mutex<Option<Step>>>,
    /// The task that writes log lines.
    logger: AbortHandle,
}

/// The current step. Its bar counts also while it is hidden.
struct Step {
    name: String,
    bar: ProgressBar,
}

impl Steps {
    pub(super) fn new(bars: bool) -> Self {
        let current = Arc::default();
        let logger = tokio::spawn(log(Arc::clone(&current))).abort_handle();
        Self { bars, current, logger }
    }

    /// Shows how far a step is. `total` is 0 if it is unknown, as for a single statement. A name that differs from that
    /// of the current step begins a new step.
    pub(super) fn at(&mut self, name: &str, done: u64, total: u64) {
        let mut current = lock(&self.current);
        if current.as_ref().is_none_or(|step| step.name != name) {
            clear(&mut current);
            let bar = if self.bars { bar(name, total) } else { ProgressBar::hidden() };
            *current = Some(Step { name: name.to_owned(), bar });
        }
        if let Some(Step { bar, .. }) = &*current {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&mut self) {
        clear(&mut lock(&self.current));
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.logger.abort();
    }
}

fn bar(name: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(if total == 0 { UNCOUNTED } else { COUNTED });
    let bar = ProgressBar::new(0).with_message(visible_line(name).into_owned());
    // Not on a bar that is hidden because standard error is not a terminal.
    if !bar.is_hidden() {
        bar.enable_steady_tick(DRAW_EVERY);
    }
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn clear(current: &mut Option<Step>) {
    if let Some(Step { bar, .. }) = current.take() {
        bar.finish_and_clear();
    }
}

/// Logs the current step again and again, if its bar is hidden: it also shows that a statement is still running.
async fn log(current: Arc<Mutex<Option<Step>>>) {
    let mut ticks = interval(LOG_EVERY);
    // The first one comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Some(Step { name, bar }) = &*lock(&current)
            && bar.is_hidden()
        {
            let (done, seconds) = (bar.position(), bar.elapsed().as_secs());
            let total = bar.length().filter(|total| *total > 0);
            tracing::info!(step = name, done, total, seconds, "progress");
        }
    }
}

fn lock(current: &Mutex<Option<Step>>) -> MutexGuard<'_, Option<Step>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
