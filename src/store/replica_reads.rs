//! Queries that run on the replica if it is usable, which `replica_lag` decides, and has the changes that they need.
//!
//! A result of the replica is used if the replica has every change that this instance knows of. Otherwise the primary
//! runs the query: a cache entry must not carry a version whose changes its data lack.

use super::connection::Connection;
use super::error::StoreError;
use super::metrics::Pool;
use super::pool::Store;
use super::query_name::QueryName;
use super::replica_lag::Replica;
use super::version_listener::versions_of;
use crate::breaker::Fallback;
use crate::scoring::Decade;
use crate::telemetry::Label as _;

/// A read-only query that the replica can run, if it is current enough, in place of the primary.
pub(super) trait ReplicaQuery: Sync {
    type Output: Send;

    /// Name of the statement.
    const NAME: QueryName;

    /// The decade that the query reads. The replica may lack changes of other decades.
    fn decade(&self) -> Decade;

    fn run(&self, connection: &mut Connection) -> impl Future<Output = Result<Self::Output, sqlx::Error>> + Send;

    /// Number of rows or movies in a result, for metrics.
    fn rows(output: &Self::Output) -> usize;
}

impl Store {
    /// Runs a query on the replica if that is usable and has every known change, otherwise on the primary.
    pub(super) async fn read<Q: ReplicaQuery>(&self, query: Q) -> Result<Q::Output, StoreError> {
        let Some(replica) = &self.replica else { return self.read_primary(&query).await };
        if let Some(permit) = replica.permit() {
            match self.read_replica(replica, &query).await {
                Ok(current) => {
                    // A replica that lacks a change has responded, so this is no failure.
                    permit.succeeded();
                    if let Some(value) = current {
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

    /// Runs a query on the replica; `None` if the replica lacks a change that this instance knows of.
    async fn read_replica<Q: ReplicaQuery>(
        &self,
        replica: &Replica,
        query: &Q,
    ) -> Result<Option<Q::Output>, StoreError> {
        let mut statement =
            self.statement_on(replica.pool(), &replica.server, Pool::Replica, self.limits.request, Q::NAME).await?;
        let connection = statement.connection();
        // If a step fails, nothing is rolled back: the connection is dropped in its transaction, and so closed.
        let read = async {
            // Both statements see the same snapshot of the database, so that the versions are those of the rows.
            connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned()).await?;
            let shown = versions_of(&mut *connection).await?;
            let is_current = replica.known.covers(&shown, query.decade());
            let output = if is_current { Some(query.run(connection).await?) } else { None };
            connection.commit().await?;
            Ok(output)
        };
        let read = read.await;
        statement.finish_with(read, |output| output.as_ref().map_or(0, Q::rows))
    }
}
