//! Arguments that several commands share.

use std::str::FromStr;

use clap::Args;

use crate::graphql::DEFAULT_LIST;
use crate::scoring::{Criterion, Decade, Weights};
use crate::services::Services;
use crate::services::profiles::{WeightSelection, selection};

/// Which ranking is meant.
#[derive(Debug, Args)]
pub(super) struct RankingArgs {
    /// Name of an active weight profile [default: the default profile]
    #[arg(long, conflicts_with = "weights")]
    profile: Option<String>,
    /// Five weights on any scale, separated by commas: popular opinion, critical acclaim, industry recognition, cultural impact and people quality
    #[arg(long, value_name = "W,W,W,W,W")]
    weights: Option<WeightsArg>,
    /// Key of the target list
    #[arg(long, default_value = DEFAULT_LIST)]
    pub(super) list: String,
}

impl RankingArgs {
    /// The selected weights. Without a profile and weights, those of the default profile.
    ///
    /// # Errors
    /// If the list or the profile does not exist, or the database is unavailable.
    pub(super) async fn selection(&self, services: &Services) -> anyhow::Result<WeightSelection> {
        require_list(services, &self.list).await?;
        match &self.weights {
            Some(WeightsArg(weights)) => Ok(WeightSelection { weights: *weights, profile: None }),
            None => {
                if let Some(name) = &self.profile {
                    require_profile(services, name).await?;
                }
                Ok(selection(&services.profiles.all().await?, self.profile.as_deref())?)
            }
        }
    }
}

/// Fails if no list has this key; the error names the lists that exist.
pub(super) async fn require_list(services: &Services, key: &str) -> anyhow::Result<()> {
    let reference = services.reference.names().await?;
    let lists = &reference.lists;
    if lists.iter().any(|list| list.key == key) {
        return Ok(());
    }
    let known: Vec<_> = lists.iter().map(|list| list.key.as_str()).collect();
    anyhow::bail!("unknown list \"{key}\"; known lists: {}", known.join(", "))
}

/// Fails if no profile has this name; the error names the profiles that exist, inactive ones too.
pub(super) async fn require_profile(services: &Services, name: &str) -> anyhow::Result<()> {
    let profiles = services.profiles.all().await?;
    if profiles.iter().any(|profile| profile.name == name) {
        return Ok(());
    }
    let known: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    anyhow::bail!("unknown profile \"{name}\"; known profiles: {}", known.join(", "))
}

/// Five weights, separated by commas.
#[derive(Debug, Clone, Copy)]
struct WeightsArg(Weights);

impl FromStr for WeightsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split(',').map(|part| part.trim().parse::<f64>().map_err(|error| format!("{part}: {error}")));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let count = numbers.len();
        let raw = numbers.try_into().map_err(|_| format!("{count} weights, expected {}", Criterion::COUNT))?;
        Weights::normalised(raw).map(Self).map_err(|error| error.to_string())
    }
}

/// Parses a decade, written as 1990 or 1990s.
pub(super) fn decade(text: &str) -> Result<Decade, String> {
    let year = text.trim_end_matches('s').parse().map_err(|_| format!("{text} is not a year"))?;
    Decade::starting(year).map_err(|error| error.to_string())
}
