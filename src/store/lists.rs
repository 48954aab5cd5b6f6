//! The names of lists, genres and countries, and the movie counts of lists.

use std::collections::BTreeSet;

use super::error::StoreError;
use super::movie_details::{Country, Genre};
use super::movies::real_tmdb_id;
use super::pool::Store;
use super::query_name::QueryName;

/// A canonical list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName {
    /// Key, as in `canonical_sources`.
    pub key: String,
    /// Name.
    pub name: String,
}

/// A list with its movie counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    /// Key.
    pub key: String,
    /// Name.
    pub name: String,
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
    /// target list, is named by its key.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn list_names(&self) -> Result<Vec<ListName>, StoreError> {
        let mut statement = self.statement(QueryName::Lists).await?;
        let rows = sqlx::query_as!(
            ListName,
            r#"WITH named AS MATERIALIZED (SELECT list_key, name FROM cinegraph.list_names())
               SELECT list_key AS "key!", name AS "name!" FROM named
               UNION ALL
               SELECT list_key, list_key
               FROM (SELECT list_key FROM cinegraph.data_versions WHERE scope = 'list'
                     UNION SELECT list_key FROM cinegraph.target_lists) AS known
               WHERE list_key NOT IN (SELECT list_key FROM named)
               ORDER BY 1"#
        )
        .fetch_all(statement.connection())
        .await;
        statement.rows(rows)
    }

    /// All lists with their movie counts by decade, sorted by key. Reads every listed movie, so callers cache the
    /// result.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn list_summaries(&self) -> Result<Vec<ListSummary>, StoreError> {
        let names = self.list_names().await?;
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
            ListSummary { key: list.key, name: list.name, movies, undated, decades }
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

    /// All countries with their ids, sorted by code.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn countries(&self) -> Result<Vec<(i64, Country)>, StoreError> {
        let mut statement = self.statement(QueryName::Reference).await?;
        let rows = sqlx::query!("SELECT id, iso_3166_1, name FROM public.production_countries ORDER BY iso_3166_1, id")
            .fetch_all(statement.connection())
            .await;
        let rows = statement.rows(rows)?.into_iter();
        Ok(rows.map(|row| (row.id, Country { code: row.iso_3166_1, name: row.name })).collect())
    }
}
