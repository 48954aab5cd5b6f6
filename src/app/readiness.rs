//! Whether an instance is ready for requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::http::{Probe, Readiness};
use crate::services::Services;
use crate::store::Store;

/// Deadline of the readiness ping. A choice, short because a proxy treats a probe that times out as "not ready", even
/// if the instance has cached results to serve.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// How long the pool may be exhausted before the instance is no longer ready. The statements of requests have shorter
/// deadlines by default (2 s), so connections that are in use for this long are not expected to become free again.
const EXHAUSTION_LIMIT: Duration = Duration::from_mins(1);

/// The readiness probe. An instance is ready if none of these holds: it is shutting down; its pool has been exhausted
/// for [`EXHAUSTION_LIMIT`]; the database does not respond and no cached results can be served instead. `services` is
/// `None` for a worker, which serves no results.
pub(super) fn probe(store: Store, services: Option<Arc<Services>>, stop: CancellationToken) -> Probe {
    Probe::new(move || {
        let (store, services, stopping) = (store.clone(), services.clone(), stop.is_cancelled());
        async move {
            if stopping {
                return Readiness { ready: false, checks: vec![("running", Err("shutting down".to_owned()))] };
            }
            let database = match timeout(PING_LIMIT, store.ping()).await {
                Ok(pong) => pong.map_err(|error| error.to_string()),
                Err(_) => Err("no response".to_owned()),
            };
            let exhausted = store.exhausted_since().is_some_and(|since| since.elapsed() > EXHAUSTION_LIMIT);
            let connections = if exhausted { Err("the pool is exhausted".to_owned()) } else { Ok(()) };
            // During an outage of the database, the instance stays ready if it has cached results: the other instances
            // have the same outage, so a proxy could not send the requests to a better one.
            let has_entries = services.is_some_and(|services| services.count_entries(None) > 0);
            let ready = connections.is_ok() && (database.is_ok() || has_entries);
            Readiness { ready, checks: vec![("database", database), ("connections", connections)] }
        }
    })
}
