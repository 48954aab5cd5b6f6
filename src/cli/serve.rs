//! `cinegraph serve`, and how the program is stopped by signals.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{Addresses, App, ServeOptions};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
    /// Leave background work (scores, snapshots) to other instances or to `cinegraph worker`
    #[arg(long)]
    no_jobs: bool,
}

#[derive(Debug, Args)]
pub(super) struct AddressArgs {
    /// Where to serve the API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) http_addr: Option<String>,
    /// Where to serve metrics and health to operators [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    pub(super) admin_addr: Option<String>,
}

pub(super) async fn run(app: &App, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let ready = |addresses: Addresses| {
        tracing::info!(public = %addresses.public, admin = %addresses.admin, "serving");
    };
    let stop = CancellationToken::new();
    until_interrupted(&stop, app.serve(&stop, ServeOptions { jobs: !args.no_jobs, warming: true }, ready)).await
}

/// Runs `work` until a signal stops it; being stopped is not a failure.
pub(super) async fn until_interrupted(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let stopped = async {
        interrupted().await;
        tracing::info!("stopping");
        stop.cancel();
        // A second signal ends it at once.
        interrupted().await;
    };
    tokio::select! {
        done = work => done.map(|()| ExitCode::SUCCESS),
        () = stopped => Ok(ExitCode::from(super::INTERRUPTED)),
    }
}

/// Waits for a signal that stops the program.
pub(super) async fn interrupted() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Without a handler the signal ends the program by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
