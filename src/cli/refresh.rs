//! `cinegraph refresh`

use clap::{Args, ValueEnum};

use super::output::Output;
use super::progress::Steps;
use crate::app::App;
use crate::scoring::Accuracy;
use crate::services::default_profile::{self, Chosen};
use crate::services::refresh::{self, Progress};

#[derive(Debug, Args)]
pub(super) struct RefreshArgs {
    /// What to recompute
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The quality of people
    People,
    /// The scores of movies
    Scores,
    /// Blind scores, and the snapshot that validations read
    Snapshot,
    /// All three, in this order; without people if another application computes their quality
    All,
}

pub(super) async fn run(app: &App, args: &RefreshArgs) -> anyhow::Result<()> {
    match args.what {
        What::People => {
            anyhow::ensure!(
                computes_person_quality(app).await?,
                "another application maintains the quality of people here; to compute it all the same, set \
                 person_quality_enabled to true"
            );
            people(app, Output::Text).await
        }
        // `installation` fails if migrations are missing.
        What::Scores => {
            app.store.installation().await?;
            scores(app, Output::Text).await
        }
        What::Snapshot => {
            app.store.installation().await?;
            snapshot(app, Output::Text).await
        }
        What::All => all(app, Output::Text).await,
    }
}

/// Recomputes everything that is derived from the movies. In this order, because scores depend on person quality, and
/// the snapshot copies scores.
pub(super) async fn all(app: &App, output: Output) -> anyhow::Result<()> {
    if computes_person_quality(app).await? {
        people(app, output).await?;
    }
    scores(app, output).await?;
    snapshot(app, output).await
}

/// Whether this program computes the quality of people, or the host application does.
async fn computes_person_quality(app: &App) -> anyhow::Result<bool> {
    Ok(refresh::computes_person_quality(&app.store, app.config.person_quality_enabled).await?)
}

async fn people(app: &App, output: Output) -> anyhow::Result<()> {
    let mut steps = output.steps();
    let changes = refresh::person_quality(&app.store, &mut report(&mut steps)).await?;
    steps.finish();
    output.report(&format!("Quality of {} people computed, {} changed.", changes.rows, changes.changed))
}

async fn scores(app: &App, output: Output) -> anyhow::Result<()> {
    let mut steps = output.steps();
    let changes = refresh::scores(&app.store, &mut report(&mut steps)).await?;
    steps.finish();
    output.report(&format!("Scores of {} fully imported movies computed, {} changed.", changes.rows, changes.changed))
}

async fn snapshot(app: &App, output: Output) -> anyhow::Result<()> {
    let mut steps = output.steps();
    let target_lists = refresh::snapshot(&app.store, &app.config.target_lists, &mut report(&mut steps)).await?;
    steps.finish();
    output.report(&format!("Validation snapshot taken for {}.", target_lists.join(", ")))?;
    let chosen = default_profile::choose_once(&app.store, &app.clock, &target_lists).await?;
    chosen.map_or(Ok(()), |Chosen { profile, list, accuracy: Accuracy { hits, listed } }| {
        output.report(&format!(
            "Default profile: {profile}, which finds {hits} of the {listed} movies on {list}, at least as many as any other. The \
             mutation setDefaultProfile changes it."
        ))
    })
}

/// A callback that shows progress in `steps`.
fn report(steps: &mut Steps) -> impl FnMut(Progress) + Send {
    |progress| steps.at(progress.step.as_str(), progress.done, progress.total)
}
