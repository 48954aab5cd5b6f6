//! Triggers that queue movies whose scores or filters must be recomputed.

use super::locking::run_locking;
use crate::store::connection::Connection;
use crate::store::error::StoreError;

/// The tables that scores are derived from, and those that movies are filtered by.
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

/// One trigger per event, because a trigger with transition tables allows only one event.
const EVENTS: [(&str, &str); 4] = [
    ("INSERT", "REFERENCING NEW TABLE AS written"),
    ("UPDATE", "REFERENCING OLD TABLE AS before NEW TABLE AS after"),
    ("DELETE", "REFERENCING OLD TABLE AS written"),
    ("TRUNCATE", ""),
];

/// Creates missing triggers, table by table: holding locks on two tables could deadlock with a writer. Returns the
/// changed tables.
pub(super) async fn add_missing(connection: &mut Connection) -> Result<Vec<&'static str>, StoreError> {
    let there = ours(connection).await?;
    change(connection, |table| {
        let missing = EVENTS.iter().filter(|(event, _)| !there.contains(&(table.to_owned(), name(event))));
        let creations: Vec<_> = missing.map(|(event, rows)| creation(table, event, rows)).collect();
        creations.join(";")
    })
    .await
}

/// Drops all triggers; returns the tables that had any.
pub(super) async fn remove_all(connection: &mut Connection) -> Result<Vec<&'static str>, StoreError> {
    let there = ours(connection).await?;
    change(connection, |table| {
        let of_table = there.iter().filter(|(of, _)| of == table);
        let removals: Vec<_> = of_table.map(|(table, name)| format!("DROP TRIGGER {name} ON public.{table}")).collect();
        removals.join(";")
    })
    .await
}

/// Runs each table's statements; returns the tables that had statements.
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

/// Existing triggers on [`TABLES`]: table and name.
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
    // The names are reserved for us: OR REPLACE takes over a trigger of this name that calls another function.
    // TRUNCATE provides no transition tables.
    let function = if event == "TRUNCATE" { "all" } else { table };
    format!(
        "CREATE OR REPLACE TRIGGER {} AFTER {event} ON public.{table} {rows}
             FOR EACH STATEMENT EXECUTE FUNCTION cinegraph.queue_{function}()",
        name(event)
    )
}
