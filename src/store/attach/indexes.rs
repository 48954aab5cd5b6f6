//! The indexes that Cinegraph's statements need on host tables. Those for which the host has no equivalent are created.

use crate::store::connection::Connection;
use crate::store::error::StoreError;

/// A needed index, described by the columns that it must begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) table: &'static str,
    method: &'static str,
    columns: &'static [&'static str],
}

/// All needed indexes. The migrations create them too if they create the movie tables.
const NEEDED: [Index; 12] = [
    btree("movies", &["release_date"]),
    btree("movies", &["imdb_id"]),
    Index { table: "movies", method: "gin", columns: &["canonical_sources"] },
    btree("external_metrics", &["movie_id", "source", "metric_type"]),
    btree("movie_credits", &["movie_id", "person_id"]),
    btree("movie_credits", &["person_id"]),
    btree("people", &["imdb_id"]),
    btree("person_metrics", &["person_id", "metric_type"]),
    btree("festival_nominations", &["movie_id", "won"]),
    btree("festival_nominations", &["person_id"]),
    btree("movie_genres", &["movie_id"]),
    btree("movie_production_countries", &["movie_id"]),
];

const fn btree(table: &'static str, columns: &'static [&'static str]) -> Index {
    Index { table, method: "btree", columns }
}

impl Index {
    /// Name of the index if Cinegraph creates it. An equivalent index of the host may have any name.
    pub(super) fn name(&self) -> String {
        format!("cinegraph_{}_{}_idx", self.table, self.columns.join("_"))
    }

    /// Statement that creates the index, unless a migration file has. `CONCURRENTLY`, so that the host application can write
    /// to the table meanwhile; such a statement must run outside of a transaction.
    pub(super) fn creation(&self) -> String {
        let Self { table, method, columns } = self;
        let columns = columns.join(", ");
        format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON public.{table} USING {method} ({columns})", self.name())
    }
}

/// Statement that drops an index that Cinegraph created, without blocking writers of the table.
pub(super) fn removal(name: &str) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS public.{name}")
}

/// The needed indexes for which the database has no equivalent: no valid index of the same method that begins with the
/// same columns and covers every row.
pub(super) async fn missing(connection: &mut Connection) -> Result<Vec<&'static Index>, StoreError> {
    let mut missing = vec![];
    for index in &NEEDED {
        let columns: Vec<String> = index.columns.iter().map(|&column| column.to_owned()).collect();
        let exists = sqlx::query_file_scalar!("src/store/sql/has_index.sql", index.table, index.method, &columns);
        if !exists.fetch_one(&mut *connection).await.map_err(StoreError::of_setup)? {
            missing.push(index);
        }
    }
    Ok(missing)
}

/// Names of Cinegraph's indexes whose build was interrupted. PostgreSQL keeps such an index as invalid: no query uses
/// it, but every write still updates it.
pub(super) async fn interrupted(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    list(connection, true).await
}

/// Names of all indexes that Cinegraph created.
pub(super) async fn ours(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    list(connection, false).await
}

async fn list(connection: &mut Connection, only_invalid: bool) -> Result<Vec<String>, StoreError> {
    let names: Vec<String> = NEEDED.iter().map(Index::name).collect();
    let existing = sqlx::query_file_scalar!("src/store/sql/our_indexes.sql", &names, only_invalid);
    existing.fetch_all(connection).await.map_err(StoreError::of_setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_fit_the_identifier_limit() {
        for index in NEEDED {
            assert!(index.name().len() < 64, "{}", index.name());
        }
    }
}
