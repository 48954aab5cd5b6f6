//! Executor that records the SQL text of a statement in its measurement, for its span: sqlx reports the text only in
//! its own log. The text has placeholders such as `$1` in place of values.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, Postgres, SqlStr};

use super::connection::Connection;
use super::measurement::Measurement;

/// Executes statements on a connection and records their text.
#[derive(Debug)]
pub(super) struct InstrumentedExecutor<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) measurement: &'c Measurement,
}

impl<'c> Executor<'c> for InstrumentedExecutor<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_many(with_recorded_text(query, self.measurement))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_optional(with_recorded_text(query, self.measurement))
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, types)
    }

    /// Required by the trait; called only for compile-time checks, which use another executor.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}

/// Records the text of a statement. Reading the text ([`Execute::sql`]) consumes the statement, so its parts are taken
/// out before and returned as a new statement.
fn with_recorded_text<'q, E: Execute<'q, Postgres>>(mut query: E, measurement: &Measurement) -> InstrumentedQuery {
    let (statement, arguments) = (query.statement().cloned(), query.take_arguments());
    let persistent = query.persistent();
    let sql = query.sql();
    measurement.sends(sql.as_str());
    InstrumentedQuery { sql, statement, arguments: Some(arguments), persistent }
}

/// A statement whose text was recorded.
struct InstrumentedQuery {
    sql: SqlStr,
    statement: Option<PgStatement>,
    arguments: Option<Result<Option<PgArguments>, BoxDynError>>,
    persistent: bool,
}

impl Execute<'_, Postgres> for InstrumentedQuery {
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
