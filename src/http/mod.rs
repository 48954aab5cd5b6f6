//! HTTP: routes, limits, health and `/metrics`.
//!
//! Two routers, one per listener: [`public`] for clients, [`admin()`] for operators. `graphql` executes the
//! operations; no SQL and no scores here.

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
mod metrics;
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

pub use explorer::Explorer;
pub use health::{Probe, Readiness};
pub use metrics::{HttpMetrics, Method, PagePhase, Slo};
pub use router::{admin, public};
pub use server::{ConnectionLimits, HttpService, PerCoreRuntimes, serve};
pub use websocket::{ConnectionLimiter, WebSocketLimits};

/// Shared state of the handlers. `E` executes operations: a schema or a wrapper of one.
pub struct HttpState<E> {
    /// Executes operations.
    pub pipeline: OperationPipeline<E>,
    /// HttpMetrics of requests.
    pub metrics: HttpMetrics,
    /// Readiness check.
    pub probe: Probe,
    /// Limits of a request.
    pub limits: HttpLimits,
    /// Origins whose pages may call the API.
    pub origins: AllowedOrigins,
    /// Request headers that these pages may send in addition to the built-in ones.
    pub cors_headers: Vec<String>,
    /// Networks whose requests may continue a trace by `traceparent`.
    pub trusted_peers: Vec<IpNet>,
    /// Limits and tracks WebSocket connections.
    pub sockets: ConnectionLimiter,
    /// Directory of the last result of `cinegraph prove`.
    pub data_dir: PathBuf,
    /// The API explorer; none if it is disabled.
    pub explorer: Option<Explorer>,
    /// Runtime for requests without a fresh cached response.
    pub runtime: Handle,
}

/// Limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Maximum size of a request body.
    pub body_bytes: usize,
    /// Maximum time for a request body to arrive.
    pub body_read: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { body_bytes: 256 * 1024, body_read: Duration::from_secs(5) }
    }
}
