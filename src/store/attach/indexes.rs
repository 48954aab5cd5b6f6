//! Indexes on host tables that the statements need, created where the host application has no equivalent.

use crate::store::connection::Connection;
use crate::store::error::StoreError;

/// An index by its leading columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) table: &'static str,
    method: &'static str,
    columns: &'static [&'static str],
}

/// The indexes that the migrations create with Cinegraph's own movie tables.
const NEEDED: [Index; 11] = [
    btree("movies", &["release_date"]),
    btree("movies", &["imdb_id"]),
    Index { table: "movies", method: "gin", columns: &["canonical_sources"] },
    btree("external_metrics", &["movie_id", "source", "metric_type"]),
    btree("movie_credits", &["movie_id", "person_id"]),
    btree("movie_credits", &["person_id"]),
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
    /// Name of the index if Cinegraph creates it.
    pub(super) fn name(&self) -> String {
        format!("cinegraph_{}_{}_idx", self.table, self.columns.join("_"))
    }

    pub(super) fn creation(&self) -> String {
        let Self { table, method, columns } = self;
        let columns = columns.join(", ");
        format!("CREATE INDEX CONCURRENTLY {} ON public.{table} USING {method} ({columns})", self.name())
    }
}

/// Statement that drops an index created by Cinegraph.
pub(super) fn removal(name: &str) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS public.{name}")
}

/// The needed indexes without an equivalent in the database.
pub(super) async fn missing(connection: &mut Connection) -> Result<Vec<&'static Index>, StoreError> {
    let mut missing = vec![];
    for index in &NEEDED {
        let columns: Vec<String> = index.columns.iter().map(|&column| column.to_owned()).collect();
        let there = sqlx::query_file_scalar!("src/store/sql/has_index.sql", index.table, index.method, &columns);
        if !there.fetch_one(&mut *connection).await.map_err(StoreError::of_setup)? {
            missing.push(index);
        }
    }
    Ok(missing)
}

/// Cinegraph's indexes whose build was interrupted: unusable, but still updated by every write.
pub(super) async fn interrupted(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    list(connection, true).await
}

/// All indexes that Cinegraph created.
pub(super) async fn ours(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    list(connection, false).await
}

async fn list(connection: &mut Connection, only_invalid: bool) -> Result<Vec<String>, StoreError> {
    let names: Vec<String> = NEEDED.iter().map(Index::name).collect();
    let there = sqlx::query_file_scalar!("src/store/sql/our_indexes.sql", &names, only_invalid);
    there.fetch_all(connection).await.map_err(StoreError::of_setup)
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
