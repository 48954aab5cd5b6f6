//! Reports of what a command does: text for people, log lines for collectors.

use super::progress::Steps;

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
            Self::Text => super::print(&format!("{text}\n")),
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
