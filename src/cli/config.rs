//! `cinegraph config`

use std::process::ExitCode;

use clap::Args;

use super::output::print;
use crate::config::{Config, markdown};

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Print the reference of all settings as Markdown (docs/SETTINGS.md), without their current values
    #[arg(long)]
    pub(super) markdown: bool,
}

/// Prints all settings with their values.
pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    print(config.describe())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the reference of all settings. It reads no configuration, so it works when that is invalid.
pub(super) fn reference() -> anyhow::Result<ExitCode> {
    print(&markdown())?;
    Ok(ExitCode::SUCCESS)
}
