//! Folded titles, in which searches look for a text.
//!
//! [`fold_title`] folds titles in Rust, because the result of PostgreSQL's `lower` and `ILIKE` depends on the locale of
//! the database. Triggers add each movie whose title changed to the table `title_queue`, and the drain folds and stores
//! these titles. A search itself folds the titles of movies that are still queued, so that it never misses a movie.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
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

/// Folds and stores the titles of those of `movies` whose title has changed since it was folded, and removes the folded
/// titles of deleted movies. The caller holds the lock of the score table: of two transactions that fold the same movie
/// at once, the later one could store the older title.
pub(super) async fn fold_titles(connection: &mut Connection, movies: &[i64]) -> Result<(), sqlx::Error> {
    let unfolded = sqlx::query_file!("src/store/sql/unfolded_titles.sql", movies).fetch_all(&mut *connection).await?;
    let (ids, titles): (Vec<i64>, Vec<String>) = unfolded.into_iter().map(|movie| (movie.id, movie.title)).unzip();
    let folded: Vec<String> = titles.iter().map(|title| fold_title(title)).collect();
    sqlx::query_file!("src/store/sql/store_folded_titles.sql", movies, &ids, &titles, &folded)
        .execute(connection)
        .await
        .map(|_| ())
}

/// Escapes a text as a LIKE pattern that matches it literally.
fn literal(text: &str) -> String {
    let escaped = |c| ['\\', '%', '_'].contains(&c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}
