//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    config, demo, film, generate, import, invalidate, jobs, lists, migrate, model, postgres, predict, profiles, prove,
    refresh, serve, status, validate, worker,
};
use crate::config::{Overrides, Secret};

/// Ranks the movies of a decade by how likely they are to join a canonical list, and validates the ranking.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Settings that beat the configuration file and the environment.
#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// The configuration file [default: that of CINEGRAPH_CONFIG, or cinegraph.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this PostgreSQL instead of the embedded one (visible in the process list; prefer CINEGRAPH_DATABASE_URL)
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Directory of the embedded PostgreSQL, and of the last result of `cinegraph prove`
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Format of log lines: json, pretty, or auto (json for demo, serve and worker without a terminal, otherwise pretty)
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl GlobalArgs {
    /// The beginning of a command line that starts this program with the same settings, for messages. It has `URL` in
    /// place of a database URL, which may hold a password.
    pub(super) fn program(&self) -> String {
        let name = std::env::args().next().unwrap_or_else(|| "cinegraph".to_owned());
        let config = self.config.iter().map(|file| format!(" --config {}", file.display()));
        let data_dir = self.data_dir.iter().map(|dir| format!(" --data-dir {dir}"));
        let database = self.database_url.iter().map(|_| " --database-url URL".to_owned());
        std::iter::once(name).chain(config).chain(data_dir).chain(database).collect()
    }

    /// The settings that these arguments override. The addresses are not among them:
    /// [`DatabaseCommand::override_settings`] adds those.
    pub(super) fn overrides(self) -> Overrides {
        Overrides {
            config: self.config,
            database_url: self.database_url.map(Secret::from),
            data_dir: self.data_dir,
            log_format: self.log_format,
            ..Overrides::default()
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    OnDatabase(DatabaseCommand),
    /// Print the GraphQL schema
    Schema,
    /// Print the reference of all metrics as Markdown: docs/METRICS.md
    #[command(hide = true)]
    Metrics,
    /// Print every setting with its meaning, value and origin; passwords are masked
    Config(config::ConfigArgs),
    /// Run a command against the embedded PostgreSQL, such as `cinegraph postgres -- psql`
    Postgres(postgres::PostgresArgs),
}

/// Commands that need the database.
#[derive(Debug, Subcommand)]
pub(super) enum DatabaseCommand {
    /// Start everything at once: embedded PostgreSQL, generated or imported movies, scores, page and API
    Demo(demo::DemoArgs),
    /// Serve page and API, and run background jobs
    Serve(serve::ServeArgs),
    /// Run background jobs only: person quality, scores, snapshots, learned rankings
    Worker(worker::WorkerArgs),
    /// Create or update the schema, or attach to the database of a host application
    Migrate(migrate::MigrateArgs),
    /// Import movies from files, and compute their scores
    Import(import::ImportArgs),
    /// Generate movies, in place of earlier generated ones, and compute their scores
    Generate(generate::GenerateArgs),
    /// Recompute scores, person quality or the validation snapshot, or all of them
    Refresh(refresh::RefreshArgs),
    /// Print the movies of a decade that are most likely to join the list
    Predict(predict::PredictArgs),
    /// Print how many of the listed movies of earlier decades the ranking would have predicted
    Validate(validate::ValidateArgs),
    /// Find movies of all years by title, or show how the score of one comes about
    Film(film::FilmArgs),
    /// Print the lists with their keys, the values of --list, and their sizes and decades
    Lists(lists::ListsArgs),
    /// Print the weight profiles, the values of --profile
    Profiles(profiles::ProfilesArgs),
    /// Train, show or roll back the learned rankings of a list
    Model(model::ModelArgs),
    /// Compare the speed of this service with the SQL query that it replaces, on the loaded data, which stays unchanged
    Prove(prove::ProveArgs),
    /// Show scores, snapshot, queue and jobs, and the caches, connections and circuit breakers of a running instance
    Status(status::StatusArgs),
    /// Invalidate cached results and responses on every instance; the next requests recompute them
    Invalidate(invalidate::InvalidateArgs),
    /// Print background jobs, or retry failed ones
    Jobs(jobs::JobsArgs),
}

impl DatabaseCommand {
    /// Whether the command runs until it is stopped. Such a command logs to standard output. The other commands print a
    /// result there, and log to standard error.
    pub(super) fn is_service(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Serve(_) | Self::Worker(_))
    }

    /// Overrides settings with what the arguments of this command say.
    pub(super) fn override_settings(&self, overrides: &mut Overrides) {
        match self {
            Self::Demo(demo::DemoArgs { addresses, .. }) | Self::Serve(serve::ServeArgs { addresses, .. }) => {
                overrides.http_addr.clone_from(&addresses.http_addr);
                overrides.admin_addr.clone_from(&addresses.admin_addr);
            }
            Self::Worker(worker::WorkerArgs { admin_addr }) | Self::Status(status::StatusArgs { admin_addr, .. }) => {
                overrides.admin_addr.clone_from(admin_addr);
            }
            Self::Import(args) => overrides.imdb_base_url = args.base_url().cloned(),
            _ => {}
        }
    }
}
