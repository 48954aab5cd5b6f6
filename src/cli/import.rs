//! `cinegraph import`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::progress::Steps;
use crate::app::App;
use crate::services::import::{Generated, Progress, import_csv};

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// A directory of CSV files: movies.csv, and what else there is
    Csv {
        /// The directory
        dir: PathBuf,
        /// Leave the scores as they are; `cinegraph refresh all` computes them later
        #[arg(long)]
        no_refresh: bool,
    },
}

pub(super) async fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    let Source::Csv { dir, no_refresh } = args.source;
    app.store.installation().await?;
    csv(app, &dir, Generated::Refuse).await?;
    if no_refresh { Ok(()) } else { super::refresh::all(app).await }
}

/// Imports a directory of CSV files.
pub(super) async fn csv(app: &App, dir: &Path, generated: Generated) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let summary = import_csv(app.store.pool(), dir, generated, &app.clock, &mut |progress| match progress {
        Progress::Reading { file, bytes, total_bytes } => steps.at(&format!("reading {file}"), bytes, total_bytes),
        Progress::Merging { file } => steps.at(&format!("merging {file}"), 0, 1),
        Progress::Analyzing => steps.at("analyzing", 0, 1),
    })
    .await?;
    steps.finish();
    super::print(&format!("{summary}\n"))
}
