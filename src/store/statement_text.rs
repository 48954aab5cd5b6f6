//! SQL text of statements, for their span and for the log at debug level: sqlx reports the text only in its own log. The
//! text has placeholders such as `$1` in place of values.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgStatement};
use sqlx::{Execute, Postgres, SqlStr};

use super::query_name::QueryName;
use super::sql_text;
use crate::telemetry::Label as _;

/// Maximum number of texts that are kept for a span. A choice: more than any transaction of a request or a task has.
/// Imports have more.
const TEXTS_MAX: usize = 32;

/// The texts of the statements that are measured together: one statement, or those of a transaction. Without those that
/// begin and end the transaction.
#[derive(Debug)]
pub(super) struct StatementTexts {
    name: QueryName,
    /// The distinct texts, in the order in which they were sent; `None` if no span needs them.
    sent: Option<Mutex<Vec<String>>>,
}

/// What a span tells of the texts, by the semantic conventions of OpenTelemetry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextSummary {
    /// Operation of the statement. `BATCH` for several statements, followed by the operation if that is the same.
    pub(super) operation: String,
    /// The table, if there is only one.
    pub(super) collection: Option<String>,
    /// The texts.
    pub(super) text: String,
}

impl StatementTexts {
    /// `traced`: whether a span needs the texts.
    pub(super) fn new(name: QueryName, traced: bool) -> Self {
        Self { name, sent: traced.then(Mutex::default) }
    }

    /// Logs the text of a statement, and keeps it for the span.
    pub(super) fn add(&self, sql: &str) {
        tracing::debug!(query_name = self.name.as_str(), sql, "statement");
        if let Some(mut sent) = self.sent()
            && sent.len() < TEXTS_MAX
            && !sent.iter().any(|text| text == sql)
        {
            sent.push(sql.to_owned());
        }
    }

    /// What the span tells; `None` if no span needs it, or no statement was sent.
    pub(super) fn summary(&self) -> Option<TextSummary> {
        let sent = self.sent()?;
        let (first, further) = sent.split_first()?;
        let (operation, collection) = (sql_text::operation(first), sql_text::collection(first));
        let operation = if further.is_empty() {
            operation.to_owned()
        } else if further.iter().all(|text| sql_text::operation(text) == operation) {
            format!("BATCH {operation}")
        } else {
            "BATCH".to_owned()
        };
        let is_same = further.iter().all(|text| sql_text::collection(text) == collection);
        let collection = collection.filter(|_| is_same).map(str::to_owned);
        Some(TextSummary { operation, collection, text: sent.join("; ") })
    }

    fn sent(&self) -> Option<MutexGuard<'_, Vec<String>>> {
        Some(self.sent.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Passes the text of a statement to `texts`. Reading it ([`Execute::sql`]) consumes the statement, so its parts are taken
/// out before and returned as a new statement.
pub(super) fn record_text<'q, E: Execute<'q, Postgres>>(mut query: E, texts: Option<&StatementTexts>) -> ReadQuery {
    let (statement, arguments) = (query.statement().cloned(), query.take_arguments());
    let persistent = query.persistent();
    let sql = query.sql();
    if let Some(texts) = texts {
        texts.add(sql.as_str());
    }
    ReadQuery { sql, statement, arguments: Some(arguments), persistent }
}

/// A statement whose text was read.
pub(super) struct ReadQuery {
    sql: SqlStr,
    statement: Option<PgStatement>,
    arguments: Option<Result<Option<PgArguments>, BoxDynError>>,
    persistent: bool,
}

impl Execute<'_, Postgres> for ReadQuery {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(sent: &[&str]) -> Option<(String, Option<String>, String)> {
        let texts = StatementTexts::new(QueryName::Profiles, true);
        for sql in sent {
            texts.add(sql);
        }
        texts.summary().map(|TextSummary { operation, collection, text }| (operation, collection, text))
    }

    #[test]
    fn several_statements_are_a_batch() {
        let of = |operation: &str, collection: Option<&str>, text: &str| {
            Some((operation.to_owned(), collection.map(str::to_owned), text.to_owned()))
        };
        let (read, write) = ("SELECT 1 FROM a", "-- Why.\nDELETE FROM a");
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&[write]), of("DELETE", Some("a"), write));
        assert_eq!(summary(&[read, read]), of("SELECT", Some("a"), read), "repeated");
        assert_eq!(summary(&[read, write]), of("BATCH", Some("a"), "SELECT 1 FROM a; -- Why.\nDELETE FROM a"));
        assert_eq!(summary(&[read, "SELECT 1 FROM b"]), of("BATCH SELECT", None, "SELECT 1 FROM a; SELECT 1 FROM b"));
    }

    #[test]
    fn long_transactions_keep_a_bounded_number_of_texts() {
        let texts: Vec<String> = (0..1000).map(|n| format!("SELECT {n}")).collect();
        let (_, _, text) = summary(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!(text.split("; ").count(), TEXTS_MAX);
        let untraced = StatementTexts::new(QueryName::Profiles, false);
        untraced.add("SELECT 1");
        assert_eq!(untraced.summary(), None);
    }
}
