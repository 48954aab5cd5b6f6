//! Arguments that several commands share.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Map, json};

use super::api::{Object, QueryVariables};
use crate::graphql::{PAGE_MAX, did_you_mean};
use crate::scoring::{Criterion, Decade, Weights};
use crate::services::Services;
use crate::services::learned::RankingKind;
use crate::services::profiles::{WeightSelection, named};
use crate::store::Profile;

/// Why a version that was accepted is not served.
pub(super) const UNUSABLE: &str =
    "its stored model is damaged or of another release; the formula is served until `cinegraph model train` has run";

/// Names of the weights in the API, in criterion order.
const WEIGHT_FIELDS: [&str; Criterion::COUNT] =
    ["popularOpinion", "criticalAcclaim", "industryRecognition", "culturalImpact", "peopleQuality"];

/// The arguments of a field of the API that ranks, in the order of [`RankingArgs::variables`].
pub(super) const RANKING_VARIABLES: &str =
    "$list: String!, $profile: String, $weights: WeightsInput, $ranking: Ranking!";

/// Passes [`RANKING_VARIABLES`] on.
pub(super) const RANKING_ARGUMENTS: &str = "list: $list, profile: $profile, weights: $weights, ranking: $ranking";

/// Which ranking is meant.
#[derive(Debug, Args)]
pub(super) struct RankingArgs {
    /// Name of an active weight profile, of those that `cinegraph profiles` prints [default: the default profile]
    #[arg(long, conflicts_with = "weights")]
    profile: Option<String>,
    /// Five weights on any scale, separated by commas: popular opinion, critical acclaim, industry recognition, cultural impact and people quality
    #[arg(long, value_name = "W,W,W,W,W")]
    weights: Option<WeightsArg>,
    #[command(flatten)]
    list: ListArg,
    /// What to rank by
    #[arg(long, value_enum, default_value_t = RankingArg::Formula, conflicts_with_all = ["profile", "weights"])]
    ranking: RankingArg,
}

/// Which target list is meant.
#[derive(Debug, Args)]
pub(super) struct ListArg {
    /// Key of the target list, of those that `cinegraph lists` prints [default: the first of the setting `target_lists` that has movies]
    #[arg(long)]
    list: Option<String>,
}

impl ListArg {
    /// Takes the default list if none is given.
    ///
    /// # Errors
    /// If the list does not exist, or the database is unavailable.
    pub(super) async fn resolve(&mut self, services: &Services) -> anyhow::Result<()> {
        let reference = services.reference.names().await?;
        require_list(services, self.list.get_or_insert_with(|| reference.default_list.clone())).await
    }

    /// The key, which is empty until [`resolve`](Self::resolve) has run without a list being given.
    pub(super) fn key(&self) -> &str {
        self.list.as_deref().unwrap_or_default()
    }
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

impl RankingArg {
    /// The value of the API.
    fn api(self) -> &'static str {
        match self {
            Self::Formula => "FORMULA",
            Self::Learned => "LEARNED",
            Self::LearnedWithoutLists => "LEARNED_WITHOUT_LISTS",
        }
    }
}

impl RankingArgs {
    /// As [`ListArg::resolve`].
    pub(super) async fn resolve(&mut self, services: &Services) -> anyhow::Result<()> {
        self.list.resolve(services).await
    }

    /// As [`ListArg::key`].
    pub(super) fn list(&self) -> &str {
        self.list.key()
    }

    /// The variables of a query that ranks.
    pub(super) fn variables(&self) -> QueryVariables {
        let mut variables = Map::new();
        variables.insert("list".to_owned(), json!(self.list()));
        variables.insert("ranking".to_owned(), json!(self.ranking.api()));
        if let Some(profile) = &self.profile {
            variables.insert("profile".to_owned(), json!(profile));
        }
        if let Some(WeightsArg(weights)) = self.weights {
            let fields = WEIGHT_FIELDS.into_iter().zip(weights.shares());
            variables.insert("weights".to_owned(), fields.collect());
        }
        variables
    }

    /// What `--json` says of the ranking: the list, and the profile and the weights if they rank.
    pub(super) fn json(&self, selection: &WeightSelection) -> anyhow::Result<Object> {
        let is_formula = selection.model.is_none();
        let profile = selection.profile.as_ref().filter(|_| is_formula).map(|profile| json!({ "name": profile.name }));
        let weights = is_formula.then(|| weight_fields(selection.weights)).transpose()?;
        Object::default().with("list", self.list())?.with("profile", profile)?.with("weights", weights)
    }

    /// The selected weights. Without a profile and weights, those of the default profile. Also the learned ranking, if one
    /// is selected.
    ///
    /// # Errors
    /// If the profile does not exist, no learned ranking is served, or the database is unavailable.
    pub(super) async fn selection(&self, services: &Services) -> anyhow::Result<WeightSelection> {
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
        let model = services.learned.served(self.list(), variant).await?;
        if model.is_none() {
            let state = services.learned.state(self.list(), variant).await?;
            let refusal = state.as_ref().and_then(|state| state.latest.report.refusal.clone());
            let reason = match (state.is_some_and(|state| state.served.is_some()), refusal) {
                (true, _) => UNUSABLE.to_owned(),
                (false, Some(reason)) => reason,
                (false, None) => format!("run `cinegraph model train --list {}` first", self.list()),
            };
            anyhow::bail!("no learned ranking of \"{}\" is served: {reason}", self.list());
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

/// Fails if no list has this key; the error names similar keys, or all.
pub(super) async fn require_list(services: &Services, key: &str) -> anyhow::Result<()> {
    let reference = services.reference.names().await?;
    let lists = &reference.lists;
    if lists.iter().any(|list| list.key == key) {
        return Ok(());
    }
    anyhow::bail!(unknown("list", key, lists.iter().map(|list| list.key.as_str())))
}

/// The profile with this name, whose case does not matter. If there is none, the error names similar profiles, or all,
/// inactive ones too.
pub(super) async fn require_profile(services: &Services, name: &str) -> anyhow::Result<Arc<Profile>> {
    let profiles = services.profiles.all().await?;
    let unknown = || unknown("profile", name, profiles.iter().map(|profile| profile.name.as_str()));
    named(&profiles, name).cloned().with_context(unknown)
}

fn unknown<'a>(kind: &str, given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = did_you_mean(given, known.clone().map(|name| (name, [name])));
    let hint = hint.unwrap_or_else(|| format!("known {kind}s: {}", known.collect::<Vec<_>>().join(", ")));
    format!("unknown {kind} \"{given}\"; {hint}")
}

/// Weights as an object of the API.
fn weight_fields(weights: Weights) -> anyhow::Result<Object> {
    let fields = WEIGHT_FIELDS.into_iter().zip(weights.shares());
    fields.into_iter().try_fold(Object::default(), |object, (field, share)| object.with(field, share))
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
    let year = text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| format!("{text} is not a year"))?;
    Decade::starting(year).map_err(|error| {
        let first = year.checked_sub(year.rem_euclid(10)).and_then(|first| Decade::starting(first).ok());
        first.map_or_else(|| error.to_string(), |decade| format!("{error}; did you mean {}?", decade.year()))
    })
}

/// Parses how many movies are wanted.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected 1 or more".to_owned()),
        count => count.map_err(|_| format!("{text} is not a number of movies: expected 1 or more")),
    }
}

/// Parses how many movies are wanted, of which the API has no further page.
pub(super) fn page_size(text: &str) -> Result<i32, String> {
    text.parse().ok().filter(|size| (1..=PAGE_MAX).contains(size)).ok_or_else(|| format!("expected 1 to {PAGE_MAX}"))
}
