//! `cinegraph demo`: from nothing to a serving API in one command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::serve::{AddressArgs, interrupted, until_interrupted};
use super::{generate, import, refresh};
use crate::app::{Addresses, App};
use crate::services::import::Generated;
use crate::store::{CatalogueOrigin, Installation};

/// Films of a first start.
const FILMS: u32 = 20_000;

/// What they are invented from.
const SEED: u64 = 1;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many films to invent [default: 20000 at the first start, later whatever is there]
    #[arg(long, conflicts_with = "data")]
    films: Option<u32>,
    /// Import this directory of CSV files instead; invented films are replaced
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
}

pub(super) async fn run(app: &App, args: DemoArgs) -> anyhow::Result<ExitCode> {
    tokio::select! {
        filled = fill(app, args.films, args.data) => filled?,
        () = interrupted() => return Ok(ExitCode::from(super::INTERRUPTED)),
    }
    let stop = CancellationToken::new();
    until_interrupted(&stop, app.serve(&stop, true, welcome)).await
}

/// Makes sure that there are films with scores.
async fn fill(app: &App, films: Option<u32>, data: Option<PathBuf>) -> anyhow::Result<()> {
    app.store.migrate().await?;
    let Installation { owns_catalogue, origin } = app.store.installation().await?;
    match (films, data) {
        (_, Some(dir)) => {
            import::csv(app, &dir, Generated::Replace).await?;
            refresh::all(app).await
        }
        (Some(films), None) if origin != Some(CatalogueOrigin::Generated { films, seed: SEED }) => {
            generate::fill(app, films, SEED).await?;
            refresh::all(app).await
        }
        (None, None) if origin.is_none() && owns_catalogue => {
            generate::fill(app, FILMS, SEED).await?;
            refresh::all(app).await
        }
        // A start that was interrupted after the films and before the scores.
        _ if app.store.snapshot().await?.is_none() => refresh::all(app).await,
        _ => Ok(()),
    }
}

fn welcome(addresses: Addresses) {
    let base = format!("http://{}", addresses.public);
    let text = format!(
        "
Cinegraph predicts at

    {base}/

and serves {base}/graphql; ask it in a browser at

    {base}/graphiql

Three questions to try:

  The films of the 2020s most likely to join the list, and why
    {{ predictions(first: 5) {{ nodes {{ rank score likelihood movie {{ title year }}
                                      breakdown {{ criterion contribution }} }} }} }}

  How well the same ranking would have found earlier additions
    {{ validation {{ overall {{ hits listed accuracy interval {{ low high }} }}
                   decades {{ decade hits listed accuracy lift }} }} }}

  The nineties under weights of your own: acclaim counts most, popularity not at all
    {{ predictions(decade: 1990, first: 5, weights: {{ popularOpinion: 0, criticalAcclaim: 3,
         industryRecognition: 1, culturalImpact: 1, peopleQuality: 1 }}) {{ nodes {{ rank score movie {{ title }} }} }} }}

Metrics and health: http://{admin}/metrics. Stop with Ctrl-C; the films are kept.

",
        admin = addresses.admin
    );
    // A closed standard output is no reason not to serve.
    let _ = super::print(&text);
}
