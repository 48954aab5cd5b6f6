//! HTTP: routes, limits, health and `/metrics`.
//!
//! Two routers, one for each listener: [`public`] for clients, [`admin()`] for those who run the service. What a client
//! asks for is `graphql`'s; no SQL and no scores here.

mod admin;
mod cache_headers;
mod content_negotiation;
mod cors;
mod error;
mod explorer;
mod fast_path;
mod graphql;
mod health;
mod html;
mod observability;
mod page;
mod router;
mod server;
mod websocket;

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tokio::runtime::Handle;

use crate::config::AllowedOrigins;
use crate::graphql::OperationPipeline;
use crate::telemetry::Metrics;

pub use explorer::Explorer;
pub use health::{Probe, Readiness};
pub use router::{admin, public};
pub use server::{ConnectionLimits, HttpService, PerCoreRuntimes, serve};
pub use websocket::{ConnectionLimiter, WebSocketLimits};

/// What the handlers need. `E` executes operations: a schema, or whatever wraps one.
pub struct HttpState<E> {
    /// Answers operations.
    pub pipeline: OperationPipeline<E>,
    /// Where requests are measured.
    pub metrics: Metrics,
    /// Says whether the service is ready.
    pub probe: Probe,
    /// What a request may cost.
    pub limits: HttpLimits,
    /// Origins whose pages may call the API.
    pub origins: AllowedOrigins,
    /// Request headers that these pages may send, beside the usual ones.
    pub cors_headers: Vec<String>,
    /// Networks whose requests may join a trace that they bring.
    pub trusted_peers: Vec<IpNet>,
    /// Connections by WebSocket.
    pub sockets: ConnectionLimiter,
    /// Where the last result of `cinegraph prove` lies.
    pub data_dir: PathBuf,
    /// The API explorer, where it is served.
    pub explorer: Option<Explorer>,
    /// Where everything is worked out that is not at hand.
    pub runtime: Handle,
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
