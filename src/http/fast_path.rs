//! Fast path of `/graphql`: serves a cached response to a byte-identical request before routing and parsing, which cost
//! more than the cache lookup. All other requests run on the service's runtime: the thread of a connection serves other
//! connections, too, whose cached responses they would delay.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_graphql::Executor;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::{BoxError, Router};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use http_body_util::BodyExt;
use opentelemetry::Context as Trace;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;

use super::content_negotiation::{is_json, negotiate, unsupported_codings};
use super::error::error_response;
use super::graphql::{http_response, received};
use super::metrics::API_ROUTE;
use super::observability::RequestObserver;
use super::response_status::MediaType;
use super::state::HttpState;
use crate::graphql::{ErrorCode, OperationResponse, Transport};

/// Serves cached responses of `/graphql`, and passes all other requests to the routes. Measures and traces the requests
/// to `/graphql`; a middleware of the routes does so for all others.
pub(super) struct CachedResponseService<E>(Arc<Inner<E>>);

struct Inner<E> {
    state: Arc<HttpState<E>>,
    observer: RequestObserver,
    routes: Router,
}

impl<E: Executor> CachedResponseService<E> {
    /// Puts the fast path in front of `routes`.
    pub(super) fn wrap(routes: Router, state: Arc<HttpState<E>>, observer: RequestObserver) -> Self {
        Self(Arc::new(Inner { state, observer, routes }))
    }
}

impl<E> Clone for CachedResponseService<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Executor> Service<Request> for CachedResponseService<E> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(if request.uri().path() == API_ROUTE {
                inner.serve_graphql(request).await
            } else {
                inner.spawn_on_service_runtime(inner.route(request)).await
            })
        })
    }
}

impl<E: Executor> Inner<E> {
    /// Responds to a request to `/graphql` from the response cache, or else by the routes.
    async fn serve_graphql(&self, request: Request) -> Response {
        let observation = self.observer.begin(&request, API_ROUTE.into());
        let trace = observation.trace();
        let (parts, mut body) = request.into_parts();
        let limits = self.state.limits;
        let found = match parts.method {
            Method::GET => {
                let sent = parts.uri.query().unwrap_or_default().as_bytes();
                self.get_cached(Transport::Get, sent, &parts.headers, &trace)
            }
            // Bodies of unknown or excessive length are left to the routes, which limit what they read.
            Method::POST if body.size_hint().upper().is_some_and(|bytes| bytes <= limits.body_bytes as u64) => {
                let sent = read_body(body, limits.body_read).await;
                let bytes = sent.as_ref().ok().filter(|_| is_plain_json(&parts.headers));
                let found = bytes.and_then(|bytes| self.get_cached(Transport::Post, bytes, &parts.headers, &trace));
                body = match sent {
                    _ if found.is_some() => Body::empty(),
                    Ok(bytes) => Body::from(bytes),
                    // The routes get this error when they read the body, and respond to it.
                    Err(error) => Body::from_stream(stream::iter([Err::<Bytes, _>(error)])),
                };
                found
            }
            _ => None,
        };
        if let Some((cached, media)) = found {
            let end = cached.end();
            return observation.finish(http_response(cached, media, &parts.headers), Some(end));
        }
        self.spawn_on_service_runtime(observation.instrument(self.route(Request::from_parts(parts, body)))).await
    }

    fn route(&self, request: Request) -> impl Future<Output = Response> + use<E> {
        self.routes.clone().call(request).map(|Ok(response)| response)
    }

    /// Runs `work` on the service's runtime; aborts it if the client disconnects.
    async fn spawn_on_service_runtime(&self, work: impl Future<Output = Response> + Send + 'static) -> Response {
        let done = AbortOnDropHandle::new(self.state.runtime.spawn(work)).await;
        done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => error_response(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::ServiceUnavailable,
                "the service is shutting down",
            ),
        })
    }

    /// The cached response to the body or query string `sent`, and its media type. `None` if the cache has no response,
    /// or if the client accepts neither media type, which the routes reject.
    fn get_cached(
        &self,
        transport: Transport,
        sent: &[u8],
        headers: &HeaderMap,
        trace: &Trace,
    ) -> Option<(OperationResponse, MediaType)> {
        let (pipeline, media) = (&self.state.pipeline, negotiate(headers)?);
        // Log lines and spans of the lookup belong to the trace of the request.
        let _attached = trace.clone().attach();
        Some((pipeline.get_cached(received(pipeline, (transport, media), sent, headers))?, media))
    }
}

/// Whether the headers declare a JSON body without a content coding. The routes reject any other body with 415, so it
/// must not get a cached response even if its bytes match.
fn is_plain_json(headers: &HeaderMap) -> bool {
    is_json(headers) && unsupported_codings(headers).is_empty()
}

/// Reads a body.
///
/// # Errors
/// If the body cannot be read, or does not arrive within `limit`.
async fn read_body(body: Body, limit: Duration) -> Result<Bytes, BoxError> {
    let mut collected = pin!(body.collect());
    // The first poll has no timer: short bodies arrive with the head, and do not need it.
    let collected = match poll_fn(|context| Poll::Ready(collected.as_mut().poll(context))).await {
        Poll::Ready(collected) => collected,
        Poll::Pending => timeout(limit, collected).await?,
    };
    Ok(collected?.to_bytes())
}
