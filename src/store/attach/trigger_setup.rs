//! Triggers that queue changed data: movies whose scores or filter attributes must be recomputed, and renamed genres
//! and countries.

use super::locking::run_locking;
use crate::store::connection::Connection;
use crate::store::error::StoreError;

/// The tables that get triggers: scores are computed from them, or movies are filtered by them.
pub(super) const TABLES: [&str; 9] = [
    "movies",
    "external_metrics",
    "movie_credits",
    "person_metrics",
    "festival_nominations",
    "movie_genres",
    "movie_production_countries",
    "genres",
    "production_countries",
];

/// The event of each trigger, and the names of its transition tables in the trigger functions. There is one trigger per
/// event, because a trigger with transition tables allows only one event.
const EVENTS: [(&str, &str); 4] = [
    ("INSERT", "REFERENCING NEW TABLE AS written"),
    ("UPDATE", "REFERENCING OLD TABLE AS before NEW TABLE AS after"),
    ("DELETE", "REFERENCING OLD TABLE AS written"),
    ("TRUNCATE", ""),
];

/// Creates the missing triggers; returns the tables that got any. Each table is changed in a transaction of its own,
/// because a transaction that locks two tables could deadlock with a writer.
pub(super) async fn add_missing(connection: &mut Connection) -> Result<Vec<&'static str>, StoreError> {
    let existing = ours(connection).await?;
    change(connection, |table| {
        let missing = EVENTS.iter().filter(|(event, _)| !existing.contains(&(table.to_owned(), name(event))));
        let creations: Vec<_> = missing.map(|(event, rows)| creation(table, event, rows)).collect();
        creations.join(";")
    })
    .await
}

/// Drops all of Cinegraph's triggers; returns the tables that had any.
pub(super) async fn remove_all(connection: &mut Connection) -> Result<Vec<&'static str>, StoreError> {
    let existing = ours(connection).await?;
    change(connection, |table| {
        let of_table = existing.iter().filter(|(of, _)| of == table);
        let removals: Vec<_> = of_table.map(|(table, name)| format!("DROP TRIGGER {name} ON public.{table}")).collect();
        removals.join(";")
    })
    .await
}

/// Runs `statements` of each table in one transaction per table; returns the tables for which there were any.
async fn change(
    connection: &mut Connection,
    statements: impl Fn(&str) -> String,
) -> Result<Vec<&'static str>, StoreError> {
    let mut changed = vec![];
    for table in TABLES {
        let statements = statements(table);
        if !statements.is_empty() {
            run_locking(connection, table, statements).await?;
            changed.push(table);
        }
    }
    Ok(changed)
}

/// The table and the name of each trigger that calls a function of Cinegraph.
async fn ours(connection: &mut Connection) -> Result<Vec<(String, String)>, StoreError> {
    let found = sqlx::query_file!("src/store/sql/our_triggers.sql")
        .fetch_all(connection)
        .await
        .map_err(StoreError::of_setup)?;
    Ok(found.into_iter().map(|trigger| (trigger.table_name, trigger.name)).collect())
}

fn name(event: &str) -> String {
    format!("cinegraph_queue_{}", event.to_lowercase())
}

fn creation(table: &str, event: &str, rows: &str) -> String {
    // `OR REPLACE` because names that begin with `cinegraph_` are reserved for Cinegraph: a trigger of this name that
    // calls another function is replaced. TRUNCATE provides no transition tables, so `queue_all` cannot tell which
    // movies are affected and queues all.
    let function = if event == "TRUNCATE" { "all" } else { table };
    format!(
        "CREATE OR REPLACE TRIGGER {} AFTER {event} ON public.{table} {rows}
             FOR EACH STATEMENT EXECUTE FUNCTION cinegraph.queue_{function}()",
        name(event)
    )
}
