//! How signals stop the program.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a program that was interrupted, as shells report it: 128 and the number of SIGINT.
pub(super) const INTERRUPTED: u8 = 130;

/// Runs a service, which `stop` stops, until a signal arrives; being stopped is not a failure.
pub(super) async fn stop_on_signal(
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
        () = stopped => Ok(ExitCode::from(INTERRUPTED)),
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

/// Runs a command that ends by itself, or until a signal arrives.
pub(super) async fn run_until_interrupted(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        done = command => done,
        () = interrupted() => Ok(ExitCode::from(INTERRUPTED)),
    }
}
