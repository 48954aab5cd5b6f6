//! Replaces the movies of a list by those that a file names.
//!
//! All statements of an import run in one transaction, which also holds the lock of the catalogue: movies can neither
//! come nor go between the search for a movie and its entry in the list.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::TryStreamExt;
use serde_json::Value;

use super::catalogue::CatalogueState;
use super::error::StoreError;
use super::list_changes::ListChanges;
use super::pool::Store;
use super::transaction::OpenTransaction;
use crate::scoring::{MovieId, fold_title};

/// A movie that a row of a list may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCandidate {
    /// Id.
    pub id: MovieId,
    /// TMDb id; `None` for a movie that has none.
    pub tmdb_id: Option<i32>,
    /// IMDb id.
    pub imdb_id: Option<String>,
    /// Title.
    pub title: String,
    /// Year of release.
    pub year: Option<i32>,
}

/// A movie of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The movie.
    pub movie: MovieId,
    /// Position on the list.
    pub position: Option<i32>,
    /// Edition in which the movie joined the list.
    pub edition: Option<String>,
}

/// What is stored about a list besides its movies.
#[derive(Debug, Clone)]
pub struct ListDescription<'a> {
    /// New name; `None` keeps the name.
    pub name: Option<&'a str>,
    /// Name of a list that has none yet.
    pub first_name: &'a str,
    /// `imdb`, `letterboxd` or `custom`.
    pub source_type: &'static str,
    /// Address of the list; empty if unknown.
    pub source_url: &'a str,
    /// JSON object that is merged into the stored one.
    pub metadata: Value,
    /// Number of movies.
    pub movies: usize,
}

/// A movie that joined or left a list, or changed its place on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMove {
    /// Title.
    pub title: String,
    /// Year of release.
    pub year: Option<i32>,
    /// Kind of the change.
    pub kind: ListMoveKind,
}

/// How the place of a movie on a list changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ListMoveKind {
    Joined,
    Left,
    /// Another position or edition.
    Changed,
}

/// A change of one list in progress. Dropped before it is committed, it is rolled back.
#[derive(Debug)]
pub struct ListImport {
    transaction: OpenTransaction,
    /// Current time, as the host tables store it: UTC without time zone.
    now: NaiveDateTime,
}

impl Store {
    /// Begins to replace a list. Waits while an import or the generator writes the catalogue.
    ///
    /// # Errors
    /// [`StoreError`] if the database is not migrated or unavailable.
    pub async fn import_list(&self, now: DateTime<Utc>) -> Result<(ListImport, CatalogueState), StoreError> {
        let (transaction, state) = self.change_catalogue().await?;
        Ok((ListImport { transaction, now: now.naive_utc() }, state))
    }
}

impl ListImport {
    /// When the row of a list was last changed; `None` if there is no such list.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn updated_at(&mut self, key: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let row = sqlx::query_scalar!("SELECT updated_at FROM public.movie_lists WHERE source_key = $1", key)
            .fetch_optional(self.transaction.connection())
            .await;
        Ok(self.transaction.checked(row)?.map(|updated_at| updated_at.and_utc()))
    }

    /// The keys of all lists.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn keys(&mut self) -> Result<Vec<String>, StoreError> {
        let keys = sqlx::query_scalar!("SELECT source_key FROM public.movie_lists ORDER BY id")
            .fetch_all(self.transaction.connection())
            .await;
        self.transaction.checked(keys)
    }

    /// The movies with one of these ids, in the order of `movies.id`.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_ids(
        &mut self,
        tmdb_ids: &[i32],
        imdb_ids: &[String],
    ) -> Result<Vec<ListCandidate>, StoreError> {
        let found = sqlx::query_file_as!(Found, "src/store/sql/list_import_by_ids.sql", tmdb_ids, imdb_ids)
            .fetch_all(self.transaction.connection())
            .await;
        Ok(self.transaction.checked(found)?.into_iter().map(Found::candidate).collect())
    }

    /// The movies whose folded title is one of `titles`, each with its folded title, in the order of their ids. Titles
    /// that are not folded yet, as after an import without a refresh, are folded here.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_titles(&mut self, titles: &[String]) -> Result<Vec<(String, ListCandidate)>, StoreError> {
        let wanted: HashSet<&str> = titles.iter().map(String::as_str).collect();
        let connection = self.transaction.connection();
        let read = async {
            let mut rows =
                sqlx::query_file_as!(Found, "src/store/sql/list_import_by_titles.sql", titles).fetch(connection);
            let mut found = Vec::new();
            while let Some(mut movie) = rows.try_next().await? {
                let folded = movie.folded.take().unwrap_or_else(|| fold_title(&movie.title));
                if wanted.contains(folded.as_str()) {
                    found.push((folded, movie.candidate()));
                }
            }
            Ok(found)
        };
        let read = read.await;
        let mut found = self.transaction.checked(read)?;
        // A movie is returned twice if it is queued although its stored title is current.
        found.sort_by_key(|(_, movie)| movie.id);
        found.dedup_by_key(|(_, movie)| movie.id);
        Ok(found)
    }

    /// Makes `entries` the movies of the list. Returns the movies that changed.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn replace(&mut self, key: &str, entries: &[ListEntry]) -> Result<Vec<ListMove>, StoreError> {
        let movies: Vec<i64> = entries.iter().map(|entry| entry.movie.0).collect();
        let positions: Vec<Option<i32>> = entries.iter().map(|entry| entry.position).collect();
        let editions: Vec<Option<String>> = entries.iter().map(|entry| entry.edition.clone()).collect();
        let moved = sqlx::query_file!(
            "src/store/sql/list_import_replace.sql",
            key,
            &movies,
            &positions as &[Option<i32>],
            &editions as &[Option<String>],
            self.now
        )
        .fetch_all(self.transaction.connection())
        .await;
        let moved = self.transaction.checked(moved)?.into_iter().map(|row| ListMove {
            title: row.title,
            year: row.year,
            kind: match row.is_removed {
                true => ListMoveKind::Left,
                false if row.is_added => ListMoveKind::Joined,
                false => ListMoveKind::Changed,
            },
        });
        Ok(moved.collect())
    }

    /// Adds or updates the row of the list. `has_moved`: whether its movies changed. A row that needs no change keeps
    /// its time. Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn describe(
        &mut self,
        key: &str,
        about: &ListDescription<'_>,
        has_moved: bool,
    ) -> Result<bool, StoreError> {
        let written = sqlx::query_file!(
            "src/store/sql/list_import_describe.sql",
            key,
            about.name,
            about.first_name,
            about.source_type,
            about.source_url,
            about.metadata,
            i32::try_from(about.movies).unwrap_or(i32::MAX),
            has_moved,
            self.now
        )
        .execute(self.transaction.connection())
        .await;
        Ok(self.transaction.checked(written)?.rows_affected() > 0)
    }

    /// Invalidates what was derived from the lists, and returns the transaction for further changes. The scores of the
    /// movies that changed are queued by triggers, and the versions of the list are raised when they are computed.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn into_changes(self, store: &Store) -> Result<ListChanges, StoreError> {
        ListChanges::invalidated(self.transaction, store).await
    }
}

/// A row of a search.
struct Found {
    id: i64,
    tmdb_id: Option<i32>,
    imdb_id: Option<String>,
    title: String,
    year: Option<i32>,
    folded: Option<String>,
}

impl Found {
    fn candidate(self) -> ListCandidate {
        let Self { id, tmdb_id, imdb_id, title, year, .. } = self;
        ListCandidate { id: MovieId(id), tmdb_id, imdb_id, title, year }
    }
}
