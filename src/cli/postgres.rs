//! `cinegraph postgres`: runs another command while the embedded PostgreSQL runs.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use cinegraph_embedded_postgres::{EmbeddedPostgres, Options};
use clap::Args;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Name of the database; the one that other commands of this program use.
const DATABASE: &str = "cinegraph";

/// Runs a command with the embedded PostgreSQL, started for it where needed and stopped after it.
///
/// The command finds the database in `DATABASE_URL`, and `psql` without arguments.
#[derive(Debug, Args)]
pub(super) struct PostgresArgs {
    /// Use a new cluster without durability, which is removed afterwards
    #[arg(long)]
    temporary: bool,

    /// The command and its arguments, after `--`. It finds the database in DATABASE_URL, and psql needs no arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command with the embedded PostgreSQL, and stops the server after it. Returns the exit code of the command,
/// or 128 plus the number of the signal that ended it, as shells do.
///
/// # Errors
/// If the embedded PostgreSQL or the command does not start.
pub(super) async fn run(args: PostgresArgs, data_dir: PathBuf) -> anyhow::Result<ExitCode> {
    // These handlers are installed before the server starts, so that no signal ends this process while the server runs.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let data_dir = if args.temporary { temporary_dir()? } else { data_dir };
    let options = Options { data_dir, temporary: args.temporary };
    // If this function returns early, dropping `postgres` stops the server.
    let postgres = tokio::select! {
        started = EmbeddedPostgres::start(options) => started?,
        _ = interrupt.recv() => return Ok(signalled(SignalKind::interrupt())),
        _ = terminate.recv() => return Ok(signalled(SignalKind::terminate())),
        _ = hang_up.recv() => return Ok(signalled(SignalKind::hangup())),
    };

    let [program, arguments @ ..] = args.command.as_slice() else { anyhow::bail!("no command given") };
    let mut child = Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", postgres.url(DATABASE))
        .envs(postgres.environment(DATABASE))
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for the command")?,
            // A terminal sends the signal of Ctrl-C to the command as well, and the command decides whether to end: in
            // psql, Ctrl-C only cancels a query.
            _ = interrupt.recv() => {}
            // The following signals may be sent to this process alone.
            _ = terminate.recv() => pass_on("TERM", &child).await,
            _ = hang_up.recv() => pass_on("HUP", &child).await,
        }
    };
    postgres.stop().await?;
    Ok(exit_code(status))
}

/// A path with a random name in the directory for temporary files. Every user may create files there, so a predictable
/// name could be taken by somebody else first.
fn temporary_dir() -> anyhow::Result<PathBuf> {
    let unique = rand::TryRng::try_next_u64(&mut rand::rngs::SysRng).context("the system gives no random numbers")?;
    Ok(std::env::temp_dir().join(format!("cinegraph-postgres-{unique:016x}")))
}

/// Sends a signal to the command by running `kill`: the system call would need unsafe code or another crate.
async fn pass_on(signal: &str, child: &Child) {
    let Some(id) = child.id() else { return };
    if let Err(error) = Command::new("kill").args(["-s", signal, &id.to_string()]).status().await {
        tracing::warn!(%error, "cannot pass SIG{signal} on to the command");
    }
}

/// The exit code of an ended process, or 128 plus the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The exit code of a process that this signal ended.
fn signalled(kind: SignalKind) -> ExitCode {
    exit_code(ExitStatus::from_raw(kind.as_raw_value()))
}
