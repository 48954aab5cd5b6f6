//! HTTP: routes, limits, health and `/metrics`.
//!
//! Two routers, one for each listener: [`public`] for clients, [`admin()`] for those who run the service. What a client
//! asks for is `graphql`'s; no SQL and no scores here.

mod admin;
mod caching;
mod error;
mod graphql;
mod health;
mod page;
mod request;
mod router;
mod websocket;

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::graphql::Door;
use crate::telemetry::Metrics;

pub use health::{Probe, Readiness};
pub use router::{admin, public};
pub use websocket::{SocketLimits, Sockets};

/// What the handlers need. `E` executes operations: a schema, or whatever wraps one.
pub struct HttpState<E> {
    /// Answers operations.
    pub door: Door<E>,
    /// Where requests are measured.
    pub metrics: Metrics,
    /// Says whether the service is ready.
    pub probe: Probe,
    /// What a request may cost.
    pub limits: HttpLimits,
    /// Connections by WebSocket.
    pub sockets: Sockets,
    /// Whether GraphiQL is served.
    pub graphiql: bool,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Size of a request's body.
    pub body_bytes: usize,
    /// Time for a request's body to arrive.
    pub body_read: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { body_bytes: 256 * 1024, body_read: Duration::from_secs(5) }
    }
}

/// Serves `router` until `stop` is cancelled, then takes no more connections and finishes the requests in flight. How
/// long that may take is the caller's to limit.
///
/// # Errors
/// Whatever the listener fails with.
pub async fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
