//! Lists with their numbers, and how the service is.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};

use crate::services::status::Status;
use crate::store;

/// A canonical list.
#[derive(SimpleObject)]
pub(super) struct MovieList {
    /// Its key, as the argument `list` takes it.
    key: String,
    /// What it is called.
    name: String,
    /// Movies on it, full or not, dated or not.
    films: usize,
    /// Movies on it that have no release date, so that they are in no decade.
    undated: usize,
    /// The decades that have a movie, in order.
    decades: Vec<ListDecade>,
}

/// A list within one decade.
#[derive(SimpleObject)]
pub(super) struct ListDecade {
    /// First year of the decade.
    decade: i32,
    /// Movies of the decade on the list, full or not.
    listed: usize,
    /// Full movies of the decade that are not on the list.
    candidates: usize,
}

impl From<&store::ListSummary> for MovieList {
    fn from(list: &store::ListSummary) -> Self {
        let decades = list.decades.iter().map(|decade| ListDecade {
            decade: decade.decade,
            listed: decade.listed,
            candidates: decade.candidates,
        });
        Self {
            key: list.key.clone(),
            name: list.name.clone(),
            films: list.films,
            undated: list.undated,
            decades: decades.collect(),
        }
    }
}

/// Where the movies of this service come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "store::DataOrigin")]
pub(super) enum DataOrigin {
    /// Generated for demonstration: these movies do not exist.
    Generated,
    /// Imported from files.
    Imported,
    /// The tables of the host application that this service is attached to.
    Host,
    /// Nothing has been imported or generated yet.
    Unknown,
}

/// How the service is.
#[derive(SimpleObject)]
pub(super) struct ServiceStatus {
    /// Which release runs.
    version: &'static str,
    /// Which version of the formula it scores by.
    formula_version: i32,
    /// Full films that have a score.
    scored_films: usize,
    /// When the newest of these scores was computed; null where there are none.
    scored_at: Option<DateTime<Utc>>,
    /// When the snapshot was taken that validations read; null where none was.
    snapshot_at: Option<DateTime<Utc>>,
    /// The lists that validations can be blind for.
    target_lists: Vec<String>,
}

impl From<Status> for ServiceStatus {
    fn from(status: Status) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            formula_version: crate::scoring::FORMULA_VERSION,
            scored_films: status.scored_films,
            scored_at: status.scored_at,
            snapshot_at: status.snapshot_at,
            target_lists: status.target_lists,
        }
    }
}
