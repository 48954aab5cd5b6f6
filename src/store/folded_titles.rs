//! Folded titles: stored for searches, and folded by a search where they are not stored yet.
//!
//! Folding is not PostgreSQL's, see [`fold_title`]. Triggers append movies whose title changed to `title_queue`, and the
//! drain folds these titles. A search adds the movies that are still queued itself, so that no movie is ever missing.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::{MovieId, fold_title};

impl Store {
    /// Movies after `after` whose folded title contains a folded text, sorted by folded title, then id.
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
            // A movie is found twice if it is queued and its title is stored. Only a page is kept, because every movie
            // may be queued.
            let mut found = BTreeSet::new();
            while let Some(movie) = movies.try_next().await? {
                let title = match (movie.folded, movie.title) {
                    (Some(stored), _) => stored,
                    (None, title) => fold_title(&title.unwrap_or_default()),
                };
                let place = (title, MovieId(movie.id));
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

/// Stores the folded titles of these movies that differ, and removes those of deleted movies. The caller holds the lock
/// of the score table.
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
