//! The command line: arguments, exit codes, printing. No rules about movies.

mod api;
mod arguments;
mod command;
mod config;
mod demo;
mod download;
mod empty;
mod film;
mod generate;
mod http_client;
mod import;
mod import_list;
mod invalidate;
mod jobs;
mod lists;
mod migrate;
mod model;
mod output;
mod postgres;
mod predict;
mod profiles;
mod progress;
mod prove;
mod refresh;
mod schema;
mod serve;
mod signals;
mod status;
mod styled;
mod table;
mod terminal;
mod validate;
mod visible;
mod worker;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use self::command::{Cli, Command, DatabaseCommand};
use self::config::ConfigArgs;
use self::output::{Output, log_quietly, print};
use self::signals::{INTERRUPTED, interrupted, run_until_interrupted};
use self::terminal::{Style, has_colours};
use self::visible::visible;
use crate::app::{App, data_dir, metrics_reference};
use crate::config::{Config, Overrides};
use crate::telemetry::{self, LogFormat, LogOutput, TelemetryGuard, with_causes};

/// Stack of each worker thread. Tokio's default of 2 MiB is too little for the nested futures of a GraphQL operation in
/// a build without optimisation; unused stack takes no memory.
const STACK_BYTES: usize = 8 * 1024 * 1024;

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

/// Prints an error with its causes to standard error; returns the exit code of a failure.
fn failed(error: &anyhow::Error) -> ExitCode {
    let label = if has_colours(&std::io::stderr()) { Style::Error.of("error:") } else { "error:".to_owned() };
    // If standard error is closed, there is no place left to report that.
    let _ = writeln!(std::io::stderr(), "{label} {}", visible(&with_causes(&**error)));
    ExitCode::FAILURE
}

async fn run(Cli { global, command }: Cli) -> anyhow::Result<ExitCode> {
    let program = global.program();
    let overrides = global.overrides();
    match command {
        // Commands that need no settings work even if the configuration is invalid.
        Command::Schema => schema::run(),
        Command::Metrics => {
            print(&metrics_reference())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::OnDatabase(command) => run_on_database(command, overrides, &program).await,
        Command::Config(ConfigArgs { markdown: true }) => config::reference(),
        Command::Config(_) => {
            let config = Config::load(&overrides)?;
            let _telemetry = start_logs(&config, log_format(&config, LogOutput::Stderr), LogOutput::Stderr)?;
            config::run(&config)
        }
        Command::Postgres(args) => {
            let config = Config::load(&overrides)?;
            let _telemetry = start_logs(&config, log_format(&config, LogOutput::Stderr), LogOutput::Stderr)?;
            postgres::run(args, data_dir(&config)).await
        }
    }
}

/// Runs a command that needs the database. Services log to standard output, other commands to standard error.
async fn run_on_database(
    command: DatabaseCommand,
    mut overrides: Overrides,
    program: &str,
) -> anyhow::Result<ExitCode> {
    signals::listen();
    command.override_settings(&mut overrides);
    let mut config = Config::load(&overrides)?;
    let log_output = if command.is_service() { LogOutput::Stdout } else { LogOutput::Stderr };
    let log_format = log_format(&config, log_output);
    let output = if command.is_service() && log_format == LogFormat::Json { Output::Log } else { Output::Text };
    match command {
        DatabaseCommand::Demo(_) => demo::configure(&mut config, output),
        DatabaseCommand::Prove(_) => prove::configure(&mut config),
        // Progress and results say what is done.
        _ if !command.is_service() && std::io::stderr().is_terminal() => log_quietly(&mut config),
        _ => {}
    }
    let telemetry = start_logs(&config, log_format, log_output)?;
    // Only services export metrics: each short-lived command would leave behind time series under a new instance id.
    let exports = command.is_service().then_some(&telemetry);
    match execute(command, config, output, program, exports).await {
        // A service that logs JSON logs its last error as well, so that every line of its output is JSON.
        Err(error) if output == Output::Log => {
            tracing::error!(error = with_causes(&*error), "the program ends");
            Ok(ExitCode::FAILURE)
        }
        done => done,
    }
}

/// Starts logs and traces, and logs the names of ignored `CINEGRAPH_*` variables.
fn start_logs(config: &Config, format: LogFormat, output: LogOutput) -> anyhow::Result<TelemetryGuard> {
    let guard = telemetry::init(format, &config.log_filter, output)?;
    if !config.unknown_variables().is_empty() {
        tracing::warn!(variables = config.unknown_variables().join(", "), "ignoring variables that are not settings");
    }
    Ok(guard)
}

/// The configured format. `auto` is JSON for services that do not write to a terminal. Other commands write for people:
/// their lines stand between plain ones.
fn log_format(config: &Config, output: LogOutput) -> LogFormat {
    let (is_for_people, colours) = match output {
        LogOutput::Stdout => (std::io::stdout().is_terminal(), has_colours(&std::io::stdout())),
        LogOutput::Stderr => (true, has_colours(&std::io::stderr())),
    };
    if config.log_format.is_json(is_for_people) { LogFormat::Json } else { LogFormat::Pretty { colours } }
}

/// Runs a command with an application. Services handle signals themselves, because they shut down in steps; any other
/// command is dropped at the first signal.
async fn execute(
    command: DatabaseCommand,
    config: Config,
    output: Output,
    program: &str,
    exports: Option<&TelemetryGuard>,
) -> anyhow::Result<ExitCode> {
    use DatabaseCommand as Db;
    match command {
        Db::Demo(args) => {
            with_app(config, output, exports, async |app| demo::run(app, output, program, args).await).await
        }
        Db::Serve(args) => with_app(config, output, exports, async |app| serve::run(app, args).await).await,
        Db::Worker(_) => with_app(config, output, exports, worker::run).await,
        Db::Migrate(args) => run_to_end(config, async |app| migrate::run(app, &args).await).await,
        Db::Import(args) => run_to_end(config, async |app| import::run(app, args).await).await,
        Db::Generate(args) => run_to_end(config, async |app| generate::run(app, &args).await).await,
        Db::Refresh(args) => run_to_end(config, async |app| refresh::run(app, &args).await).await,
        Db::Predict(args) => run_to_end(config, async |app| predict::run(app, args).await).await,
        Db::Validate(args) => run_to_end(config, async |app| validate::run(app, args).await).await,
        Db::Film(args) => run_to_end(config, async |app| film::run(app, args).await).await,
        Db::Lists(args) => run_to_end(config, async |app| lists::run(app, &args).await).await,
        Db::Profiles(args) => run_to_end(config, async |app| profiles::run(app, &args).await).await,
        Db::Model(args) => run_to_end(config, async |app| model::run(app, args).await).await,
        Db::Prove(args) => {
            let command = async |app: &App| run_until_interrupted(Box::pin(prove::run(app, &args))).await;
            with_app(config, output, None, command).await
        }
        Db::Status(args) => run_to_end(config, async |app| status::run(app, &args).await).await,
        Db::Invalidate(args) => run_to_end(config, async |app| invalidate::run(app, args).await).await,
        Db::Jobs(args) => run_to_end(config, async |app| jobs::run(app, args).await).await,
    }
}

/// Runs a command that ends by itself.
async fn run_to_end(config: Config, command: impl AsyncFnOnce(&App) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let command = async |app: &App| command(app).await.map(|()| ExitCode::SUCCESS);
    with_app(config, Output::Text, None, async |app| run_until_interrupted(Box::pin(command(app))).await).await
}

/// Starts the application, runs the command, and stops the application with its embedded PostgreSQL even if the command
/// fails. An error of the command takes precedence over one of stopping.
///
/// `output`: where it says that the embedded PostgreSQL starts, which takes seconds.
///
/// `exports`: exports the metrics of the application by OTLP; `None` for commands that end by themselves.
async fn with_app(
    config: Config,
    output: Output,
    exports: Option<&TelemetryGuard>,
    command: impl AsyncFnOnce(&App) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let mut steps = output.steps();
    if config.database_url.is_none() {
        if output == Output::Log {
            output.report("Starting the embedded PostgreSQL")?;
        }
        steps.at("starting the embedded PostgreSQL", 0, 0);
    }
    // A start may take long, because it initialises the embedded PostgreSQL or waits for a database. If a signal
    // cancels it, no server is left behind.
    let app = tokio::select! {
        app = App::start(config) => app?,
        () = interrupted() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    drop(steps);
    if let Some(exports) = exports {
        exports.export_metrics(&app.metrics.recorder);
    }
    // Boxed because the futures of commands are large.
    let done = Box::pin(command(&app)).await;
    let stopped = app.stop().await;
    let code = done?;
    stopped.map(|()| code)
}
