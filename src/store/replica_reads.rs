//! Queries that run on the replica if it is current enough.
//!
//! A replica's result is used if it includes every change that this instance knows of; otherwise the primary runs the
//! query.

use super::error::StoreError;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;
use super::replica::Replica;
use super::statement::Statement;
use super::statement_text::InstrumentedExecutor;
use super::version_listener::versions_of;
use crate::breaker::Fallback;
use crate::scoring::Decade;
use crate::telemetry::Label as _;

/// A read-only query that any sufficiently current server can run.
pub(super) trait ReplicaQuery: Sync {
    type Output: Send;

    /// Name of the statement.
    const NAME: QueryName;

    /// Decade of the query.
    fn decade(&self) -> Decade;

    fn run(
        &self,
        connection: InstrumentedExecutor<'_>,
    ) -> impl Future<Output = Result<Self::Output, sqlx::Error>> + Send;

    /// Number of rows of a result.
    fn rows(output: &Self::Output) -> usize;
}

impl Store {
    /// Runs a query on the replica if it is usable, otherwise on the primary.
    pub(super) async fn read<Q: ReplicaQuery>(&self, query: Q) -> Result<Q::Output, StoreError> {
        let Some(replica) = &self.replica else { return self.read_primary(&query).await };
        if let Some(permit) = replica.permit() {
            match self.read_replica(replica, &query).await {
                Ok(included) => {
                    permit.succeeded();
                    if let Some(value) = included {
                        return Ok(value);
                    }
                }
                Err(error) => {
                    permit.failed();
                    tracing::warn!(%error, query_name = Q::NAME.as_str(), "read replica failed; falling back to the primary");
                }
            }
        }
        let value = self.read_primary(&query).await;
        let outcome = if value.is_ok() { Fallback::Ok } else { Fallback::Error };
        replica.count_fallback(outcome);
        value
    }

    async fn read_primary<Q: ReplicaQuery>(&self, query: &Q) -> Result<Q::Output, StoreError> {
        let mut statement = self.statement(Q::NAME).await?;
        let output = query.run(statement.connection()).await;
        statement.finish_with(output, Q::rows)
    }

    /// `None` if the replica lacks a known change.
    async fn read_replica<Q: ReplicaQuery>(
        &self,
        replica: &Replica,
        query: &Q,
    ) -> Result<Option<Q::Output>, StoreError> {
        let mut statement =
            self.statement_on(replica.pool(), &replica.server, Pool::Replica, self.limits.request, Q::NAME).await?;
        let Statement { connection, measurement } = &mut statement;
        let read = async {
            // One transaction snapshot, so that the versions match the rows.
            connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned()).await?;
            let included = versions_of(&mut *connection).await?;
            let is_current = replica.known.covers(&included, query.decade());
            let output = if is_current {
                Some(query.run(InstrumentedExecutor { connection: &mut *connection, measurement }).await?)
            } else {
                None
            };
            connection.commit().await?;
            Ok(output)
        };
        let read = read.await;
        statement.finish_with(read, |output| output.as_ref().map_or(0, Q::rows))
    }
}
