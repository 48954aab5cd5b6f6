//! What the terminal can show: its width, and colours.

use std::io::{self, IsTerminal};

use terminal_size::{Width, terminal_size_of};

/// Width of a terminal that does not report its own.
const WIDTH_DEFAULT: usize = 80;

/// Ends what a [`Style`] begins.
const RESET: &str = "\u{1b}[0m";

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// The header of a table.
    Header,
    /// An error.
    Error,
}

impl Style {
    /// The text in this style. `text` must not contain control characters of others.
    pub(super) fn of(self, text: &str) -> String {
        let begin = match self {
            Self::Header => "\u{1b}[1m",
            Self::Error => "\u{1b}[1;31m",
        };
        format!("{begin}{text}{RESET}")
    }
}

/// Columns of the terminal that standard output is; `None` if it is none.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let columns = || terminal_size_of(&stdout).map_or(WIDTH_DEFAULT, |(Width(columns), _)| columns.into());
    stdout.is_terminal().then(columns)
}

/// Whether texts for `output` have colours: only in a terminal that has some, and not if the user wants none
/// (<https://no-color.org>).
pub(super) fn has_colours(output: &impl IsTerminal) -> bool {
    let is_set = |variable: &str| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    output.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}
