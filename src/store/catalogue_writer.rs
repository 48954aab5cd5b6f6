//! Writes a generated catalogue with `COPY` into movie tables that Cinegraph owns.
//!
//! `cinegraph_datagen` decides the content of the rows.

use cinegraph_datagen::{CopyRows, Table};

use super::catalogue::{self, CatalogueState};
use super::connection::Connection;
use super::error::StoreError;
use super::invalidation::invalidate_reference;
use super::pool::Store;
use super::transaction::OpenTransaction;

/// A catalogue that is being written in one transaction. Dropped before [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct CatalogueWriter {
    transaction: OpenTransaction,
    /// Statements that recreate what [`CatalogueWriter::empty`] dropped: first the indexes, then the foreign keys,
    /// whose check is faster with indexes.
    restore: Vec<String>,
}

impl Store {
    /// Starts to write a catalogue. Waits for other writers of the catalogue.
    ///
    /// # Errors
    /// [`StoreError`] if the database is not migrated or unavailable.
    pub async fn write_catalogue(&self) -> Result<(CatalogueWriter, CatalogueState), StoreError> {
        let (transaction, state) = self.change_catalogue().await?;
        Ok((CatalogueWriter { transaction, restore: vec![] }, state))
    }
}

impl CatalogueWriter {
    /// Empties the movie tables, and drops their secondary indexes and foreign keys, because loading millions of rows
    /// is twice as fast if these are built afterwards. No statement of another session runs without the indexes:
    /// `TRUNCATE` locks the tables, so other sessions wait until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn empty(&mut self) -> Result<(), StoreError> {
        let emptied = catalogue::empty(self.transaction.connection()).await;
        self.transaction.checked(emptied)?;
        let tables = Table::ALL.map(|table| format!("public.{}", table.name()));
        let found = sqlx::query_file!("src/store/sql/indexes_and_references.sql", &tables)
            .fetch_all(self.transaction.connection())
            .await;
        for object in self.transaction.checked(found)? {
            self.run(object.remove).await?;
            self.restore.push(object.restore);
        }
        Ok(())
    }

    /// Copies the rows; returns their number.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or rejects a row.
    pub async fn copy(&mut self, rows: &CopyRows) -> Result<u64, StoreError> {
        let copied = copy(self.transaction.connection(), rows).await;
        self.transaction.checked(copied)
    }

    /// Updates the planner's statistics of a table, so that the following statements are planned for the loaded rows.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn analyze(&mut self, table: Table) -> Result<(), StoreError> {
        self.run(format!("ANALYZE public.{}", table.name())).await
    }

    /// Recreates the dropped indexes and foreign keys. After each, calls `report` with the number done and the total.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails, or a row violates a constraint.
    pub async fn restore_indexes(&mut self, report: &mut (dyn FnMut(u64, u64) + Send)) -> Result<(), StoreError> {
        let restore = std::mem::take(&mut self.restore);
        let total = restore.len() as u64;
        for (done, statement) in (1..).zip(restore) {
            self.run(statement).await?;
            report(done, total);
        }
        Ok(())
    }

    /// Advances the sequences past the written ids, records that the catalogue was generated with this number of movies
    /// from this seed, and commits.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn commit(mut self, movies: u32, seed: u64) -> Result<(), StoreError> {
        let finished = finish(self.transaction.connection(), movies, seed).await;
        self.transaction.checked(finished)?;
        self.transaction.commit().await
    }

    /// Runs a statement without parameters. It must consist of constants and of names and definitions that PostgreSQL
    /// itself has returned, so that nothing can be injected.
    async fn run(&mut self, statement: String) -> Result<(), StoreError> {
        let run = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(self.transaction.connection()).await;
        self.transaction.checked(run).map(|_| ())
    }
}

fn copy_statement(table: Table) -> String {
    format!("COPY public.{} ({}) FROM STDIN", table.name(), table.columns())
}

async fn copy(connection: &mut Connection, rows: &CopyRows) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in(&copy_statement(rows.table())).await?;
    copy.send(rows.as_bytes()).await?;
    copy.finish().await
}

async fn finish(connection: &mut Connection, movies: u32, seed: u64) -> Result<(), sqlx::Error> {
    sqlx::query_file!("src/store/sql/continue_sequences.sql").fetch_all(&mut *connection).await?;
    // All movies are new, so the caller runs a full refresh. The drain would compute the entries of the triggers again.
    sqlx::query!("TRUNCATE cinegraph.score_refresh_queue").execute(&mut *connection).await?;
    sqlx::query!(
        "UPDATE cinegraph.installation SET catalogue_origin = 'generated', catalogue_detail = $1",
        serde_json::json!({ "films": movies, "seed": seed })
    )
    .execute(&mut *connection)
    .await?;
    invalidate_reference(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_every_column() {
        let statement = "COPY public.movie_genres (movie_id, genre_id) FROM STDIN";
        assert_eq!(copy_statement(Table::MovieGenres), statement);
        assert!(copy_statement(Table::Genres).contains("(id, tmdb_id, name, inserted_at, updated_at)"));
    }
}
