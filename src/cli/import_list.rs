//! `cinegraph import list`

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cinegraph_list_formats::Family;
use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};

use super::output::Output;
use crate::app::App;
use crate::services::list_import::{ImportedList, ListRequest, Resolutions, import_list, write_report};
use crate::services::lists::set_target;
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
    #[arg(long, value_parser = value_parser!(i32).range(1000..=9999))]
    year: Option<i32>,
    /// Format of the file; `auto` recognises it
    #[arg(long, default_value = "auto", value_parser = PossibleValuesParser::new(formats()))]
    format: String,
    /// Make it a target list: one that can be validated by scores that do not know it
    #[arg(long)]
    target: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the rows that match no movie, with candidates, to this CSV file
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
    let bytes = read(&args.file)?;
    let resolutions = match &args.resolve {
        Some(path) => Resolutions::read(&String::from_utf8(read(path)?).context("the corrected report is not UTF-8")?)?,
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
        dry_run: args.dry_run,
    };
    let list = import_list(&app.store, &app.clock, None, &bytes, request).await?;
    Output::Text.report(&list.to_string())?;
    if let Some(path) = &args.report {
        report(path, &list)?;
    } else if list.reported() > 0 {
        Output::Text.report("--report FILE writes the rows that need attention, with candidates, for --resolve")?;
    }
    if args.target && !args.dry_run {
        set_target(&app.store, &Versions::default(), &app.config.target_lists, &args.key, true).await?;
    }
    if !list.has_changed {
        Output::Text.report("The list was already like this; nothing was changed.")?;
    }
    if args.dry_run || args.no_refresh || !(list.has_changed || args.target) {
        return Ok(());
    }
    super::refresh::all(app, Output::Text).await
}

/// Reads a file, or standard input for `-`.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |input: &mut dyn Read, bytes: &mut Vec<u8>| input.take(FILE_BYTES_MAX + 1).read_to_end(bytes);
    let read = if path.as_os_str() == "-" {
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

fn report(path: &Path, list: &ImportedList) -> anyhow::Result<()> {
    let written = File::create(path).and_then(|file| write_report(file, list.rows()));
    written.with_context(|| format!("cannot write the report to {}", path.display()))?;
    let hint = "write the right ids into its column `movie`, or - to leave a row out, and import again with --resolve";
    Output::Text.report(&format!("{} rows that need attention are in {}: {hint}", list.reported(), path.display()))
}
