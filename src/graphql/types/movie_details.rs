//! Details of a movie: genres, countries, list memberships, metrics, nominations.

use async_graphql::{Enum, SimpleObject};

use super::date::Timestamp;
use crate::services::award_names::{award_name, category_name};
use crate::services::import::language_name;
use crate::store;

/// A language.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Language {
    /// ISO 639-1 code, such as "en", or one of TMDb's, such as "cn" for Cantonese.
    code: String,
    /// English name. Null if the code is unknown.
    name: Option<&'static str>,
}

impl Language {
    /// The language with this code.
    pub(super) fn of(code: &str) -> Self {
        Self { code: code.to_owned(), name: language_name(code) }
    }
}

/// A size of posters, named by its width in pixels.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum PosterSize {
    /// 92 pixels.
    W92,
    /// 154 pixels.
    W154,
    /// 185 pixels.
    W185,
    /// 342 pixels.
    W342,
    /// 500 pixels.
    W500,
    /// 780 pixels.
    W780,
    /// As it was uploaded.
    Original,
}

impl PosterSize {
    /// Name of the directory that the image server has for the size.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::W92 => "w92",
            Self::W154 => "w154",
            Self::W185 => "w185",
            Self::W342 => "w342",
            Self::W500 => "w500",
            Self::W780 => "w780",
            Self::Original => "original",
        }
    }
}

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

/// Ratings of a movie. Null if a source has none.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Ratings {
    /// Users of TMDb, 0 to 10.
    tmdb: Option<Rating>,
    /// Users of IMDb, 0 to 10.
    imdb: Option<Rating>,
    /// Metascore, 0 to 100: weighted mean of critics' reviews.
    metacritic: Option<Rating>,
    /// Tomatometer, 0 to 100: percentage of positive reviews by critics.
    rotten_tomatoes: Option<Rating>,
    /// Audience score of Rotten Tomatoes, 0 to 100: percentage of positive ratings by users.
    rotten_tomatoes_audience: Option<Rating>,
}

/// A rating of a movie by one source.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Rating {
    /// The rating.
    value: f64,
    /// Best possible rating: 10 or 100. The worst is 0.
    maximum: i32,
    /// Number of people who rated the movie. Null if unknown.
    votes: Option<i64>,
    /// When the rating was fetched from the source or, for imported files, imported.
    fetched_at: Timestamp,
}

impl Ratings {
    /// The ratings among the metrics of a movie. As in the score, a rating of 0 is none.
    pub(super) fn of(metrics: &[store::Metric]) -> Self {
        let find = |source: &str, kind: &str| {
            let metric = metrics.iter().find(|metric| metric.source == source && metric.metric_type == kind)?;
            Some((metric.value.filter(|value| *value > 0.0)?, metric.fetched_at))
        };
        let rating = |source: &str, kind: &str, maximum| {
            let (value, fetched_at) = find(source, kind)?;
            #[expect(clippy::cast_possible_truncation, reason = "a number of votes is whole; too large ones saturate")]
            let votes = find(source, "rating_votes").map(|(votes, _)| votes as i64);
            Some(Rating { value, maximum, votes, fetched_at: Timestamp(fetched_at) })
        };
        Self {
            tmdb: rating("tmdb", "rating_average", 10),
            imdb: rating("imdb", "rating_average", 10),
            metacritic: rating("metacritic", "metascore", 100),
            rotten_tomatoes: rating("rotten_tomatoes", "tomatometer", 100),
            rotten_tomatoes_audience: rating("rotten_tomatoes", "audience_score", 100),
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
    /// Name of the organization, such as "Academy of Motion Picture Arts and Sciences".
    organization_name: String,
    /// Name of the awards or the festival, such as "Academy Awards". For an organization that Cinegraph does not know,
    /// its name.
    award: String,
    /// Year of the awards ceremony.
    year: i32,
    /// Award category.
    category: String,
    /// The category as people write it, without the name of the awards: "Film Editing" for "FILM EDITING", "Best Film"
    /// for "bafta film award: best film".
    category_name: String,
    /// Name of the nominated person, or several names separated by commas. Null if the nomination names none.
    person_name: Option<String>,
    /// Whether the nomination won.
    won: bool,
}

impl From<&store::FestivalEntry> for FestivalEntry {
    fn from(entry: &store::FestivalEntry) -> Self {
        Self {
            organization: entry.organization.clone(),
            organization_name: entry.organization_name.clone(),
            award: award_name(&entry.organization).map_or_else(|| entry.organization_name.clone(), str::to_owned),
            year: entry.year,
            category: entry.category.clone(),
            category_name: category_name(&entry.category),
            person_name: entry.person_name.clone(),
            won: entry.won,
        }
    }
}
