//! `cinegraph lists`

use clap::Args;
use serde::Deserialize;
use serde_json::Map;

use super::api::{LocalApi, Object, decoded};
use super::empty::decade_spans;
use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::App;

const LISTS: &str = "{
  lists { key name isTarget updatedAt movieCount undated decades { decade listed candidates } }
}";

#[derive(Debug, Args)]
pub(super) struct ListsArgs {
    /// Print JSON, with the names and values of the API
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    key: String,
    name: String,
    is_target: bool,
    updated_at: Option<String>,
    movie_count: usize,
    decades: Vec<ListDecade>,
}

#[derive(Debug, Deserialize)]
struct ListDecade {
    decade: i32,
    listed: usize,
}

pub(super) async fn run(app: &App, args: &ListsArgs) -> anyhow::Result<()> {
    let api = LocalApi::open(app).await?;
    let value = api.query(LISTS, Map::new()).await?;
    let lists: Vec<List> = decoded(&value)?;
    if args.json {
        print_json(&Object::default().with("lists", value)?)?;
    } else if !lists.is_empty() {
        print(&format!("{}\n", printed(&lists)))?;
    }
    anyhow::ensure!(!lists.is_empty(), "there are no lists yet: `cinegraph import list FILE --key KEY` imports one");
    Ok(())
}

fn printed(lists: &[List]) -> String {
    let columns = [
        Column::text("Key"),
        Column::text("Name").cut(),
        Column::number("Movies"),
        Column::text("Decades").left_out(1),
        Column::text("Target"),
        Column::text("Updated").left_out(0),
    ];
    let row = |list: &List| {
        let decades = list.decades.iter().filter(|one| one.listed > 0).map(|one| one.decade);
        [
            list.key.clone(),
            list.name.clone(),
            list.movie_count.to_string(),
            decade_spans(decades),
            if list.is_target { "yes" } else { "no" }.to_owned(),
            list.updated_at
                .as_deref()
                .map_or_else(String::new, |at| at.split('T').next().unwrap_or_default().to_owned()),
        ]
    };
    table(columns, lists.iter().map(row).collect())
}
