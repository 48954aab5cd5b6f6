//! What a command prints: its result, and reports of what it does.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::progress::Steps;
use super::visible::{visible, visible_json};
use crate::config::Config;

/// What commands log whose output is for people, unless `log_filter` is set: no line for each request.
const QUIET_LOG_FILTER: &str = "warn,sqlx::query=off,graphile_worker::runner::release=off";

/// How a command reports what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Lines of text on standard output, progress bars on a terminal.
    Text,
    /// Log lines only, so that every line of a service's output is JSON.
    Log,
}

impl Output {
    /// Reports what was done. `text` has no line break at its end.
    pub(super) fn report(self, text: &str) -> anyhow::Result<()> {
        match self {
            Self::Text => print(&format!("{text}\n")),
            Self::Log => {
                tracing::info!("{text}");
                Ok(())
            }
        }
    }

    /// Progress of the steps of long work.
    pub(super) fn steps(self) -> Steps {
        Steps::new(self == Self::Text)
    }
}

/// Writes text for people to standard output. Control characters in it, which come from data, are shown as escapes.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    write(&visible(text))
}

/// Writes CSV to standard output as it is; to a terminal, as text for people.
pub(super) fn print_data(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal() { print(text) } else { write(text) }
}

/// A reader that closes the pipe early (`| head`) is not an error.
fn write(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a value to standard output as indented JSON. To a terminal, with escapes also for the control characters that
/// JSON allows: DEL, C1 and those of text direction.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let json = format!("{}\n", serde_json::to_string_pretty(value)?);
    if io::stdout().is_terminal() { write(&visible_json(&json)) } else { write(&json) }
}

/// Lets only warnings be logged, unless `log_filter` is set.
pub(super) fn log_quietly(config: &mut Config) {
    if config.has_default_log_filter() {
        QUIET_LOG_FILTER.clone_into(&mut config.log_filter);
    }
}

/// Whether only warnings are logged.
pub(super) fn logs_quietly(config: &Config) -> bool {
    config.log_filter == QUIET_LOG_FILTER
}
