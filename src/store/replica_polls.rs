//! Polls that measure the lag of the replica. `replica_lag` computes it, and decides whether it allows reads.

use std::time::Duration;

use super::connection::{Connection, WithDeadline};
use super::error::StoreError;
use super::measurement::Measurement;
use super::pool::Store;
use super::query_name::QueryName;
use super::replica_lag::Replica;
use super::statement::Statement;

/// Time limit of each statement of a poll, and of getting a connection to the replica. A choice: as long as the
/// interval between two polls.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

impl Store {
    /// Measures the lag of the replica, which decides whether queries run on it; does nothing without a replica. The
    /// caller runs this every second: the lag is only as precise as the interval between two samples of the primary's
    /// WAL position.
    pub async fn poll_replica_lag(&self) {
        let Some(replica) = &self.replica else { return };
        // If the primary is unavailable, no sample is needed: it writes nothing that the replica could lack.
        if let Ok(position) = self.log_position().await {
            replica.add_sample(position);
        }
        // A poll runs even if the circuit breaker is open, but only with a permit does its outcome count for the
        // breaker.
        let permit = replica.poll_permit();
        let lag = self.replayed_position(replica).await.map(|position| replica.lag_at(position));
        if let Ok(lag) = lag {
            self.metrics.replica_lag(lag);
        }
        let usable = replica.record_lag(lag);
        match permit {
            Some(permit) if usable => permit.succeeded(),
            Some(permit) => permit.failed(),
            None => {}
        }
    }

    /// Current WAL position of the primary, in bytes.
    async fn log_position(&self) -> Result<i64, StoreError> {
        let mut statement = self.statement(QueryName::HealthCheck).await?;
        statement.connection.set_limit(POLL_TIMEOUT);
        let position =
            sqlx::query_scalar!(r#"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS "position!""#)
                .fetch_one(statement.connection())
                .await;
        statement.finish(position)
    }

    /// WAL position that the replica has replayed, in bytes. Fails with [`StoreError::NoReplica`] if the server is not
    /// a replica.
    async fn replayed_position(&self, replica: &Replica) -> Result<i64, StoreError> {
        let name = QueryName::HealthCheck;
        // The wait for a connection is not measured. While the replica is unavailable, its pool would count a timeout
        // for each poll, although no request waits; the circuit breaker shows the outage.
        let connection = match replica.pool().acquire().with_deadline(POLL_TIMEOUT).await {
            Ok(connection) => Connection::pooled(connection, POLL_TIMEOUT, &replica.server),
            Err(error) => return Err(StoreError::of(name, self.with_reason(replica.pool(), error).await)),
        };
        let mut statement = Statement::start(connection, Measurement::start(&self.metrics, name, replica.pool()));
        // NULL if the server is not a replica, or was promoted.
        let position = sqlx::query_scalar!(
            r#"SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END"#
        )
        .fetch_one(statement.connection())
        .await;
        statement.finish(position)?.ok_or(StoreError::NoReplica)
    }
}
