//! `cinegraph invalidate`

use clap::Args;

use super::arguments::{decade, require_list, require_profile};
use super::output::print;
use crate::app::App;
use crate::scoring::Decade;
use crate::services::invalidation::Target;

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct InvalidateArgs {
    /// All cached results and responses
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
    let services = app.services().await?;
    let (target, what) = match (args.list, args.decade, args.profile) {
        _ if args.all => (Target::All, None),
        (Some(list), Some(decade), _) => {
            require_list(&services, &list).await?;
            let what = format!("about the list {list} in the {decade}");
            (Target::Decade { list, decade: decade.year() }, Some(what))
        }
        (_, _, Some(name)) => {
            let name = require_profile(&services, &name).await?.name.clone();
            let what = format!("under the weights of {name}");
            (Target::Profile(name), Some(what))
        }
        // clap has rejected all other combinations; the types do not show that.
        _ => anyhow::bail!("say what to invalidate: --all, --list with --decade, or --profile"),
    };
    let versions = services.invalidate_by_command(target).await?.versions;
    print(&match what {
        Some(what) => format!("Invalidated cached results and responses {what}.\n"),
        None => format!("Invalidated all cached results and responses ({versions} data versions).\n"),
    })
}
