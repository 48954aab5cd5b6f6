//! `cinegraph import`

use std::path::{Path, PathBuf};

use anyhow::Context;
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
        /// Import even if most movies would get another title, or different movies would become one
        #[arg(long)]
        replace: bool,
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
        import::ImportOptions { generated, strict: self.strict, replace: false }
    }
}

pub(super) async fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    // The embedded PostgreSQL is of this program alone; another one is migrated when its operator says so.
    if app.config.database_url.is_none() {
        app.store.migrate().await?;
    }
    // Fails if migrations are missing, before the files are read.
    let installation = app.store.installation().await?;
    let mut stored = Stored::default();
    let (summary, no_refresh) = match args.source {
        Source::Csv { dir, replace, options } => {
            let of_import = import::ImportOptions { replace, ..options.of_import() };
            (csv(app, Output::Text, &dir, of_import, &mut stored).await?, options.no_refresh)
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
            (imdb(app, &dir, min_votes, options.of_import(), &mut stored).await?, options.no_refresh)
        }
        // Scores do not depend on ids.
        Source::Links { file } => (links(app, &file, &mut stored).await?, true),
        Source::TmdbIds { file, no_refresh } => (tmdb_ids(app, &file, &mut stored).await?, no_refresh),
        Source::List(list) => return import_list::run(app, list).await,
    };
    // An error of the output must not keep the scores from being computed: the movies are imported.
    let shown = Output::Text.report(&summary);
    if !no_refresh {
        let output = if shown.is_ok() { Output::Text } else { Output::Log };
        super::refresh::all(app, output).await?;
    }
    stored.finish();
    shown.context("the movies were imported")
}

/// Whether the import is committed and the command not at its end. If it ends here, by an error or a signal, this says
/// what was done and what was not.
#[derive(Debug, Default)]
pub(super) struct Stored(bool);

impl Stored {
    /// The command is at its end.
    pub(super) fn finish(&mut self) {
        self.0 = false;
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if self.0 {
            eprintln!("The movies were imported, but not all scores computed: run `cinegraph refresh all`.");
        }
    }
}

/// Imports a directory of CSV files. Returns the summary.
pub(super) async fn csv(
    app: &App,
    output: Output,
    dir: &Path,
    options: impl Into<import::ImportOptions>,
    stored: &mut Stored,
) -> anyhow::Result<String> {
    let mut steps = output.steps();
    let mut show = |progress| show(&mut steps, stored, progress);
    let summary = import_csv(&app.store, dir, options, &app.clock, &mut show).await?;
    steps.finish();
    Ok(summary.to_string())
}

async fn imdb(
    app: &App,
    dir: &Path,
    min_votes: u32,
    options: import::ImportOptions,
    stored: &mut Stored,
) -> anyhow::Result<String> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, stored, progress);
    let summary = import_imdb(&app.store, dir, min_votes, options, &app.clock, &mut show).await?;
    steps.finish();
    Ok(summary.to_string())
}

async fn links(app: &App, file: &Path, stored: &mut Stored) -> anyhow::Result<String> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, stored, progress);
    let summary = import_links(&app.store, file, &app.clock, &mut show).await?;
    steps.finish();
    Ok(summary.to_string())
}

async fn tmdb_ids(app: &App, file: &Path, stored: &mut Stored) -> anyhow::Result<String> {
    let mut steps = Output::Text.steps();
    let mut show = |progress| show(&mut steps, stored, progress);
    let summary = import_tmdb_ids(&app.store, file, &app.clock, &mut show).await?;
    steps.finish();
    Ok(summary.to_string())
}

fn show(steps: &mut Steps, stored: &mut Stored, progress: Progress) {
    stored.0 = progress == Progress::Analyzing;
    match progress {
        Progress::Reading { file, bytes, total_bytes } => steps.at(&format!("reading {file}"), bytes, total_bytes),
        Progress::Merging { file } => steps.at(&format!("merging {file}"), 0, 0),
        Progress::Analyzing => steps.at("analyzing", 0, 0),
    }
}
