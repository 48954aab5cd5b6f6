//! Tries `cinegraph postgres` by hand.
use clap::Parser;
#[derive(Parser)]
enum Cli {
    Postgres(cinegraph::cli::postgres::PostgresArgs),
}
#[tokio::main]
async fn main() -> anyhow::Result<std::process::ExitCode> {
    let Cli::Postgres(args) = Cli::parse();
    let dir =
        std::env::var_os("CINEGRAPH_DATA_DIR").map_or_else(cinegraph::private_postgres::default_data_dir, Into::into);
    cinegraph::cli::postgres::run(args, dir).await
}
