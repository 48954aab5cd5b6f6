//! Log of why no connection can be opened: too many connections, a wrong password, an untrusted certificate.

use std::sync::Arc;
use std::time::Instant;

use super::metrics::Pool;
use crate::telemetry::{Label as _, OutageLog};

/// Logs each reason once per outage. Clones share what they have logged.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectErrors(Arc<OutageLog>);

impl ConnectErrors {
    /// Logs a warning with the reason, unless it was logged in this outage already.
    pub(super) fn record(&self, pool: Pool, error: &sqlx::Error) {
        // The pool is closed when the service ends.
        if matches!(error, sqlx::Error::PoolClosed) {
            return;
        }
        let (reason, pool) = (error.to_string(), pool.as_str());
        if self.0.is_new(&format!("{pool}: {reason}"), Instant::now()) {
            tracing::warn!(error = reason, pool, "no connection to the database");
        }
    }
}
