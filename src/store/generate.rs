//! Writes a generated catalogue with `COPY` into movie tables that Cinegraph owns.
//!
//! `cinegraph_datagen` decides the content of the rows.

use cinegraph_datagen::{CopyRows, Table};
use sqlx::PgConnection;

/// Ownership and origin of the catalogue.
#[derive(Debug)]
pub struct Installation {
    /// Whether Cinegraph owns the movie tables; otherwise they are host tables.
    pub owns_catalogue: bool,
    /// `generated` or `imported`; `None` if empty.
    pub catalogue_origin: Option<String>,
    /// Whether there is any movie.
    pub has_films: bool,
}

/// Reads the installation and locks it until the end of the transaction, so that writers of the catalogue wait for each
/// other.
///
/// # Errors
/// If the database fails.
pub async fn lock_installation(connection: &mut PgConnection) -> sqlx::Result<Installation> {
    // Connections for requests limit statements to seconds; writing a million movies takes minutes.
    sqlx::query!("SET LOCAL statement_timeout = 0").execute(&mut *connection).await?;
    sqlx::query_as!(
        Installation,
        r#"SELECT owns_catalogue, catalogue_origin, EXISTS (SELECT FROM public.movies) AS "has_films!"
           FROM cinegraph.installation FOR UPDATE"#
    )
    .fetch_one(connection)
    .await
}

/// Empties the movie tables and all derived data. Profiles stay.
///
/// # Errors
/// If the database fails.
pub async fn empty_catalogue(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query_file!("src/store/sql/empty_catalogue.sql").execute(connection).await?;
    Ok(())
}

/// Indexes and foreign keys that were dropped for a bulk load.
#[derive(Debug)]
#[must_use = "without them queries are slow and rows unchecked"]
pub struct Removed(Vec<String>);

impl Removed {
    /// Recreates them; `report` receives the number done and the total.
    ///
    /// # Errors
    /// If the database fails, or a row violates a constraint.
    pub async fn restore(
        self,
        connection: &mut PgConnection,
        report: &mut (dyn FnMut(u64, u64) + Send),
    ) -> sqlx::Result<()> {
        let total = self.0.len() as u64;
        for (done, statement) in (1..).zip(self.0) {
            run(connection, statement).await?;
            report(done, total);
        }
        Ok(())
    }
}

/// Drops secondary indexes and foreign keys: loading millions of rows and building them afterwards is twice as fast. No
/// reader is affected, because the emptied tables are locked until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn remove_indexes(connection: &mut PgConnection) -> sqlx::Result<Removed> {
    let tables = Table::ALL.map(|table| format!("public.{}", table.name()));
    let found =
        sqlx::query_file!("src/store/sql/indexes_and_references.sql", &tables).fetch_all(&mut *connection).await?;
    let mut restore = Vec::with_capacity(found.len());
    for object in found {
        run(connection, object.remove).await?;
        restore.push(object.restore);
    }
    Ok(Removed(restore))
}

/// Runs a statement that consists of catalogue names or constants only.
async fn run(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

fn copy_statement(table: Table) -> String {
    format!("COPY public.{} ({}) FROM STDIN", table.name(), table.columns())
}

/// Copies the rows; returns their number.
///
/// # Errors
/// If the database fails or rejects a row.
pub async fn copy(connection: &mut PgConnection, rows: &CopyRows) -> sqlx::Result<u64> {
    let mut copy = connection.copy_in_raw(&copy_statement(rows.table())).await?;
    copy.send(rows.as_bytes()).await?;
    copy.finish().await
}

/// Advances the sequences past the written ids, and records the origin of the catalogue.
///
/// # Errors
/// If the database fails.
pub async fn finish_catalogue(connection: &mut PgConnection, films: u32, seed: u64) -> sqlx::Result<()> {
    sqlx::query_file!("src/store/sql/continue_sequences.sql").fetch_all(&mut *connection).await?;
    // All movies are new: a full refresh computes their scores, not the queue.
    sqlx::query!("TRUNCATE cinegraph.score_refresh_queue").execute(&mut *connection).await?;
    sqlx::query!(
        "UPDATE cinegraph.installation SET catalogue_origin = 'generated', catalogue_detail = $1",
        serde_json::json!({ "films": films, "seed": seed })
    )
    .execute(&mut *connection)
    .await?;
    super::invalidation::invalidate_reference(connection).await
}

/// Analyzes a table for the query planner.
///
/// # Errors
/// If the database fails.
pub async fn analyze(connection: &mut PgConnection, table: Table) -> sqlx::Result<()> {
    run(connection, format!("ANALYZE public.{}", table.name())).await
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
