//! The triggers that queue films whose scores must be computed anew.

use sqlx::PgConnection;

use super::{failed, patiently};
use crate::store::StoreError;

/// The tables that scores are made of.
pub(super) const TABLES: [&str; 5] =
    ["movies", "external_metrics", "movie_credits", "person_metrics", "festival_nominations"];

/// One trigger per event, since a trigger of several sees no rows.
const EVENTS: [(&str, &str); 4] = [
    ("INSERT", "REFERENCING NEW TABLE AS written"),
    ("UPDATE", "REFERENCING OLD TABLE AS before NEW TABLE AS after"),
    ("DELETE", "REFERENCING OLD TABLE AS written"),
    ("TRUNCATE", ""),
];

/// Adds those that are not there, table by table: one who held two tables' locks could wait for a writer who waits for
/// the other. Returns them as `table.trigger`.
pub(super) async fn add_missing(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let there = ours(connection).await?;
    let mut added = vec![];
    for table in TABLES {
        let missing = EVENTS.iter().filter(|(event, _)| !there.contains(&(table.to_owned(), name(event))));
        let missing: Vec<_> = missing.collect();
        let statements: String = missing.iter().map(|(event, rows)| creation(table, event, rows)).collect();
        run(connection, table, statements).await?;
        added.extend(missing.iter().map(|(event, _)| format!("{table}.{}", name(event))));
    }
    Ok(added)
}

/// Removes all; returns them as `table.trigger`.
pub(super) async fn remove_all(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let there = ours(connection).await?;
    for table in TABLES {
        let of_table = there.iter().filter(|(of, _)| of == table);
        let statements = of_table.map(|(table, name)| format!("DROP TRIGGER {name} ON public.{table};")).collect();
        run(connection, table, statements).await?;
    }
    Ok(there.into_iter().map(|(table, name)| format!("{table}.{name}")).collect())
}

/// Runs statements on one table, all or none.
async fn run(connection: &mut PgConnection, table: &'static str, statements: String) -> Result<(), StoreError> {
    patiently(table, async || {
        // Several statements sent as one text are one transaction.
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.clone())).execute(&mut *connection).await.map(|_| ())
    })
    .await
}

/// Those on the tables that scores are made of: table, name.
async fn ours(connection: &mut PgConnection) -> Result<Vec<(String, String)>, StoreError> {
    let found = sqlx::query_file!("src/store/sql/our_triggers.sql").fetch_all(connection).await.map_err(failed)?;
    Ok(found.into_iter().map(|trigger| (trigger.table_name, trigger.name)).collect())
}

fn name(event: &str) -> String {
    format!("cinegraph_queue_{}", event.to_lowercase())
}

fn creation(table: &str, event: &str, rows: &str) -> String {
    // Emptying a table shows no rows.
    let function = if event == "TRUNCATE" { "all" } else { table };
    format!(
        "CREATE OR REPLACE TRIGGER {} AFTER {event} ON public.{table} {rows}
             FOR EACH STATEMENT EXECUTE FUNCTION cinegraph.queue_{function}();",
        name(event)
    )
}
