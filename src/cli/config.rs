//! `cinegraph config`

use std::process::ExitCode;

use super::output::print;
use crate::config::Config;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    print(config.describe())?;
    Ok(ExitCode::SUCCESS)
}
