//! Arguments that several commands share.

use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::graphql::DEFAULT_LIST;
use crate::scoring::{Criterion, Decade, Weights};
use crate::services::Services;
use crate::services::learned::RankingKind;
use crate::services::profiles::WeightSelection;

/// Why a version that was accepted is not served.
pub(super) const UNUSABLE: &str =
    "its stored model is damaged or of another release; the formula is served until `cinegraph model train` has run";

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
    /// What to rank by
    #[arg(long, value_enum, default_value_t = RankingArg::Formula, conflicts_with_all = ["profile", "weights"])]
    ranking: RankingArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RankingArg {
    /// The scores of the formula under a profile or weights
    Formula,
    /// The ranking learned from the list, with other lists as inputs
    Learned,
    /// The ranking learned from the list, without other lists
    LearnedWithoutLists,
}

impl From<RankingArg> for RankingKind {
    fn from(ranking: RankingArg) -> Self {
        match ranking {
            RankingArg::Formula => Self::Formula,
            RankingArg::Learned => Self::Learned,
            RankingArg::LearnedWithoutLists => Self::LearnedWithoutLists,
        }
    }
}

impl RankingArgs {
    /// The selected weights. Without a profile and weights, those of the default profile. Also the learned ranking, if one
    /// is selected.
    ///
    /// # Errors
    /// If the list or the profile does not exist, no learned ranking is served, or the database is unavailable.
    pub(super) async fn selection(&self, services: &Services) -> anyhow::Result<WeightSelection> {
        require_list(services, &self.list).await?;
        let selection = match &self.weights {
            Some(WeightsArg(weights)) => WeightSelection::custom(*weights, services.reference.names().await?.criteria),
            None => {
                if let Some(name) = &self.profile {
                    require_profile(services, name).await?;
                }
                services.select_profile(self.profile.as_deref()).await?
            }
        };
        let Some(variant) = RankingKind::from(self.ranking).variant() else { return Ok(selection) };
        let model = services.learned.served(&self.list, variant).await?;
        if model.is_none() {
            let state = services.learned.state(&self.list, variant).await?;
            let refusal = state.as_ref().and_then(|state| state.latest.report.refusal.clone());
            let reason = match (state.is_some_and(|state| state.served.is_some()), refusal) {
                (true, _) => UNUSABLE.to_owned(),
                (false, Some(reason)) => reason,
                (false, None) => format!("run `cinegraph model train --list {}` first", self.list),
            };
            anyhow::bail!("no learned ranking of \"{}\" is served: {reason}", self.list);
        }
        Ok(WeightSelection { model, ..selection })
    }
}

/// A line that names the criteria that are left out of the weights; empty if all count.
pub(super) async fn criteria_note(services: &Services) -> anyhow::Result<String> {
    let criteria = services.reference.names().await?.criteria;
    let missing: Vec<_> = criteria.missing().map(Criterion::as_str).collect();
    if missing.is_empty() {
        return Ok(String::new());
    }
    Ok(format!("Left out for lack of data: {}.\n", missing.join(", ")))
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
