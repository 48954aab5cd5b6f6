//! `cinegraph serve`, and how programs are asked to stop.

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

/// Goes on until asked to stop; being asked is no failure.
pub(super) async fn until_interrupted(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let asked = async {
        interrupted().await;
        tracing::info!("stopping");
        stop.cancel();
        // A second request ends it at once.
        interrupted().await;
    };
    tokio::select! {
        done = work => done.map(|()| ExitCode::SUCCESS),
        () = asked => Ok(ExitCode::from(super::INTERRUPTED)),
    }
}

/// Waits until the program is asked to stop.
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
