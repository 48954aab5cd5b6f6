//! `cinegraph import list`

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, bail};
use cinegraph_list_formats::Family;
use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use tokio::sync::oneshot;

use super::output::Output;
use crate::app::App;
use crate::services::drain::Drain;
use crate::services::list_import::{ImportedList, ListRequest, Resolutions, decode, import_list, write_report};
use crate::services::lists::set_target;
use crate::versions::Versions;

/// Maximum size of the file. Far above that of a list with the maximum number of rows; it protects memory from a file of
/// another kind.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Maximum length of a name or an edition, in characters: the size of most text columns of the database.
const TEXT_MAX: usize = 255;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Key of the list, by which `--list` and the API name it
    #[arg(long)]
    key: String,
    /// Name of the list [default: its present name, or that in the file]
    #[arg(long, value_parser = text)]
    name: Option<String>,
    /// Edition in which the movies joined the list, where the file does not say it
    #[arg(long, value_parser = text)]
    edition: Option<String>,
    /// Year of the list
    #[arg(long, value_parser = value_parser!(i32).range(1000..=9999))]
    year: Option<i32>,
    /// Format of the file; `auto` recognises it
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(formats()))]
    format: String,
    /// Make it a target list: one that can be validated by scores that do not know it
    #[arg(long)]
    target: bool,
    /// Replace the list even if most of its movies would leave it
    #[arg(long)]
    replace: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the rows that match no movie, with candidates, to this CSV file; it can be that of --resolve
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Read corrections from a report in which the column `movie` was filled in
    #[arg(long, value_name = "FILE")]
    resolve: Option<PathBuf>,
    /// Do not compute scores; run `cinegraph refresh all` later
    #[arg(long)]
    no_refresh: bool,
}

fn formats() -> impl Iterator<Item = &'static str> {
    std::iter::once("auto").chain(Family::ALL.map(Family::as_str))
}

pub(super) async fn run(app: &App, args: ListArgs) -> anyhow::Result<()> {
    let report = args.report.clone().map(|path| Report::create(path, &args)).transpose()?;
    let bytes = read(args.file.clone()).await?;
    let resolutions = match &args.resolve {
        Some(path) => Resolutions::read(&decode(&read(path.clone()).await?)?.0)?,
        None => Resolutions::default(),
    };
    let request = ListRequest {
        key: &args.key,
        name: args.name.as_deref(),
        edition: args.edition.as_deref(),
        year: args.year,
        family: Family::ALL.into_iter().find(|family| family.as_str() == args.format),
        resolutions,
        expected_updated_at: None,
        keep_most: !args.replace,
        dry_run: args.dry_run,
    };
    let list = import_list(&app.store, &app.clock, None, &bytes, request).await?;
    // An error of the output must not keep the scores from being computed: the list is imported.
    let shown = show(&list, report);
    if list.movies == 0 {
        shown?;
        bail!("none of the {} rows matches a movie of this database; nothing was changed", list.matches.len());
    }
    if args.target && !args.dry_run {
        set_target(&app.store, &Versions::default(), &app.config.target_lists, &args.key, true).await?;
    }
    if !args.dry_run && !args.no_refresh {
        refresh(app, list.has_changed || args.target).await?;
    }
    shown.context(if list.has_changed && !list.dry_run { "the list was imported" } else { "nothing was changed" })
}

/// Prints the summary, and writes the report.
fn show(list: &ImportedList, report: Option<Report>) -> anyhow::Result<()> {
    Output::Text.report(&list.to_string())?;
    match (report, list.reported()) {
        (Some(report), rows) => report.write(list, rows)?,
        (None, 0) => {}
        (None, rows) => {
            let hint = "--report FILE writes them, with candidates, for --resolve";
            Output::Text.report(&format!("rows that need attention: {rows}; {hint}"))?;
        }
    }
    if list.movies > 0 && !list.has_changed {
        Output::Text.report("The list was already like this; nothing was changed.")?;
    }
    Ok(())
}

/// Computes the scores if the list has changed, or if an earlier command was interrupted before it did so.
async fn refresh(app: &App, has_changed: bool) -> anyhow::Result<()> {
    if has_changed || Drain::of(&app.store).is_due().await? {
        super::refresh::all(app, Output::Text).await?;
    }
    Ok(())
}

/// Reads a file, or standard input for `-`. On a thread of its own, for which nothing waits at the end: a terminal or a
/// pipe that sends nothing must not keep a signal from ending the program.
async fn read(path: PathBuf) -> anyhow::Result<Vec<u8>> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || drop(sender.send(read_blocking(&path))));
    receiver.await?
}

fn read_blocking(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |input: &mut dyn Read, bytes: &mut Vec<u8>| input.take(FILE_BYTES_MAX + 1).read_to_end(bytes);
    let read = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            eprintln!("Reading the list from the terminal; Ctrl-D ends it.");
        }
        read(&mut io::stdin().lock(), &mut bytes)
    } else {
        File::open(path).and_then(|mut file| read(&mut file, &mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{} is longer than {} MiB: this is not a list", path.display(), FILE_BYTES_MAX / 1024 / 1024);
    }
    Ok(bytes)
}

/// The file of the report. It gets its name when it is whole, so that corrections in an earlier report of this name are
/// not lost.
struct Report {
    path: PathBuf,
    new: PathBuf,
    file: File,
}

impl Report {
    /// Creates the file, before anything is changed. An earlier report in which somebody has filled in corrections is
    /// replaced only if these are given by `--resolve`, since the new report then has them, too; another file is never
    /// replaced.
    fn create(path: PathBuf, args: &ListArgs) -> anyhow::Result<Self> {
        let same = |other: &Path| path.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path));
        if path.exists() && !args.resolve.as_deref().is_some_and(same) {
            let earlier = fs::read(&path).ok().and_then(|bytes| Resolutions::read(&decode(&bytes).ok()?.0).ok());
            match earlier {
                Some(corrections) if corrections.is_empty() => {}
                Some(_) => bail!(
                    "{} has corrections, which would be lost: give it with --resolve, or name another file",
                    path.display()
                ),
                None => bail!("{} exists and is no report: name another file", path.display()),
            }
        }
        let mut new = path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let file = File::create(&new).with_context(|| format!("cannot write the report to {}", path.display()))?;
        Ok(Self { path, new, file })
    }

    fn write(self, list: &ImportedList, rows: usize) -> anyhow::Result<()> {
        let written = write_report(&self.file, list.rows()).and_then(|()| fs::rename(&self.new, &self.path));
        let name = self.path.display();
        written.with_context(|| format!("cannot write the report to {name}"))?;
        let hint = if rows == 0 {
            String::new()
        } else {
            "; write the right ids into the column `movie`, or - to leave a row out, and import again with --resolve"
                .to_owned()
        };
        Output::Text.report(&format!("rows that need attention: {rows}, in {name}{hint}"))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // Fails if it was renamed.
        let _ = fs::remove_file(&self.new);
    }
}

/// A name of 1 to 255 characters that can be seen.
fn text(value: &str) -> Result<String, String> {
    let length = value.trim().chars().count();
    if !(1..=TEXT_MAX).contains(&length) || value.contains(char::is_control) {
        return Err(format!("expected 1 to {TEXT_MAX} characters, without control characters"));
    }
    Ok(value.trim().to_owned())
}
