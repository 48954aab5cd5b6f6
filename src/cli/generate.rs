//! `cinegraph generate`

use clap::Args;

use super::progress::Steps;
use crate::app::App;
use crate::services::generate::{GenerateRequest, generate};

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// How many films
    #[arg(long, default_value_t = 20_000)]
    films: u32,
    /// What to invent them from: the same number gives the same films
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(app: &App, args: &GenerateArgs) -> anyhow::Result<()> {
    app.store.installation().await?;
    fill(app, args.films, args.seed).await?;
    super::refresh::all(app).await
}

/// Replaces a generated catalogue, or fills an empty one.
pub(super) async fn fill(app: &App, films: u32, seed: u64) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let request = GenerateRequest { films, seed };
    let summary = generate(app.store.pool(), request, &mut |p| steps.at(&p.phase.to_string(), p.done, p.total)).await?;
    steps.finish();
    let rows: u64 = summary.rows.values().sum();
    super::print(&format!("Invented {films} films from seed {seed}: {rows} rows.\n"))
}
