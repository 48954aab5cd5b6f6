//! `cinegraph schema`

use std::process::ExitCode;

use super::output::print;
use crate::graphql;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    print(&graphql::sdl())?;
    Ok(ExitCode::SUCCESS)
}
