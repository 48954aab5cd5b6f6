//! Progress of long work: a bar on a terminal, otherwise lines of text, or log lines of a service.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use tokio::task::AbortHandle;
use tokio::time::interval;

use super::visible::visible_line;

/// Time between two lines, also of different steps. A choice: frequent enough to show that work goes on.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How often a bar is drawn, so that its elapsed time moves while a long statement runs.
const DRAW_EVERY: Duration = Duration::from_millis(250);

const COUNTED: &str = "{msg:28} {wide_bar} {human_pos}/{human_len} {elapsed}{left}";
const UNCOUNTED: &str = "{msg:28} {spinner} {elapsed}";

/// Shows a progress bar for each step, one after the other. If standard error is not a terminal, writes lines of text
/// there instead, and a service writes log lines.
pub(super) struct Steps {
    is_text: bool,
    current: Arc<Mutex<Option<Step>>>,
    /// The task that writes lines.
    reporter: AbortHandle,
}

/// The current step. Its bar counts also while it is hidden.
struct Step {
    name: String,
    bar: ProgressBar,
    is_counted: bool,
}

impl Steps {
    /// `is_text`: bars and lines of text, otherwise log lines.
    pub(super) fn new(is_text: bool) -> Self {
        let current = Arc::default();
        let reporter = tokio::spawn(report(Arc::clone(&current), is_text)).abort_handle();
        Self { is_text, current, reporter }
    }

    /// Shows how far a step is. `total` is 0 if it is unknown, as for a single statement. A name that differs from that
    /// of the current step begins a new step.
    pub(super) fn at(&mut self, name: &str, done: u64, total: u64) {
        let mut current = lock(&self.current);
        if current.as_ref().is_none_or(|step| step.name != name) {
            clear(&mut current);
            let bar = if self.is_text { bar(name) } else { ProgressBar::hidden() };
            *current = Some(Step { name: name.to_owned(), bar, is_counted: false });
        }
        if let Some(Step { bar, is_counted, .. }) = &mut *current {
            bar.set_length(total);
            bar.set_position(done);
            // Until something is done, and in a single statement, a counter would stand still.
            if !*is_counted && done > 0 && total > 1 {
                *is_counted = true;
                if let Ok(style) = ProgressStyle::with_template(COUNTED) {
                    bar.set_style(style.with_key("left", left));
                }
            }
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&mut self) {
        clear(&mut lock(&self.current));
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.reporter.abort();
        // After an error, whose message is to stand on a line of its own.
        self.finish();
    }
}

fn bar(name: &str) -> ProgressBar {
    let mut bar = ProgressBar::new(0).with_message(visible_line(name).into_owned());
    // Before anything is drawn.
    if let Ok(style) = ProgressStyle::with_template(UNCOUNTED) {
        bar = bar.with_style(style);
    }
    // Not on a bar that is hidden because standard error is not a terminal.
    if !bar.is_hidden() {
        bar.enable_steady_tick(DRAW_EVERY);
    }
    bar
}

/// The estimated time left; nothing while there is no estimate, and at the end.
fn left(state: &ProgressState, text: &mut dyn fmt::Write) {
    let left = Duration::from_secs(state.eta().as_secs());
    if !left.is_zero() {
        // The text is in memory, where writing does not fail.
        let _ = write!(text, ", {:#} left", HumanDuration(left));
    }
}

fn clear(current: &mut Option<Step>) {
    if let Some(Step { bar, .. }) = current.take() {
        bar.finish_and_clear();
    }
}

/// Reports the current step again and again, if its bar is hidden: it also shows that a statement is still running.
async fn report(current: Arc<Mutex<Option<Step>>>, is_text: bool) {
    let mut ticks = interval(REPORT_EVERY);
    // The first one comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Some(Step { name, bar, is_counted }) = &*lock(&current)
            && bar.is_hidden()
        {
            let (done, seconds) = (bar.position(), bar.elapsed().as_secs());
            let total = bar.length().filter(|total| *total > 0);
            match total.filter(|_| *is_counted) {
                _ if !is_text => tracing::info!(step = name, done, total, seconds, "progress"),
                Some(total) => write_line(&format!("{name}: {done} of {total}, {seconds} s")),
                None => write_line(&format!("{name}: {seconds} s")),
            }
        }
    }
}

fn write_line(text: &str) {
    // If standard error is closed, nobody follows the progress.
    let _ = writeln!(io::stderr(), "{}", visible_line(text));
}

fn lock(current: &Mutex<Option<Step>>) -> MutexGuard<'_, Option<Step>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
