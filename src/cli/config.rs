//! `cinegraph config`

use std::process::ExitCode;

use clap::Args;

use super::output::print;
use crate::config::{Config, markdown};

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Print the reference of all settings as Markdown (docs/SETTINGS.md), without values
    #[arg(long)]
    pub(super) markdown: bool,
}

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    print(config.describe())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the reference, which needs no valid configuration.
pub(super) fn reference() -> anyhow::Result<ExitCode> {
    print(&markdown())?;
    Ok(ExitCode::SUCCESS)
}
