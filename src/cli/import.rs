//! `cinegraph import`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::progress::Steps;
use crate::app::App;
use crate::services::import::{Generated, Progress, import_csv, import_imdb};

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
    /// A directory of IMDb's public dumps: title.basics.tsv.gz and title.ratings.tsv.gz, and, for credits,
    /// title.principals.tsv.gz and name.basics.tsv.gz
    Imdb {
        /// The directory
        dir: PathBuf,
        /// Leave out films with fewer votes; 0 takes the long tail that nobody has voted for, too
        #[arg(long, value_name = "N", default_value_t = 100)]
        min_votes: u32,
        /// Leave the scores as they are; `cinegraph refresh all` computes them later
        #[arg(long)]
        no_refresh: bool,
    },
}

pub(super) async fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    app.store.installation().await?;
    let no_refresh = match args.source {
        Source::Csv { dir, no_refresh } => {
            csv(app, &dir, Generated::Refuse).await?;
            no_refresh
        }
        Source::Imdb { dir, min_votes, no_refresh } => {
            imdb(app, &dir, min_votes).await?;
            no_refresh
        }
    };
    if no_refresh { Ok(()) } else { super::refresh::all(app).await }
}

/// Imports a directory of CSV files.
pub(super) async fn csv(app: &App, dir: &Path, generated: Generated) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_csv(app.store.pool(), dir, generated, &app.clock, &mut show).await?;
    steps.finish();
    super::print(&format!("{summary}\n"))
}

async fn imdb(app: &App, dir: &Path, min_votes: u32) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_imdb(app.store.pool(), dir, min_votes, &app.clock, &mut show).await?;
    steps.finish();
    super::print(&format!("{summary}\n"))
}

fn show(steps: &mut Steps, progress: Progress) {
    match progress {
        Progress::Reading { file, bytes, total_bytes } => steps.at(&format!("reading {file}"), bytes, total_bytes),
        Progress::Merging { file } => steps.at(&format!("merging {file}"), 0, 1),
        Progress::Analyzing => steps.at("analyzing", 0, 1),
    }
}
