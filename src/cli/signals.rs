//! How signals stop the program: the first one lets it shut down, the second one ends it at once.

use std::process::ExitCode;
use std::sync::LazyLock;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Exit code of an interrupted program, as shells report it: 128 plus 2, the number of SIGINT.
pub(super) const INTERRUPTED: u8 = 130;

/// How many signals have asked the program to stop. A count, because the second signal means more than the first.
static RECEIVED: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Starts to count the signals that stop the program. To be called before anything that takes long: until then a signal
/// ends the program at once, or is ignored by the kernel if the program is process 1 of a container.
pub(super) fn listen() {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        // If no handler can be installed, the signal ends the program at once, which stops it as well.
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
    // The wait fails only if the sender is dropped, and a static is never dropped.
    let _ = RECEIVED.subscribe().wait_for(|received| *received >= count).await;
}

/// Runs `work`, and cancels `stop` when a signal arrives, which must make `work` end. If it then ends without an error,
/// that is a success. A second signal drops `work` and gives the exit code [`INTERRUPTED`].
pub(super) async fn stop_on_signal(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let stopped = async {
        received(1).await;
        tracing::info!("stopping");
        stop.cancel();
        // Ends this future, and so drops `work`.
        received(2).await;
    };
    tokio::select! {
        done = work => done.map(|()| ExitCode::SUCCESS),
        () = stopped => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Waits for a signal that stops the program. Returns at once if one has arrived before.
pub(super) async fn interrupted() {
    received(1).await;
}

/// Runs a command until it ends. The first signal drops it and gives the exit code [`INTERRUPTED`].
pub(super) async fn run_until_interrupted(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        done = command => done,
        () = interrupted() => Ok(ExitCode::from(INTERRUPTED)),
    }
}
