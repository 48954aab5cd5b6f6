//! How signals stop the program.

use std::process::ExitCode;
use std::sync::LazyLock;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Exit code of a program that was interrupted, as shells report it: 128 and the number of SIGINT.
pub(super) const INTERRUPTED: u8 = 130;

/// How many signals have asked the program to stop.
static RECEIVED: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Starts to count the signals that stop the program, before anything that takes long. Until then a signal ends the
/// program at once, but the kernel ignores it if the program is process 1 of a container.
pub(super) fn listen() {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        // Without a handler the signal ends the program by itself.
        if let Ok(mut signals) = signal(kind) {
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    RECEIVED.send_modify(|received| *received += 1);
                }
            });
        }
    }
}

/// Waits until `count` signals have arrived since the program started.
async fn received(count: usize) {
    // The wait fails only when the sender is dropped, and it is never dropped.
    let _ = RECEIVED.subscribe().wait_for(|received| *received >= count).await;
}

/// Runs a service, which `stop` stops, until a signal arrives; being stopped is not a failure.
pub(super) async fn stop_on_signal(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let stopped = async {
        received(1).await;
        tracing::info!("stopping");
        stop.cancel();
        // A second signal ends it at once.
        received(2).await;
    };
    tokio::select! {
        done = work => done.map(|()| ExitCode::SUCCESS),
        () = stopped => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Waits for a signal that stops the program.
pub(super) async fn interrupted() {
    received(1).await;
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
