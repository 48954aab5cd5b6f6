//! `cinegraph import`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::download::{self, DownloadArgs};
use super::import_list;
use super::output::Output;
use super::progress::Steps;
use crate::app::App;
use crate::services::import::{
    self, Generated, Progress, check_installation, import_csv, import_imdb, import_links, import_tmdb_ids,
};

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Import a directory of CSV files: movies.csv (required), and any of the optional files that docs/DATA.md lists
    Csv {
        /// The directory
        dir: PathBuf,
        #[command(flatten)]
        options: ImportOptions,
    },
    /// Import a directory of IMDb's public dumps: title.basics.tsv.gz and title.ratings.tsv.gz, and, for credits,
    /// title.principals.tsv.gz and name.basics.tsv.gz
    Imdb {
        /// The directory
        #[arg(required_unless_present = "download")]
        dir: Option<PathBuf>,
        #[command(flatten)]
        download: DownloadArgs,
        /// Skip movies with fewer votes; 0: no minimum
        #[arg(long, value_name = "N", default_value_t = 100)]
        min_votes: u32,
        #[command(flatten)]
        options: ImportOptions,
    },
    /// Import a list that movies are on: an export of IMDb, Letterboxd or Trakt, a CSV file, or one id, address or
    /// title with year a line
    List(import_list::ListArgs),
    /// Give movies of IMDb's dumps their TMDb ids: links.csv of MovieLens (movieId, imdbId, tmdbId)
    Links {
        /// The file
        file: PathBuf,
    },
    /// Import popularity and the adult flag from TMDb's daily export of movie ids (movie_ids_MM_DD_YYYY.json.gz)
    TmdbIds {
        /// The file, compressed or not
        file: PathBuf,
        /// Do not compute scores; run `cinegraph refresh all` later
        #[arg(long)]
        no_refresh: bool,
    },
}

#[derive(Debug, Args)]
struct ImportOptions {
    /// Replace generated movies (those of `cinegraph demo`), which otherwise prevent the import
    #[arg(long)]
    replace_generated: bool,
    /// Refuse files with values that the import would change or ignore, and list them
    #[arg(long)]
    strict: bool,
    /// Do not compute scores; run `cinegraph refresh all` later
    #[arg(long)]
    no_refresh: bool,
}

impl ImportArgs {
    /// The value of `--base-url`.
    pub(super) fn base_url(&self) -> Option<&String> {
        match &self.source {
            Source::Imdb { download, .. } => download.base_url.as_ref(),
            _ => None,
        }
    }
}

impl ImportOptions {
    fn of_import(&self) -> import::ImportOptions {
        let generated = if self.replace_generated { Generated::Replace } else { Generated::Refuse };
        import::ImportOptions { generated, strict: self.strict }
    }
}

pub(super) async fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    // The embedded PostgreSQL is of this program alone; another one is migrated when its operator says so.
    if app.config.database_url.is_none() {
        app.store.migrate().await?;
    }
    // Fails if migrations are missing, before the files are read.
    let installation = app.store.installation().await?;
    let no_refresh = match args.source {
        Source::Csv { dir, options } => {
            csv(app, Output::Text, &dir, options.of_import()).await?;
            options.no_refresh
        }
        Source::Imdb { dir, download, min_votes, options } => {
            let dir = match dir {
                Some(dir) if !download.download => dir,
                dir => {
                    // Before a gigabyte is downloaded in vain.
                    check_installation(&installation, options.of_import().generated)?;
                    download::imdb(app, &download, dir).await?
                }
            };
            imdb(app, &dir, min_votes, options.of_import()).await?;
            options.no_refresh
        }
        Source::Links { file } => {
            links(app, &file).await?;
            // Scores do not depend on ids.
            true
        }
        Source::TmdbIds { file, no_refresh } => {
            tmdb_ids(app, &file).await?;
            no_refresh
        }
        Source::List(list) => return import_list::run(app, list).await,
    };
    if no_refresh { Ok(()) } else { super::refresh::all(app, Output::Text).await }
}

/// Imports a directory of CSV files.
pub(super) async fn csv(
    app: &App,
    output: Output,
    dir: &Path,
    options: impl Into<import::ImportOptions>,
) -> anyhow::Result<()> {
    let mut steps = output.steps();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_csv(&app.store, dir, options, &app.clock, &mut show).await?;
    steps.finish();
    output.report(&summary.to_string())
}

async fn imdb(app: &App, dir: &Path, min_votes: u32, options: import::ImportOptions) -> anyhow::Result<()> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_imdb(&app.store, dir, min_votes, options, &app.clock, &mut show).await?;
    steps.finish();
    Output::Text.report(&summary.to_string())
}

async fn links(app: &App, file: &Path) -> anyhow::Result<()> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_links(&app.store, file, &app.clock, &mut show).await?;
    steps.finish();
    Output::Text.report(&summary.to_string())
}

async fn tmdb_ids(app: &App, file: &Path) -> anyhow::Result<()> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, progress);
    let summary = import_tmdb_ids(&app.store, file, &app.clock, &mut show).await?;
    steps.finish();
    Output::Text.report(&summary.to_string())
}

fn show(steps: &mut Steps, progress: Progress) {
    match progress {
        Progress::Reading { file, bytes, total_bytes } => steps.at(&format!("reading {file}"), bytes, total_bytes),
        Progress::Merging { file } => steps.at(&format!("merging {file}"), 0, 0),
        Progress::Analyzing => steps.at("analyzing", 0, 0),
    }
}
