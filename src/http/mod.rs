//! HTTP: routes, limits, health and `/metrics`.
//!
//! Two routers, one per listener: [`public`] for clients, [`admin()`] for operators. The layer `graphql` executes the
//! operations. This layer contains no SQL and computes no scores.

mod admin;
mod cache_headers;
mod client_stream;
mod content_negotiation;
mod cors;
mod error;
mod explorer;
mod fast_path;
mod graphql;
mod graphql_request;
mod health;
mod hosts;
mod html_response;
mod instrumented_body;
mod metrics;
mod multipart;
mod observability;
mod page;
mod peer;
mod response_status;
mod router;
mod server;
mod state;
mod trailing_slash;
mod websocket;

pub use explorer::Explorer;
pub use health::{Probe, Readiness};
pub use hosts::check_hosts;
pub use metrics::{HttpMetrics, Method, PagePhase, Slo, Surface};
pub use peer::TrustedPeers;
pub use router::{admin, public};
pub use server::{ConnectionLimits, HttpService, PerCoreRuntimes, serve};
pub use state::{HttpLimits, HttpState};
pub use websocket::{ConnectionLimiter, WebSocketLimits};
