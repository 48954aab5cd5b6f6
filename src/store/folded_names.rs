//! Folded names, in which searches look for people.
//!
//! No trigger queues people: names seldom change. The drain folds the names of people who were added, whose ids are the
//! highest; a check of all scores, which runs every night, folds all that differ.

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::queue::try_drain_lock;
use super::refresh::{Batch, lock_score_table};
use super::search::SearchTexts;
use super::transaction::BATCH_LIMIT;

impl Store {
    /// Folds the names of up to `size` people who were added. Returns whether there were any; false as well while another
    /// instance drains.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the batch is then rolled back.
    pub async fn fold_added_names(&self, size: i64) -> Result<bool, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            if !try_drain_lock(connection).await? {
                return Ok(false);
            }
            let people =
                sqlx::query_file_scalar!("src/store/sql/added_people.sql", size).fetch_all(&mut *connection).await?;
            fold_names(connection, &people).await?;
            Ok(!people.is_empty())
        })
        .await
    }

    /// Folds the names of those of the next `size` people after `after` that differ from the stored ones, and removes the
    /// folded names of people who are gone; `None` if there are no more.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the batch is then rolled back.
    pub async fn refresh_names(&self, after: i64, size: i64) -> Result<Option<Batch>, StoreError> {
        self.run_in_transaction(QueryName::TaskScores, BATCH_LIMIT, async |connection| {
            let people = sqlx::query_file_scalar!("src/store/sql/next_names.sql", after, size)
                .fetch_all(&mut *connection)
                .await?;
            let Some(&last_id) = people.last() else { return Ok(None) };
            let changed = fold_names(connection, &people).await?;
            Ok(Some(Batch { last_id, rows: people.len() as u64, changed }))
        })
        .await
    }
}

/// Stores what these people are searched by, and removes what is stored of those who are gone. Returns how many rows changed.
async fn fold_names(connection: &mut Connection, people: &[i64]) -> Result<u64, sqlx::Error> {
    // Of two transactions that fold the same name at once, the later one could store the older name.
    lock_score_table(connection).await?;
    let unfolded = sqlx::query_file!("src/store/sql/unfolded_names.sql", people).fetch_all(&mut *connection).await?;
    let ids: Vec<i64> = unfolded.iter().map(|person| person.id).collect();
    let names: Vec<&str> = unfolded.iter().map(|person| person.name.as_str()).collect();
    let texts: Vec<SearchTexts> = names.iter().map(|name| SearchTexts::of(name, None)).collect();
    let bare: Vec<&str> = texts.iter().map(|texts| texts.bare.as_str()).collect();
    let words: Vec<&str> = texts.iter().map(|texts| texts.words.as_str()).collect();
    let popularity: Vec<i16> = unfolded.iter().map(|person| person.popularity).collect();
    let changed = sqlx::query_file_scalar!(
        "src/store/sql/store_folded_names.sql",
        people,
        &ids,
        &names as &[&str],
        &bare as &[&str],
        &words as &[&str],
        &popularity
    );
    Ok(changed.fetch_one(connection).await?.unsigned_abs())
}
