//! Lists, with their movies and movie counts; the names of genres and countries.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};

use super::connection::Connection;
use super::error::StoreError;
use super::movie_details::{Country, Genre};
use super::movies::{Membership, membership, real_tmdb_id};
use super::pool::Store;
use super::query_name::QueryName;
use super::snapshot::criteria;
use crate::scoring::{CriteriaWithData, MovieId};

/// A canonical list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName {
    /// Key, as in `canonical_sources`.
    pub key: String,
    /// Name.
    pub name: String,
    /// When the list was last changed; `None` if the list has no row of its own.
    pub updated_at: Option<DateTime<Utc>>,
    /// Whether it is a target list.
    pub is_target: bool,
    /// Whether it is a target list with movies.
    pub is_filled_target: bool,
}

/// A movie of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMember {
    /// The movie.
    pub id: MovieId,
    /// Its title.
    pub title: String,
    /// Its place on the list.
    pub membership: Membership,
}

/// The movie counts of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    /// Key.
    pub key: String,
    /// Movies on the list.
    pub movies: usize,
    /// Movies on the list without a release date.
    pub undated: usize,
    /// Decades with a listed movie or a candidate, ascending.
    pub decades: Vec<ListDecade>,
}

/// A list within one decade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListDecade {
    /// First year of the decade.
    pub decade: i32,
    /// Movies on the list, full or not.
    pub listed: usize,
    /// Full movies that are not on the list.
    pub candidates: usize,
}

impl Store {
    /// All lists, sorted by key. A list that has no name, because it is only known from movies that are on it or as a
    /// target list, is named by its key. `configured` are the target lists of the setting.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn list_names(&self, configured: &[String]) -> Result<Vec<ListName>, StoreError> {
        let mut statement = self.statement(QueryName::Lists).await?;
        let rows = list_names(statement.connection(), configured).await;
        statement.rows(rows)
    }

    /// The target lists, sorted by key: those of the setting, `configured`, and those chosen at run time.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn target_lists(&self, configured: &[String]) -> Result<Vec<String>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let lists = target_lists(statement.connection(), configured).await;
        statement.rows(lists)
    }

    /// The movies of a list, in no particular order.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn list_members(&self, list_key: &str) -> Result<Vec<ListMember>, StoreError> {
        let mut statement = self.statement(QueryName::Lists).await?;
        let rows =
            sqlx::query_file!("src/store/sql/list_members.sql", list_key).fetch_all(statement.connection()).await;
        let rows = statement.rows(rows)?.into_iter();
        let members = rows.map(|row| ListMember {
            id: MovieId(row.id),
            title: row.title,
            membership: membership(list_key, &row.entry),
        });
        Ok(members.collect())
    }

    /// All lists with their movie counts by decade, sorted by key. Reads every listed movie, so callers cache the
    /// result. `configured` are the target lists of the setting.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn list_summaries(&self, configured: &[String]) -> Result<Vec<ListSummary>, StoreError> {
        let names = self.list_names(configured).await?;
        let mut statement = self.statement(QueryName::Lists).await?;
        let counts = sqlx::query_file!("src/store/sql/list_counts.sql").fetch_all(statement.connection()).await;
        let counts = statement.rows(counts)?;
        let count = |value: i64| usize::try_from(value).unwrap_or_default();
        // The movies of a list in a decade, and how many of them are full. Without a decade: the movies without a
        // release date. Without a list: all scored movies of the decade, which are full.
        let numbers = |list_key: Option<&String>, decade: Option<i32>| {
            let row = counts.iter().find(|row| row.list_key.as_ref() == list_key && row.decade == decade);
            row.map_or((0, 0), |row| (count(row.movies), count(row.full)))
        };
        let all_decades: BTreeSet<i32> = counts.iter().filter_map(|row| row.decade).collect();
        let summary = |list: ListName| {
            let decades = all_decades.iter().filter_map(|&decade| {
                let (listed, full) = numbers(Some(&list.key), Some(decade));
                // Saturates, because scores may lag behind the movies: a full movie may have no score yet.
                let candidates = numbers(None, Some(decade)).1.saturating_sub(full);
                (listed + candidates > 0).then_some(ListDecade { decade, listed, candidates })
            });
            let decades: Vec<_> = decades.collect();
            let undated = numbers(Some(&list.key), None).0;
            let movies = undated + decades.iter().map(|decade| decade.listed).sum::<usize>();
            ListSummary { key: list.key, movies, undated, decades }
        };
        Ok(names.into_iter().map(summary).collect())
    }

    /// All genres, sorted by name.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn genres(&self) -> Result<Vec<Genre>, StoreError> {
        let mut statement = self.statement(QueryName::Reference).await?;
        let rows = sqlx::query!("SELECT id, tmdb_id, name FROM public.genres ORDER BY name, id")
            .fetch_all(statement.connection())
            .await;
        let rows = statement.rows(rows)?.into_iter();
        Ok(rows.map(|row| Genre { id: row.id, tmdb_id: real_tmdb_id(row.tmdb_id), name: row.name }).collect())
    }

    /// All countries with their ids, sorted by code; which criteria have data; and the latest release until `today` of a
    /// fully imported movie. In one statement, because a page without cached data may run few.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn countries_criteria_and_latest(
        &self,
        today: NaiveDate,
    ) -> Result<(Vec<(i64, Country)>, CriteriaWithData, Option<NaiveDate>), StoreError> {
        let mut statement = self.statement(QueryName::Reference).await?;
        let rows = sqlx::query!(
            r#"SELECT s.criteria_with_data, c.id AS "id?", c.iso_3166_1 AS "code?", c.name AS "name?",
                      (SELECT max(release_date) FROM cinegraph.movie_discovery_scores WHERE release_date <= $1) AS latest
               FROM (VALUES (true)) AS one
               LEFT JOIN cinegraph.snapshot AS s ON true
               LEFT JOIN public.production_countries AS c ON true
               ORDER BY c.iso_3166_1, c.id"#,
            today
        )
        .fetch_all(statement.connection())
        .await;
        let rows = statement.rows(rows)?;
        let criteria = criteria(rows.first().and_then(|row| row.criteria_with_data.as_deref()));
        let latest = rows.first().and_then(|row| row.latest);
        let country = rows.into_iter().filter_map(|row| Some((row.id?, Country { code: row.code?, name: row.name? })));
        Ok((country.collect(), criteria, latest))
    }
}

/// As [`Store::list_names`], on a connection.
pub(super) async fn list_names(
    connection: &mut Connection,
    configured: &[String],
) -> Result<Vec<ListName>, sqlx::Error> {
    sqlx::query_file_as!(ListName, "src/store/sql/list_names.sql", configured).fetch_all(connection).await
}

/// As [`Store::target_lists`], on a connection.
pub(super) async fn target_lists(
    connection: &mut Connection,
    configured: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT unnest($1::text[]) AS "list_key!" UNION SELECT list_key FROM cinegraph.chosen_target_lists ORDER BY 1"#,
        configured
    )
    .fetch_all(connection)
    .await
}
