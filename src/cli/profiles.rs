//! `cinegraph profiles`

use clap::Args;
use serde::Deserialize;
use serde_json::Map;

use super::api::{LocalApi, Object, decoded};
use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::App;

const PROFILES: &str = "{
  profiles(activeOnly: false) {
    name description isDefault isSystem active updatedAt
    weights { popularOpinion criticalAcclaim industryRecognition culturalImpact peopleQuality }
  }
}";

#[derive(Debug, Args)]
pub(super) struct ProfilesArgs {
    /// Print JSON, with the names and values of the API
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    name: String,
    description: Option<String>,
    is_default: bool,
    active: bool,
    weights: Weights,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Weights {
    popular_opinion: f64,
    critical_acclaim: f64,
    industry_recognition: f64,
    cultural_impact: f64,
    people_quality: f64,
}

pub(super) async fn run(app: &App, args: &ProfilesArgs) -> anyhow::Result<()> {
    let api = LocalApi::open(app).await?;
    let value = api.query(PROFILES, Map::new()).await?;
    let profiles: Vec<Profile> = decoded(&value)?;
    if args.json {
        print_json(&Object::default().with("profiles", value)?)?;
    } else if !profiles.is_empty() {
        print(&format!("{}\n", printed(&profiles)))?;
    }
    anyhow::ensure!(!profiles.is_empty(), "there are no profiles: the mutation `createProfile` adds one");
    Ok(())
}

fn printed(profiles: &[Profile]) -> String {
    let columns = [
        Column::text("Profile"),
        Column::number("Popular"),
        Column::number("Critics"),
        Column::number("Awards"),
        Column::number("Culture"),
        Column::number("People"),
        Column::text("State"),
        Column::text("Description").cut().left_out(0),
    ];
    let row = |profile: &Profile| {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let state = match (profile.is_default, profile.active) {
            (true, true) => "default",
            (_, false) => "inactive",
            (false, true) => "",
        };
        let weights = &profile.weights;
        [
            profile.name.clone(),
            percent(weights.popular_opinion),
            percent(weights.critical_acclaim),
            percent(weights.industry_recognition),
            percent(weights.cultural_impact),
            percent(weights.people_quality),
            state.to_owned(),
            profile.description.clone().unwrap_or_default(),
        ]
    };
    table(columns, profiles.iter().map(row).collect())
}
