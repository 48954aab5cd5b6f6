//! Schema types of lists with their counts, of the data origin and of the service status.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};

use crate::services::status::Status;
use crate::store;

/// A canonical list of movies, with counts by decade.
#[derive(SimpleObject)]
pub(super) struct MovieList {
    /// Key, as passed in the argument `list`.
    key: String,
    /// Display name.
    name: String,
    /// Movies on the list, including those that are not fully imported or have no release date.
    films: usize,
    /// Movies on the list without a release date. They belong to no decade.
    undated: usize,
    /// Decades that have movies, in ascending order.
    decades: Vec<ListDecade>,
}

/// Counts of one list in one decade.
#[derive(SimpleObject)]
pub(super) struct ListDecade {
    /// First year of the decade.
    decade: i32,
    /// Movies of the decade that are on the list, fully imported or not.
    listed: usize,
    /// Fully imported movies of the decade that are not on the list. Fully imported (`import_status` = `full`) means
    /// complete enough to be ranked.
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
            films: list.movies,
            undated: list.undated,
            decades: decades.collect(),
        }
    }
}

/// Origin of the movies in this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "store::DataOrigin")]
pub(super) enum DataOrigin {
    /// Generated for demonstration. These movies do not exist.
    Generated,
    /// Imported from files.
    Imported,
    /// Read from the host application's tables that the service is attached to.
    Host,
    /// No data has been imported or generated yet.
    Unknown,
}

/// Service version and data freshness.
#[derive(SimpleObject)]
pub(super) struct ServiceStatus {
    /// Release version of the service.
    version: &'static str,
    /// Version of the scoring formula.
    formula_version: i32,
    /// Fully imported movies that have a stored score.
    scored_films: usize,
    /// When the newest stored score was computed. Null if there are none.
    scored_at: Option<DateTime<Utc>>,
    /// When the score snapshot that validations read was taken. Null if there is none yet.
    snapshot_at: Option<DateTime<Utc>>,
    /// Keys of the lists that can be validated with basis `BLIND`.
    target_lists: Vec<String>,
}

impl From<Status> for ServiceStatus {
    fn from(status: Status) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            formula_version: crate::scoring::FORMULA_VERSION,
            scored_films: status.scored_movies,
            scored_at: status.scored_at,
            snapshot_at: status.snapshot_at,
            target_lists: status.target_lists,
        }
    }
}
