//! Details of a movie: genres, countries, list memberships, metrics, nominations.

use async_graphql::SimpleObject;

use super::date::Timestamp;
use crate::store;

/// A genre.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Genre {
    /// TMDb ID. Null if the genre comes from another source.
    tmdb_id: Option<i32>,
    /// Name.
    name: String,
}

impl From<&store::Genre> for Genre {
    fn from(genre: &store::Genre) -> Self {
        Self { tmdb_id: genre.tmdb_id, name: genre.name.clone() }
    }
}

/// A country.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Country {
    /// ISO 3166-1 alpha-2 code.
    code: String,
    /// Name.
    name: String,
}

impl From<&store::Country> for Country {
    fn from(country: &store::Country) -> Self {
        Self { code: country.code.clone(), name: country.name.clone() }
    }
}

/// Membership of a movie in a list.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ListMembership {
    /// Key of the list.
    key: String,
    /// Display name of the list.
    name: String,
    /// Position on the list. Null if the list is not ordered.
    position: Option<i32>,
    /// Edition of the list that added the movie. Null if unknown.
    edition: Option<String>,
}

impl ListMembership {
    /// A membership with the name that its list has in `names`, or with the key of the list if there is no name.
    pub(super) fn of(membership: &store::Membership, names: &[store::ListName]) -> Self {
        let key = &membership.list_key;
        Self {
            key: key.clone(),
            name: names.iter().find(|list| list.key == *key).map_or(key, |list| &list.name).clone(),
            position: membership.position,
            edition: membership.edition.clone(),
        }
    }
}

/// An external rating or other metric of a movie, from one source.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Metric {
    /// Source: tmdb, imdb, metacritic, rotten_tomatoes, …
    source: String,
    /// Type: rating_average, metascore, tomatometer, popularity_score, …
    r#type: String,
    /// Value. Null if the source provides no number.
    value: Option<f64>,
    /// When the value was fetched from the source or, for imported files, imported.
    fetched_at: Timestamp,
}

impl From<&store::Metric> for Metric {
    fn from(metric: &store::Metric) -> Self {
        Self {
            source: metric.source.clone(),
            r#type: metric.metric_type.clone(),
            value: metric.value,
            fetched_at: Timestamp(metric.fetched_at),
        }
    }
}

/// Award nominations and wins of a movie.
#[derive(SimpleObject)]
pub(in crate::graphql) struct FestivalRecord {
    /// Number of wins.
    wins: usize,
    /// Number of nominations, including wins.
    nominations: usize,
    /// All nominations: latest first, then by organization and category.
    entries: Vec<FestivalEntry>,
}

impl FestivalRecord {
    /// The record with these nominations.
    pub(super) fn of(entries: Vec<FestivalEntry>) -> Self {
        Self { wins: entries.iter().filter(|entry| entry.won).count(), nominations: entries.len(), entries }
    }
}

/// An award nomination.
#[derive(SimpleObject)]
pub(in crate::graphql) struct FestivalEntry {
    /// Abbreviation of the organization, such as AMPAS for the Academy Awards; its name if it has none.
    organization: String,
    /// Year of the awards ceremony.
    year: i32,
    /// Award category.
    category: String,
    /// Name of the nominated person, or several names separated by commas. Null if the nomination names none.
    person_name: Option<String>,
    /// Whether the nomination won.
    won: bool,
}

impl From<&store::FestivalEntry> for FestivalEntry {
    fn from(entry: &store::FestivalEntry) -> Self {
        Self {
            organization: entry.organization.clone(),
            year: entry.year,
            category: entry.category.clone(),
            person_name: entry.person_name.clone(),
            won: entry.won,
        }
    }
}
