//! The state that the handlers share.

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Handle;

use super::explorer::Explorer;
use super::health::Probe;
use super::metrics::HttpMetrics;
use super::peer::TrustedPeers;
use super::websocket::ConnectionLimiter;
use crate::config::{AllowedOrigins, PosterBaseUrl};
use crate::graphql::OperationPipeline;

/// Shared state of the handlers. `E` is the type that executes operations: a schema or a wrapper of one.
pub struct HttpState<E> {
    /// Executes operations.
    pub pipeline: OperationPipeline<E>,
    /// Metrics of requests.
    pub metrics: HttpMetrics,
    /// Readiness check.
    pub probe: Probe,
    /// Limits of a request.
    pub limits: HttpLimits,
    /// Origins whose pages may call the API.
    pub origins: AllowedOrigins,
    /// Request headers that these pages may send in addition to the built-in ones.
    pub cors_headers: Vec<String>,
    /// Networks whose headers about their clients are trusted: `traceparent`, `X-Forwarded-For`, `X-Forwarded-Host`.
    pub trusted_peers: TrustedPeers,
    /// Limits and tracks WebSocket connections and multipart streams.
    pub websocket_limiter: ConnectionLimiter,
    /// Directory that contains the last result of `cinegraph prove`.
    pub data_dir: PathBuf,
    /// Where the pages load posters from; `None` if they load nothing from other servers.
    pub posters: Option<PosterBaseUrl>,
    /// Address at which people reach the pages; `None` if it is unknown.
    pub public_url: Option<String>,
    /// The API explorer; `None` if it is disabled.
    pub explorer: Option<Explorer>,
    /// Runtime for requests without a fresh cached response.
    pub runtime: Handle,
}

/// Limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Maximum size of a request body, in bytes.
    pub body_bytes: usize,
    /// The same for requests with a bearer token and a `Content-Length`, in which administrators send lists. Few of
    /// these are read at a time.
    pub admin_body_bytes: usize,
    /// Maximum time for a request body to arrive.
    pub body_read: Duration,
}

/// The values are choices: 256 KiB is far larger than the operations of usual clients, and arrives within 5 s at about
/// 420 kbit/s. An export of a list of 10,000 movies has 1 to 3 MB.
impl Default for HttpLimits {
    fn default() -> Self {
        Self { body_bytes: 256 * 1024, admin_body_bytes: 4 * 1024 * 1024, body_read: Duration::from_secs(5) }
    }
}
