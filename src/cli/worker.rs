//! `cinegraph worker`

use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::signals::stop_on_signal;
use crate::app::App;

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// Where to serve metrics, status and health to operators [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub(super) admin_addr: Option<String>,
}

pub(super) async fn run(app: &App) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let ready = |admin_addr| tracing::info!(%admin_addr, "worker started");
    stop_on_signal(&stop, app.run_worker(&stop, ready)).await
}
