//! Progress of long work: a bar on a terminal, log lines otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::visible::visible_line;

/// Minimum time between two log lines, also of different steps. A choice: frequent enough to show that work goes on.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows a progress bar for each step, one after the other. Writes log lines instead if bars are not wanted or standard
/// error is not a terminal.
pub(super) struct Steps {
    /// Whether bars are wanted.
    bars: bool,
    /// Name and bar of the current step.
    current: Option<(String, ProgressBar)>,
    /// Time of the last log line.
    logged: Option<Instant>,
}

impl Steps {
    pub(super) fn new(bars: bool) -> Self {
        Self { bars, current: None, logged: None }
    }

    /// Shows how far a step is. A name that differs from that of the current step begins a new step.
    pub(super) fn at(&mut self, step: &str, done: u64, total: u64) {
        if self.current.as_ref().is_none_or(|(current, _)| current != step) {
            self.finish();
            let bar = if self.bars { bar(step) } else { ProgressBar::hidden() };
            self.current = Some((step.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.current {
            bar.set_length(total);
            bar.set_position(done);
            // A bar is also hidden if standard error is not a terminal.
            if bar.is_hidden() && self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                self.logged = Some(Instant::now());
                tracing::info!(step, done, total, "progress");
            }
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&mut self) {
        if let Some((_, bar)) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(step: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:28} {wide_bar} {human_pos}/{human_len} {elapsed}");
    let bar = ProgressBar::new(0).with_message(visible_line(step).into_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
