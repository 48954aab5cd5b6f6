//! `cinegraph config`

use std::process::ExitCode;

use crate::config::Config;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    super::print(config.describe())?;
    Ok(ExitCode::SUCCESS)
}
