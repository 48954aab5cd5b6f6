//! `cinegraph migrate`

use std::fmt::Write;

use clap::Args;

use crate::app::App;
use crate::store::Found;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Take away all that was added to the database of another application; film tables stay
    #[arg(long)]
    detach: bool,
}

pub(super) async fn run(app: &App, args: &MigrateArgs) -> anyhow::Result<()> {
    if args.detach { detach(app).await } else { migrate(app).await }
}

async fn migrate(app: &App) -> anyhow::Result<()> {
    let done = app.store.migrate().await?;
    let mut text = format!("Found {}.\n", done.found);
    for (what, names) in [("migrations", done.migrations), ("indexes", done.indexes), ("triggers", done.triggers)] {
        listed(&mut text, "Added", what, &names)?;
    }
    text.push_str("The schema is up to date.\n");
    super::print(&text)
}

async fn detach(app: &App) -> anyhow::Result<()> {
    let done = app.store.detach().await?;
    let mut text = format!("Found {}.\n", done.found);
    for (what, names) in [("triggers", done.triggers), ("indexes", done.indexes)] {
        listed(&mut text, "Removed", what, &names)?;
    }
    text.push_str("Nothing of Cinegraph's own is left.\n");
    if done.found == Found::Ours {
        text.push_str(
            "The film tables stay, and from now on count as another application's: `cinegraph migrate` attaches to them, \
             but nothing can be imported. Drop the database to start anew.\n",
        );
    }
    super::print(&text)
}

fn listed(text: &mut String, verb: &str, what: &str, names: &[String]) -> std::fmt::Result {
    match names {
        [] => Ok(()),
        names => writeln!(text, "{verb} {} {what}: {}.", names.len(), names.join(", ")),
    }
}
