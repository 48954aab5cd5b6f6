//! `cinegraph invalidate`

use anyhow::Context;
use clap::Args;

use super::arguments::{decade, require_list};
use super::output::print;
use crate::app::App;
use crate::scoring::Decade;
use crate::versions::Scope;

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct InvalidateArgs {
    /// All cached responses
    #[arg(long, conflicts_with_all = ["list", "decade", "profile"])]
    all: bool,
    /// Rankings and validations of this list in --decade, and the responses that contain them
    #[arg(long, requires = "decade", conflicts_with = "profile", value_name = "KEY")]
    list: Option<String>,
    /// First year of the decade of --list
    #[arg(long, requires = "list", value_parser = decade)]
    decade: Option<Decade>,
    /// Results under the weights of this profile, and the responses that contain them
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

pub(super) async fn run(app: &App, args: InvalidateArgs) -> anyhow::Result<()> {
    if args.all {
        // Fails if migrations are missing.
        app.store.installation().await?;
        let counted = app.store.invalidate_all().await?;
        return print(&format!("Invalidated all cached responses ({counted} data versions).\n"));
    }
    let services = app.services().await?;
    let (scope, what) = match (args.list, args.decade, args.profile) {
        (Some(list), Some(decade), _) => {
            require_list(&services, &list).await?;
            let what = format!("about the list {list} in the {decade}");
            (Scope::List(list, decade), what)
        }
        (_, _, Some(name)) => {
            let profiles = services.profiles.all().await?;
            let profile = profiles.iter().find(|profile| profile.name == name).with_context(|| {
                let known: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
                format!("unknown profile \"{name}\"; known profiles: {}", known.join(", "))
            })?;
            (Scope::Weights(profile.weights.fingerprint()), format!("under the weights of {name}"))
        }
        // clap has rejected all other combinations; the types do not show that.
        _ => anyhow::bail!("say what to invalidate: --all, --list with --decade, or --profile"),
    };
    app.store.invalidate(&scope).await?;
    print(&format!("Invalidated cached responses {what}.\n"))
}
