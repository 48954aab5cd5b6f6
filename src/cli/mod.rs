//! The command line: arguments, exit codes, printing. No rules about movies.

mod arguments;
mod config;
mod demo;
mod generate;
mod import;
mod invalidate;
mod jobs;
mod migrate;
mod output;
mod postgres;
mod predict;
mod progress;
mod prove;
mod refresh;
mod serve;
mod status;
mod table;
mod validate;
mod worker;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::output::Output;
use crate::app::{App, data_dir};
use crate::config::{AllowedOrigins, Config, Overrides, Secret};
use crate::telemetry::{self, LogFormat, LogOutput};

/// What `demo` logs in a terminal, and `prove`, unless `log_filter` is set: no line for each request.
const QUIET_LOG_FILTER: &str = "warn,sqlx::query=off,graphile_worker::runner::release=off";

/// Stack of each worker thread. Tokio's default of 2 MiB is too little for the nested futures of a GraphQL operation in
/// a build without optimisation; unused stack takes no memory.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Exit code of a program that was interrupted, as shells report it.
const INTERRUPTED: u8 = 130;

/// Ranks the movies of a decade by how likely they are to join a canonical list, and validates the ranking.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Settings that beat the configuration file and the environment.
#[derive(Debug, Args)]
struct GlobalArgs {
    /// The configuration file [default: cinegraph.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Use this PostgreSQL instead of the embedded one (visible in the process list; prefer CINEGRAPH_DATABASE_URL)
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Data directory of the embedded PostgreSQL
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// json, pretty, or auto
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl GlobalArgs {
    /// How to start the program again with the same settings, for messages. A database URL may hold a password, so it
    /// is left to the reader.
    fn program(&self) -> String {
        let name = std::env::args().next().unwrap_or_else(|| "cinegraph".to_owned());
        let config = self.config.iter().map(|file| format!(" --config {}", file.display()));
        let data_dir = self.data_dir.iter().map(|dir| format!(" --data-dir {dir}"));
        let database = self.database_url.iter().map(|_| " --database-url URL".to_owned());
        std::iter::once(name).chain(config).chain(data_dir).chain(database).collect()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything at once: embedded PostgreSQL, generated or imported movies, scores, page and API
    Demo(demo::DemoArgs),
    /// Serve the API
    Serve(serve::ServeArgs),
    /// Run background jobs only: scores, snapshots
    Worker(worker::WorkerArgs),
    /// Create or update the schema, or attach to the database of a host application
    Migrate(migrate::MigrateArgs),
    /// Import movies from files
    Import(import::ImportArgs),
    /// Fill the database with generated movies
    Generate(generate::GenerateArgs),
    /// Recompute person quality, scores and the validation snapshot
    Refresh(refresh::RefreshArgs),
    /// Print the most likely additions of a decade
    Predict(predict::PredictArgs),
    /// Print how well the ranking would have found earlier additions
    Validate(validate::ValidateArgs),
    /// Measure this service beside the query that it replaces, on the data that is loaded; changes no data
    Prove(prove::ProveArgs),
    /// Show scores, snapshot, queue and jobs, and the caches of a running instance
    Status(status::StatusArgs),
    /// Invalidate cached responses on every instance; the next request recomputes them
    Invalidate(invalidate::InvalidateArgs),
    /// Print background jobs, or retry failed ones
    Jobs(jobs::JobsArgs),
    /// Print the GraphQL schema
    Schema,
    /// Print every setting with its meaning, value and origin; secrets are hidden
    Config,
    /// Run a command against the embedded PostgreSQL, such as `cinegraph postgres -- psql`
    Postgres(postgres::PostgresArgs),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    runtime.block_on(run(cli)).unwrap_or_else(|error| failed(&error))
}

/// Says what went wrong, from what we were doing to the cause.
fn failed(error: &anyhow::Error) -> ExitCode {
    // A closed standard error leaves no way to report this.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let program = cli.global.program();
    let mut overrides = Overrides {
        config: cli.global.config,
        database_url: cli.global.database_url.map(Secret::from),
        data_dir: cli.global.data_dir,
        log_format: cli.global.log_format,
        ..Overrides::default()
    };
    if let Command::Worker(worker::WorkerArgs { admin_addr }) | Command::Status(status::StatusArgs { admin_addr, .. }) =
        &cli.command
    {
        overrides.admin_addr.clone_from(admin_addr);
    }
    if let Command::Serve(serve::ServeArgs { addresses, .. }) | Command::Demo(demo::DemoArgs { addresses, .. }) =
        &cli.command
    {
        overrides.http_addr.clone_from(&addresses.http_addr);
        overrides.admin_addr.clone_from(&addresses.admin_addr);
    }
    if matches!(cli.command, Command::Schema) {
        print(&crate::graphql::sdl())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = Config::load(&overrides)?;
    let (is_demo, is_prove) = (matches!(cli.command, Command::Demo(_)), matches!(cli.command, Command::Prove(_)));
    let serves = is_demo || matches!(cli.command, Command::Serve(_) | Command::Worker(_));
    let on_terminal = if serves { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
    let log_format = if config.log_format.is_json(on_terminal) { LogFormat::Json } else { LogFormat::Pretty };
    let output = if serves && log_format == LogFormat::Json { Output::Log } else { Output::Text };
    if is_demo {
        // Frontends of a developer run on this machine.
        config.cors_allowed_origins.get_or_insert_with(AllowedOrigins::loopback);
    }
    if is_prove {
        prove::configure(&mut config);
    }
    // In a terminal, a line for each request would push the addresses of a demo off the screen.
    if (is_prove || is_demo && on_terminal && output == Output::Text) && config.has_default_log_filter() {
        QUIET_LOG_FILTER.clone_into(&mut config.log_filter);
    }
    // Logs are the product of a service; for other commands standard output is for the result.
    let log_output = if serves { LogOutput::Stdout } else { LogOutput::Stderr };
    let _telemetry = telemetry::init(log_format, &config.log_filter, log_output)?;
    if is_demo && config.database_url.is_none() {
        output.report("Starting the embedded PostgreSQL")?;
    }
    let done = execute(cli.command, config, output, &program).await;
    match done {
        // Where every line is JSON, the reason of the end is, too.
        Err(error) if output == Output::Log => {
            tracing::error!(error = format!("{error:#}"), "the program ends");
            Ok(ExitCode::FAILURE)
        }
        done => done,
    }
}

/// Runs a command, on the database where it needs one.
async fn execute(command: Command, config: Config, output: Output, program: &str) -> anyhow::Result<ExitCode> {
    match command {
        Command::Schema => Ok(ExitCode::SUCCESS),
        Command::Config => config::run(&config),
        Command::Postgres(args) => postgres::run(args, data_dir(&config)).await,
        command => {
            // The embedded PostgreSQL stops with the program, whatever ends it.
            let app = App::start(config).await?;
            let done = match command {
                Command::Demo(args) => demo::run(&app, output, program, args).await,
                Command::Serve(args) => serve::run(&app, args).await,
                Command::Worker(_) => worker::run(&app).await,
                command => tokio::select! {
                    done = run_to_end(&app, command) => done,
                    () = serve::interrupted() => Ok(ExitCode::from(INTERRUPTED)),
                },
            };
            let stopped = app.stop().await;
            let code = done?;
            stopped.map(|()| code)
        }
    }
}

/// Commands that end by themselves.
async fn run_to_end(app: &App, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Migrate(args) => migrate::run(app, &args).await?,
        Command::Import(args) => import::run(app, args).await?,
        Command::Generate(args) => generate::run(app, &args).await?,
        Command::Refresh(args) => refresh::run(app, &args).await?,
        Command::Predict(args) => predict::run(app, args).await?,
        Command::Validate(args) => validate::run(app, args).await?,
        Command::Prove(args) => return prove::run(app, &args).await,
        Command::Status(args) => status::run(app, &args).await?,
        Command::Invalidate(args) => invalidate::run(app, args).await?,
        Command::Jobs(args) => jobs::run(app, args).await?,
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Worker(_)
        | Command::Schema
        | Command::Config
        | Command::Postgres(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes text to standard output. A reader that closes the pipe early (`| head`) is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a value to standard output as indented JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
