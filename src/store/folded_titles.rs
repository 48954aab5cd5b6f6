//! Folded titles, in which searches look for a text.
//!
//! [`fold_title`] folds titles in Rust, because the result of PostgreSQL's `lower` and `ILIKE` depends on the locale of
//! the database. Triggers add each movie whose title changed to the table `title_queue`, and the drain folds and stores
//! these titles. A search itself folds the titles of movies that are still queued, so that it never misses a movie.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use futures_util::TryStreamExt;

use super::connection::Connection;
use super::error::StoreError;
use super::like_pattern::literal;
use super::pool::Store;
use super::query_name::QueryName;
use super::search::SearchTexts;
use crate::scoring::{MovieId, fold_title};

impl Store {
    /// Up to `limit` movies whose folded title contains the folded text `folded`, sorted by folded title and then by
    /// id. Each is returned with its folded title. `after` is the last movie of the previous page; `None` for the first
    /// page.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_title(
        &self,
        folded: &str,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, StoreError> {
        let pattern = format!("%{}%", literal(folded));
        let mut statement = self.statement(QueryName::MoviesByTitle).await?;
        let read = async {
            let mut movies = sqlx::query_file!(
                "src/store/sql/movies_by_title.sql",
                pattern,
                after.map(|(title, _)| title.as_str()),
                after.map(|(_, id)| id.0),
                i64::try_from(limit).unwrap_or(i64::MAX)
            )
            .fetch(statement.connection());
            // A set, because the statement returns a movie twice if it is queued although its stored title is current.
            // At most a page is kept, because all movies may be queued.
            let mut found = BTreeSet::new();
            while let Some(movie) = movies.try_next().await? {
                let title = match (movie.folded, movie.title) {
                    (Some(stored), _) => stored,
                    (None, title) => fold_title(&title.unwrap_or_default()),
                };
                let place = (title, MovieId(movie.id));
                // The statement applies the pattern and `after` to stored titles only.
                if place.0.contains(folded) && after.is_none_or(|after| *after < place) {
                    found.insert(place);
                    if found.len() > limit {
                        found.pop_last();
                    }
                }
            }
            Ok(found)
        };
        let read = read.await;
        Ok(statement.finish_with(read, BTreeSet::len)?.into_iter().collect())
    }
}

/// Folds and stores the titles of those of `movies` that have changed since, with what else they are searched by, and
/// removes the folded titles of deleted movies. The caller holds the lock of the score table: of two transactions that
/// fold the same movie at once, the later one could store the older title.
pub(super) async fn fold_titles(connection: &mut Connection, movies: &[i64]) -> Result<(), sqlx::Error> {
    let unfolded = sqlx::query_file!("src/store/sql/unfolded_titles.sql", movies).fetch_all(&mut *connection).await?;
    let ids: Vec<i64> = unfolded.iter().map(|movie| movie.id).collect();
    let titles: Vec<&str> = unfolded.iter().map(|movie| movie.title.as_str()).collect();
    let originals: Vec<Option<&str>> = unfolded.iter().map(|movie| movie.original.as_deref()).collect();
    let folded: Vec<String> = titles.iter().map(|title| fold_title(title)).collect();
    let texts: Vec<SearchTexts> =
        unfolded.iter().map(|movie| SearchTexts::of(&movie.title, movie.original.as_deref())).collect();
    let bare: Vec<&str> = texts.iter().map(|texts| texts.bare.as_str()).collect();
    let bare_originals: Vec<Option<&str>> = texts.iter().map(|texts| texts.bare_other.as_deref()).collect();
    let words: Vec<&str> = texts.iter().map(|texts| texts.words.as_str()).collect();
    let popularity: Vec<i16> = unfolded.iter().map(|movie| movie.popularity).collect();
    let released: Vec<Option<NaiveDate>> = unfolded.iter().map(|movie| movie.released).collect();
    sqlx::query_file!(
        "src/store/sql/store_folded_titles.sql",
        movies,
        &ids,
        &titles as &[&str],
        &originals as &[Option<&str>],
        &folded,
        &bare as &[&str],
        &bare_originals as &[Option<&str>],
        &words as &[&str],
        &popularity,
        &released as &[Option<NaiveDate>]
    )
    .execute(connection)
    .await
    .map(|_| ())
}

/// The next `size` movies whose title a previous version of the program has folded, without its words.
pub(super) async fn unkeyed_titles(connection: &mut Connection, size: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_file_scalar!("src/store/sql/unkeyed_titles.sql", size).fetch_all(connection).await
}
