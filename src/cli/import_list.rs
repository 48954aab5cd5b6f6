//! `cinegraph import list`

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, bail};
use cinegraph_list_formats::Family;
use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::sync::oneshot;

use super::output::Output;
use crate::app::App;
use crate::services::drain::Drain;
use crate::services::list_import::{
    ImportedList, ListImportError, ListRequest, Resolutions, decode, import_list, write_report,
};
use crate::versions::Versions;

/// Maximum size of the file. Far above that of a list with the maximum number of rows; it protects memory from a file of
/// another kind.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Key of the list, by which `--list` and the API name it
    #[arg(long)]
    key: String,
    /// Name of the list [default: its present name, or that in the file]
    #[arg(long)]
    name: Option<String>,
    /// Edition in which the movies joined the list, where the file does not say it
    #[arg(long)]
    edition: Option<String>,
    /// Year of the list
    #[arg(long)]
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
    if args.resolve.as_ref().is_some_and(|path| path.as_os_str() == "-" && args.file == *path) {
        bail!("standard input is either the list or the corrected report: name a file for one of them");
    }
    let report = args.report.as_deref().map(|path| Report::create(path, args.resolve.as_deref())).transpose()?;
    let bytes = read(args.file.clone()).await?;
    let resolutions = match &args.resolve {
        Some(path) => {
            let bytes = read(path.clone()).await?;
            let read = decode(&bytes).map_err(Into::into).and_then(|(text, _)| Resolutions::read_corrected(&text));
            read.with_context(|| path.display().to_string())?
        }
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
        target: args.target.then_some(true),
        configured_targets: &app.config.target_lists,
        person_quality: false,
        dry_run: args.dry_run,
    };
    let list = import_list(&app.store, &app.clock, &Versions::default(), &bytes, request).await;
    let list = match (list, &args.resolve) {
        (Err(error @ (ListImportError::Report { .. } | ListImportError::OtherReport { .. })), Some(path)) => {
            return Err(error).with_context(|| path.display().to_string());
        }
        (list, _) => list?,
    };
    // An error of the output must not keep the scores from being computed: the list is imported.
    let shown = show(&list, report);
    if list.movies == 0 {
        shown?;
        bail!("none of the {} rows matches a movie of this database; nothing was changed", list.matches.len());
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
    /// replaced only if these are given by `--resolve`, since the new report then has them, too. Other files, pipes and
    /// devices are never replaced, nor written to.
    fn create(path: &Path, resolve: Option<&Path>) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        if path.as_os_str() == "-" {
            bail!("--report needs the name of a file; standard output is for the summary");
        }
        let cannot = || format!("cannot write the report to {shown}");
        let earlier = match path.symlink_metadata() {
            Ok(_) => Some(path.metadata().with_context(cannot)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(cannot),
        };
        let mut path = path.to_owned();
        if let Some(metadata) = &earlier {
            if !metadata.is_file() {
                bail!("{shown} is no file that could be a report; name another file");
            }
            // Of a link, the file is replaced, and not the link.
            path = path.canonicalize().with_context(cannot)?;
            let is_resolved =
                resolve.and_then(|resolve| resolve.canonicalize().ok()).is_some_and(|other| other == path);
            if !is_resolved {
                let corrections = read_blocking(&path).and_then(|bytes| Ok(Resolutions::read(&decode(&bytes)?.0)?));
                if !corrections
                    .with_context(|| format!("{shown} exists and is no report; name another file"))?
                    .is_empty()
                {
                    bail!("{shown} has corrections, which would be lost: give it with --resolve, or name another file");
                }
            }
        }
        let new = path.with_file_name(format!(".cinegraph-report-{:016x}", rand::random::<u64>()));
        let file = File::create_new(&new).with_context(cannot)?;
        let report = Self { path, new, file };
        if let Some(metadata) = earlier {
            report.file.set_permissions(metadata.permissions()).with_context(cannot)?;
        }
        Ok(report)
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
