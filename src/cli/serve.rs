//! `cinegraph serve`

use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::signals::stop_on_signal;
use crate::app::{Addresses, App, ServeOptions};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
    /// Leave background work (person quality, scores, snapshots) to other instances or to `cinegraph worker`
    #[arg(long)]
    no_jobs: bool,
}

#[derive(Debug, Args)]
pub(super) struct AddressArgs {
    /// Where to serve page and API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) http_addr: Option<String>,
    /// Where to serve metrics, status and health to operators [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub(super) admin_addr: Option<String>,
}

pub(super) async fn run(app: &App, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let ready = |addresses: Addresses| {
        tracing::info!(public_addr = %addresses.public, admin_addr = %addresses.admin, "serving");
    };
    let stop = CancellationToken::new();
    stop_on_signal(&stop, app.serve(&stop, ServeOptions { jobs: !args.no_jobs, warming: true }, ready)).await
}
