//! `cinegraph migrate`

use clap::Args;

use super::output::print;
use crate::app::App;
use crate::store::SchemaVariant;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Remove everything that Cinegraph added; the movie tables stay, and from then on count as those of a host
    /// application
    #[arg(long)]
    detach: bool,
    /// Also give the database a new identity. For a copy, such as a restored backup or a clone for staging, so that
    /// nothing that was cached from the original is used with it
    #[arg(long, conflicts_with = "detach")]
    new_identity: bool,
}

pub(super) async fn run(app: &App, args: &MigrateArgs) -> anyhow::Result<()> {
    if args.detach { detach(app).await } else { migrate(app, args.new_identity).await }
}

async fn migrate(app: &App, new_identity: bool) -> anyhow::Result<()> {
    let done = app.store.migrate().await?;
    let mut text = format!("Found {}.\n", done.found);
    text += &line("Migrations applied", &done.migrations);
    text += &line("Indexes built", &done.indexes);
    text += &line("Triggers put on", &done.triggers);
    text += "The schema is up to date.\n";
    if new_identity {
        app.store.renew_identity().await?;
        text += "The database has a new identity: running instances discard what they have cached.\n";
    }
    print(&text)
}

async fn detach(app: &App) -> anyhow::Result<()> {
    let done = app.store.detach().await?;
    let mut text = format!("Found {}.\n", done.found);
    text += &line("Triggers removed from", &done.triggers);
    text += &line("Indexes dropped", &done.indexes);
    text += "Removed the schemas cinegraph and cinegraph_jobs.\n";
    if done.found == SchemaVariant::Ours {
        text += "The movie tables stay, and from now on count as a host application's: `cinegraph migrate` attaches to \
                 them, but nothing can be imported. Drop the database to start again.\n";
    }
    print(&text)
}

/// A line that lists `names` after `what`; empty if there are no names.
fn line(what: &str, names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { String::new() } else { format!("{what}: {}.\n", names.join(", ")) }
}
