//! `cinegraph import imdb --download`: IMDb's terms, and the download of the files.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::{fs, thread};

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::oneshot;

use crate::app::App;
use crate::services::import::IMDB_FILES;

/// IMDb's page about its files. It must be named wherever their terms are.
const TERMS_URL: &str = "https://developer.imdb.com/non-commercial-datasets/";

#[derive(Debug, Args)]
pub(super) struct DownloadArgs {
    /// First download the files from IMDb, into DIR or the data directory; what is there and has not changed is kept
    #[arg(long)]
    pub(super) download: bool,
    /// Accept IMDb's terms, which allow personal and non-commercial use; otherwise the command asks, once
    #[arg(long, requires = "download")]
    accept_imdb_terms: bool,
    /// Download from this URL instead [default: the setting imdb_base_url]
    #[arg(long, value_name = "URL", requires = "download")]
    pub(super) base_url: Option<String>,
}

/// Downloads IMDb's files into `dir`, or into a directory of the data directory; returns which.
///
/// # Errors
/// If the terms are not accepted, or a file cannot be downloaded.
pub(super) async fn imdb(app: &App, args: &DownloadArgs, dir: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if !cfg!(feature = "download") {
        bail!(
            "this program was built without the feature `download`, as `make run` does; use a release build \
             (`cargo build --release`), or fetch {} from {} and run `cinegraph import imdb DIR`",
            IMDB_FILES.join(", "),
            app.config.imdb_base_url,
        );
    }
    let own = app.data_dir().join("imdb");
    fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    accept_terms(&own.join("terms-accepted"), args.accept_imdb_terms, app).await?;
    let dir = dir.unwrap_or(own);
    fetch(app, &dir).await?;
    Ok(dir)
}

/// Shows IMDb's terms and has them accepted, unless they were before: then `accepted` exists.
async fn accept_terms(accepted: &Path, by_argument: bool, app: &App) -> anyhow::Result<()> {
    if accepted.exists() {
        return Ok(());
    }
    let terms =
        format!("IMDb offers these files for personal and non-commercial use only. Its terms are on\n  {TERMS_URL}\n");
    // Not on standard output, which may be a file that gets the summary.
    let mut screen = io::stderr();
    write!(screen, "{terms}")?;
    if !by_argument {
        if !(io::stdin().is_terminal() && screen.is_terminal()) {
            bail!("IMDb's terms are not accepted yet: read them, and accept them with --accept-imdb-terms");
        }
        write!(screen, "Do you accept them? [y/N] ")?;
        if !matches!(answer().await?.trim().to_lowercase().as_str(), "y" | "yes") {
            bail!("IMDb's terms were not accepted; nothing was downloaded");
        }
    }
    let text = format!("{terms}Accepted on {}.\n", app.clock.now().format("%Y-%m-%d"));
    fs::write(accepted, text).with_context(|| format!("cannot write {}", accepted.display()))
}

/// Reads a line of standard input. In a thread of its own, for which the program does not wait when it is interrupted.
async fn answer() -> anyhow::Result<String> {
    let (sender, line) = oneshot::channel();
    thread::spawn(move || {
        let mut text = String::new();
        // Fails only if the command was interrupted.
        let _ = sender.send(io::stdin().read_line(&mut text).map(|_| text));
    });
    Ok(line.await.context("no answer")??)
}

#[cfg(not(feature = "download"))]
async fn fetch(_: &App, _: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(feature = "download")]
async fn fetch(app: &App, dir: &Path) -> anyhow::Result<()> {
    use super::output::Output;
    use crate::services::download::{DownloadProgress, Outcome, Patience, download};

    let base = app.config.imdb_base_url.parse().context("imdb_base_url")?;
    let mut steps = Output::Text.steps();
    let mut show = |progress: DownloadProgress| {
        let doing = if progress.verifying { "verifying" } else { "downloading" };
        steps.at(&format!("{doing} {}", progress.file), progress.bytes, progress.total_bytes);
    };
    let outcomes = download(&IMDB_FILES, &base, dir, Patience::default(), &mut show).await?;
    steps.finish();
    for (file, outcome) in outcomes {
        Output::Text.report(&match outcome {
            Outcome::Unchanged => format!("{file}: unchanged since the last download"),
            Outcome::Fetched { bytes, new_bytes } if new_bytes < bytes => {
                format!("{file}: downloaded, the last {new_bytes} of {bytes} bytes")
            }
            Outcome::Fetched { bytes, .. } => format!("{file}: downloaded, {bytes} bytes"),
        })?;
    }
    Ok(())
}
