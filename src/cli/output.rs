//! What a command prints: its result, and reports of its progress.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::progress::Steps;
use super::styled::for_terminal;
use super::terminal::has_colours;
use super::visible::{visible, visible_json};
use crate::config::Config;

/// Log filter of commands whose output is for people, unless `log_filter` is set: warnings and errors only. The two
/// modules that are off warn of slow statements and failed jobs, which Cinegraph logs itself.
const QUIET_LOG_FILTER: &str = "warn,sqlx::query=off,graphile_worker::runner::release=off";

/// How a command reports its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Lines of text on standard output, progress bars on a terminal.
    Text,
    /// Log lines only, so that every line of a service's output is JSON.
    Log,
}

impl Output {
    /// Reports one thing that is done, or that begins. `text` has no line break at its end.
    pub(super) fn report(self, text: &str) -> anyhow::Result<()> {
        match self {
            Self::Text => print(&format!("{text}\n")),
            Self::Log => {
                tracing::info!("{text}");
                Ok(())
            }
        }
    }

    /// Starts the progress display of long work.
    pub(super) fn steps(self) -> Steps {
        Steps::new(self == Self::Text)
    }
}

/// Writes text for people to standard output. Control characters other than line breaks and tabs come from data, and
/// are shown as escapes.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let text = visible(text);
    let stdout = io::stdout();
    if stdout.is_terminal() { write(&for_terminal(&text, has_colours(&stdout))) } else { write(&text) }
}

/// Writes CSV to standard output: unchanged to a file or pipe, with control characters escaped to a terminal.
pub(super) fn print_data(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal() { print(text) } else { write(text) }
}

/// Writes to standard output. It is not an error if the reader closes the pipe early, as `head` does.
fn write(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a value to standard output as indented JSON. For a terminal, the control characters that JSON allows in texts
/// (DEL, C1, and those of text direction) are escaped, too.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let json = format!("{}\n", serde_json::to_string_pretty(value)?);
    if io::stdout().is_terminal() { write(&visible_json(&json)) } else { write(&json) }
}

/// Sets the log filter to warnings and errors only, unless `log_filter` is configured.
pub(super) fn log_quietly(config: &mut Config) {
    if config.has_default_log_filter() {
        QUIET_LOG_FILTER.clone_into(&mut config.log_filter);
    }
}

/// Whether [`log_quietly`] has set the log filter.
pub(super) fn logs_quietly(config: &Config) -> bool {
    config.log_filter == QUIET_LOG_FILTER
}
