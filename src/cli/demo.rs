//! `cinegraph demo`: from nothing to a serving API in one command.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::output::{Output, log_quietly, logs_quietly, print};
use super::serve::AddressArgs;
use super::signals::{INTERRUPTED, interrupted, stop_on_signal};
use super::{generate, import, refresh};
use crate::app::{Addresses, App, ServeOptions};
use crate::config::{AllowedOrigins, Config};
use crate::http::Explorer;
use crate::services::import::Generated;
use crate::store::{CatalogueOrigin, DataOrigin, Installation};

/// Number of movies that the first start generates. A choice: enough for several hundred movies in every decade since
/// the 1920s. The help of `--films` names this number.
const MOVIES: u32 = 20_000;

/// Seed of the generator, an arbitrary number.
const SEED: u64 = 1;

/// An operation to try first. Short, so that the command with it fits on one line of a wide terminal.
const FIRST_QUERY: &str = "{predictions(first:3){nodes{rank score movie{title year}}}}";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Generate this many movies, in place of earlier generated ones [default: 20000 if the database has no movies,
    /// otherwise none]
    #[arg(long = "films", value_name = "FILMS", conflicts_with = "data")]
    movies: Option<u32>,
    /// Import this directory of CSV files, in place of generated movies
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
}

/// Changes settings for a demo, unless they are set: pages served from this machine may call the API, so that
/// developers can try their frontends; and in a terminal requests are not logged, so that the addresses stay on the
/// screen.
pub(super) fn configure(config: &mut Config, output: Output) {
    config.cors_allowed_origins.get_or_insert_with(AllowedOrigins::loopback);
    if output == Output::Text && io::stdout().is_terminal() {
        log_quietly(config);
    }
}

/// Runs the demo. `program` is the beginning of a command line for the same database, such as `cinegraph --data-dir DIR`,
/// as [`GlobalArgs::program`] returns it, for the welcome text.
///
/// [`GlobalArgs::program`]: super::command::GlobalArgs::program
pub(super) async fn run(app: &App, output: Output, program: &str, args: DemoArgs) -> anyhow::Result<ExitCode> {
    tokio::select! {
        filled = fill(app, output, args.movies, args.data) => filled?,
        () = interrupted() => return Ok(ExitCode::from(INTERRUPTED)),
    }
    let data_origin = app.store.installation().await?.data_origin();
    let explorer = app.config.graphiql_enabled.then(|| Explorer::new(app.config.graphiql_dir.clone(), None));
    let quiet = logs_quietly(&app.config);
    let ready =
        |addresses: Addresses| welcome(output, &Links::new(addresses, explorer.as_ref()), program, data_origin, quiet);
    let stop = CancellationToken::new();
    stop_on_signal(&stop, app.serve(&stop, ServeOptions { jobs: true, warming: true }, ready)).await
}

/// Makes sure that there are movies with scores. Existing movies stay, unless the arguments ask for other ones.
async fn fill(app: &App, output: Output, movies: Option<u32>, data: Option<PathBuf>) -> anyhow::Result<()> {
    app.store.migrate().await?;
    let Installation { owns_catalogue, origin } = app.store.installation().await?;
    match (movies, data) {
        (_, Some(dir)) => {
            let mut stored = import::Stored::default();
            let summary = import::csv(app, output, &dir, Generated::Replace, &mut stored).await?;
            // The next start computes the scores.
            stored.finish();
            output.report(&summary)?;
            refresh::all(app, output).await
        }
        (Some(movies), None) if origin != Some(CatalogueOrigin::Generated { movies, seed: SEED }) => {
            generate::fill(app, output, movies, SEED).await?;
            refresh::all(app, output).await
        }
        // If `owns_catalogue` is false, the tables belong to a host application, which fills them itself.
        (None, None) if origin.is_none() && owns_catalogue => {
            generate::fill(app, output, MOVIES, SEED).await?;
            refresh::all(app, output).await
        }
        // The movies stay, but no refresh of their scores has ended, since its last step writes the snapshot. This
        // happens if an earlier start was interrupted.
        _ if app.store.snapshot().await?.is_none() => refresh::all(app, output).await,
        _ => Ok(()),
    }
}

/// Addresses of a running demo, as URLs for people.
struct Links {
    addresses: Addresses,
    page: String,
    api: String,
    /// `None` if GraphiQL is disabled. Followed by a hint if its files are not installed.
    explorer: Option<String>,
    metrics: String,
}

impl Links {
    fn new(addresses: Addresses, explorer: Option<&Explorer>) -> Self {
        let base = format!("http://{}", addresses.public);
        Self {
            addresses,
            page: format!("{base}/"),
            api: format!("{base}/graphql"),
            explorer: explorer.map(|explorer| {
                let hint = if explorer.is_installed() { "" } else { " (not installed: run `make explorer`)" };
                format!("{base}/graphiql{hint}")
            }),
            metrics: format!("http://{}/metrics", addresses.admin),
        }
    }

    fn curl(&self) -> String {
        format!("curl -G {} --data-urlencode 'query={FIRST_QUERY}'", self.api)
    }
}

/// Prints or logs the addresses of the demo. If `quiet`, requests are not logged, and the printed text says how to log
/// them.
fn welcome(output: Output, links: &Links, program: &str, data_origin: DataOrigin, quiet: bool) {
    match output {
        Output::Text => {
            // An error means that standard output is closed, which must not stop the service.
            let _ = print(&welcome_text(links, program, data_origin, quiet));
        }
        Output::Log => tracing::info!(
            public_addr = %links.addresses.public,
            admin_addr = %links.addresses.admin,
            page = links.page,
            api = links.api,
            explorer = links.explorer,
            metrics = links.metrics,
            curl = links.curl(),
            generated = data_origin == DataOrigin::Generated,
            "serving"
        ),
    }
}

fn welcome_text(links: &Links, program: &str, data_origin: DataOrigin, quiet: bool) -> String {
    let explorer = links.explorer.iter().map(|url| format!("  Explorer  {url}\n")).collect::<String>();
    let origin = if data_origin == DataOrigin::Generated { generated_text(program) } else { String::new() };
    let logs = if quiet { "Only warnings are logged here; CINEGRAPH_LOG_FILTER=info logs every request. " } else { "" };
    format!(
        "
  Page      {}
  API       {}
{explorer}  Metrics   {}

  {}
{origin}
{logs}Ctrl-C stops everything; the movies are kept.

",
        links.page,
        links.api,
        links.metrics,
        links.curl()
    )
}

/// How to get from generated movies to real ones.
fn generated_text(program: &str) -> String {
    format!(
        "
Demo data: these movies are generated and do not exist. To load real ones, also while this runs:

  {program} import csv DIR --replace-generated     your own files
  {program} import imdb DIR --replace-generated    IMDb's public files, from https://datasets.imdbws.com
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        let address = |port| ([127, 0, 0, 1], port).into();
        let explorer = Explorer::new(Some("/nowhere".into()), None);
        Links::new(Addresses { public: address(8080), admin: address(9464) }, Some(&explorer))
    }

    #[test]
    fn the_welcome_names_every_address_and_one_command() {
        let text = welcome_text(&links(), "cinegraph", DataOrigin::Imported, false);
        for part in [
            "Page      http://127.0.0.1:8080/\n",
            "API       http://127.0.0.1:8080/graphql\n",
            "Explorer  http://127.0.0.1:8080/graphiql (not installed: run `make explorer`)\n",
            "Metrics   http://127.0.0.1:9464/metrics\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(text.matches("curl").count(), 1, "{text}");
        assert!(!text.contains("generated"), "{text}");
    }

    #[test]
    fn the_welcome_says_that_movies_are_generated_and_how_to_load_real_ones() {
        let text = welcome_text(&links(), "bin/cinegraph --data-dir x", DataOrigin::Generated, true);
        assert!(text.contains("generated and do not exist"), "{text}");
        assert!(text.contains("bin/cinegraph --data-dir x import csv DIR --replace-generated"), "{text}");
        assert!(text.contains("CINEGRAPH_LOG_FILTER"), "{text}");
    }
}
