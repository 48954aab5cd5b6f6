//! Builds, from the settings, the state that all handlers of the public listener share.

use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::cache::{CacheContext, CacheName};
use crate::graphql::{self, Api, DocumentLimits, OperationLimits, OperationPipeline, QueryLimits, TrustedDocuments};
use crate::http::{ConnectionLimiter, Explorer, HttpLimits, HttpState, Probe, TrustedPeers, WebSocketLimits};
use crate::services::{CacheLimits, Services, share};

/// Share of the shutdown timeout in which the WebSocket connections start to close, at random times so that their
/// clients do not all reconnect at once. The connection that starts last has the rest of the timeout for its closing
/// handshake. 0.7 is a choice; it must be below 1.
const CLOSE_WINDOW_SHARE: f64 = 0.7;

impl App {
    /// Builds the state of the handlers. When `close` is cancelled, the WebSocket connections start to close.
    pub(super) fn http_state(
        &self,
        services: &Arc<Services>,
        cache_context: &CacheContext,
        probe: Probe,
        close: &CancellationToken,
    ) -> anyhow::Result<HttpState<Api>> {
        Ok(HttpState {
            pipeline: self.pipeline(services, cache_context)?,
            metrics: self.metrics.http.clone(),
            probe,
            limits: HttpLimits::default(),
            websocket_limiter: self.websocket_limiter(close),
            origins: self.config.cors_allowed_origins.clone().unwrap_or_default(),
            cors_headers: self.config.cors_allowed_headers.clone().unwrap_or_default(),
            trusted_peers: TrustedPeers::new(&self.config.trusted_peers),
            data_dir: self.data_dir(),
            posters: self.config.poster_base_url.clone(),
            public_url: self.config.public_url.clone(),
            explorer: self.config.graphiql_enabled.then(|| self.explorer()),
            // The runtime of the service, which runs the handlers. The single-threaded runtimes of connections only look
            // up cached responses.
            runtime: Handle::current(),
        })
    }

    fn pipeline(
        &self,
        services: &Arc<Services>,
        cache_context: &CacheContext,
    ) -> anyhow::Result<OperationPipeline<Api>> {
        let limits = QueryLimits {
            max_complexity: self.config.query_complexity_limit,
            introspection: self.config.introspection_enabled,
        };
        let executor = graphql::api(Arc::clone(services), self.metrics.graphql.clone(), limits);
        let limits = OperationLimits {
            timeout: self.config.request_timeout,
            document: self.document_limits(),
            max_concurrent: self.config.http_concurrency_limit,
        };
        let pipeline = OperationPipeline::new(executor, self.metrics.graphql.clone(), limits)
            .with_trusted_documents(self.trusted_documents()?);
        if !self.config.cache_enabled {
            return Ok(pipeline);
        }
        let settings = CacheLimits::from(&self.config).settings(CacheName::Responses, share::RESPONSES);
        Ok(pipeline.with_response_cache(settings, cache_context))
    }

    fn document_limits(&self) -> DocumentLimits {
        DocumentLimits {
            tokens: self.config.query_tokens_limit,
            depth: self.config.query_depth_limit,
            ..DocumentLimits::default()
        }
    }

    /// Reads the trusted documents from the manifest; there are none if no manifest is configured.
    ///
    /// # Errors
    /// An unreadable or invalid manifest, or `trusted_documents_only` without a manifest.
    fn trusted_documents(&self) -> anyhow::Result<TrustedDocuments> {
        let only = self.config.trusted_documents_only;
        let Some(path) = &self.config.trusted_documents_file else {
            anyhow::ensure!(!only, "trusted_documents_only needs trusted_documents_file");
            return Ok(TrustedDocuments::default());
        };
        let manifest = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let expected = "expected a JSON object of documents by id";
        let by_id = serde_json::from_str(&manifest).with_context(|| format!("{}: {expected}", path.display()))?;
        Ok(TrustedDocuments { by_id, only })
    }

    fn websocket_limiter(&self, close: &CancellationToken) -> ConnectionLimiter {
        let limits = WebSocketLimits {
            connections: self.config.websocket_connections_limit,
            close_window: self.config.shutdown_timeout.mul_f64(CLOSE_WINDOW_SHARE),
            ..WebSocketLimits::default()
        };
        ConnectionLimiter::new(limits, close.clone())
    }

    fn explorer(&self) -> Explorer {
        // Without GraphiQL's files, the explorer shows the schema instead. Where introspection is disabled, the schema must
        // not be shown.
        let schema = self.config.introspection_enabled.then(graphql::sdl);
        Explorer::new(self.config.graphiql_dir.clone(), schema)
    }
}
