//! `cinegraph generate`

use clap::Args;

use super::output::Output;
use crate::app::App;
use crate::services::generate::{GenerateRequest, generate};

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// How many movies, 1 to 5000000
    #[arg(long = "films", value_name = "FILMS", default_value_t = 20_000)]
    movies: u32,
    /// Seed of the generator: the same seed gives the same movies
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(app: &App, args: &GenerateArgs) -> anyhow::Result<()> {
    // Fails if migrations are missing, before the catalogue is generated.
    app.store.installation().await?;
    fill(app, Output::Text, args.movies, args.seed).await?;
    super::refresh::all(app, Output::Text).await
}

/// Replaces a generated catalogue, or fills an empty one.
pub(super) async fn fill(app: &App, output: Output, movies: u32, seed: u64) -> anyhow::Result<()> {
    let mut steps = output.steps();
    let request = GenerateRequest { movies, seed };
    let summary = generate(&app.store, request, &mut |p| steps.at(&p.phase.to_string(), p.done, p.total)).await?;
    steps.finish();
    let rows: u64 = summary.rows.values().sum();
    output.report(&format!("Generated {movies} movies from seed {seed}: {rows} rows."))
}
