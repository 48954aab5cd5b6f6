//! `/graphql`: decodes HTTP requests into operations and encodes the results of the operations, as the "GraphQL over
//! HTTP" specification defines.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::sync::Arc;

use async_graphql::{Executor, Request};
use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, Query, RawQuery, State};
use axum::http::header::{ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::Full;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::content_negotiation::{accepts_subscription_stream, is_json, negotiate, prefers_html, unsupported_codings};
use super::error::{JSON, error_response};
use super::graphql_request::{GraphqlRequest, QueryParameters};
use super::observability::request_id;
use super::peer::{Peer, peer_address};
use super::response_status::MediaType;
use super::state::HttpState;
use super::{cache_headers, explorer, multipart};
use crate::graphql::{
    Bearer, ErrorCode, ExecutionStatus, OperationPipeline, OperationResponse, RETRY_AFTER_SECONDS, Received, Rejection,
    Transport,
};

/// `POST /graphql`.
pub(super) async fn post<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    peer: Peer,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Response {
    let streams = accepts_subscription_stream(&headers);
    // If a client accepts only a subscription stream and its operation is rejected, it still gets the errors, in this
    // media type.
    let media = negotiate(&headers).or(streams.then_some(MediaType::GraphqlResponse));
    let Some(media) = media else { return not_acceptable(&state) };
    if !is_json(&headers) {
        let problem = "Content-Type must be application/json in UTF-8";
        return bad_request(&state, StatusCode::UNSUPPORTED_MEDIA_TYPE, problem);
    }
    let codings = unsupported_codings(&headers);
    if !codings.is_empty() {
        return unsupported_coding(&state, &codings);
    }
    let (body, limit, _permit) = read_body(&state, request).await;
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            state.metrics.graphql.rejected(Rejection::TooLarge);
            let problem = format!("the request body exceeds {limit} bytes");
            return bad_request(&state, StatusCode::PAYLOAD_TOO_LARGE, &problem);
        }
        Err(rejection) if is_incomplete(&rejection) => {
            return bad_request(&state, StatusCode::BAD_REQUEST, "the request body ended before its announced end");
        }
        // What remains is the deadline of the body.
        Err(_) => return bad_request(&state, StatusCode::REQUEST_TIMEOUT, "the request body did not arrive in time"),
    };
    // A JSON array would be a batch of operations.
    if body.trim_ascii_start().starts_with(b"[") {
        return bad_request(
            &state,
            StatusCode::BAD_REQUEST,
            "batched operations are not supported: send one operation",
        );
    }
    match serde_json::from_slice(&body).ok().and_then(GraphqlRequest::into_request) {
        Some(request) => {
            let request = with_bearer(&state, (&headers, peer), request);
            if streams {
                let respond = |response| http_response(response, media, &headers).map(Body::new);
                return multipart::subscribe(&state, request, respond).await;
            }
            execute(&state, &headers, request, (Transport::Post, media), &body).await
        }
        None => bad_request(
            &state,
            StatusCode::BAD_REQUEST,
            "the body must be a JSON object with query, documentId or extensions.persistedQuery, and optionally \
             operationName, variables and extensions",
        ),
    }
}

/// `GET /graphql?query=…`. Redirects browsers that open the URL without a query to the explorer.
pub(super) async fn get<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(sent): RawQuery,
    parameters: Result<Query<QueryParameters>, QueryRejection>,
) -> Response {
    if state.explorer.is_some() && sent.as_deref().unwrap_or_default().is_empty() && prefers_html(&headers) {
        return (StatusCode::SEE_OTHER, [(LOCATION, explorer::PATH), (VARY, "accept")]).into_response();
    }
    let Some(media) = negotiate(&headers) else { return not_acceptable(&state) };
    match parameters.ok().and_then(|Query(parameters)| parameters.into_request()) {
        Some(request) => {
            let sent = sent.as_deref().unwrap_or_default().as_bytes();
            let request = with_bearer(&state, (&headers, peer), request);
            execute(&state, &headers, request, (Transport::Get, media), sent).await
        }
        None => bad_request(
            &state,
            StatusCode::BAD_REQUEST,
            "one of the parameters query, documentId and extensions (with persistedQuery) is required; variables and \
             extensions must be JSON objects",
        ),
    }
}

/// Reads the body of a request, and returns it with its maximum size. Few bodies above the usual size are in memory at a
/// time, since anybody can send a bearer token: the returned permit counts them, and is held until the response.
async fn read_body<E>(
    state: &HttpState<E>,
    mut request: axum::extract::Request,
) -> (Result<Bytes, BytesRejection>, usize, Option<SemaphorePermit<'static>>) {
    // A choice: 16 MiB together.
    static LARGE_BODIES: Semaphore = Semaphore::const_new(4);
    let limits = &state.limits;
    let mut limit = limits.body_bytes;
    let mut permit = None;
    // A body without Content-Length keeps the usual limit, even with a token: whether it needs a permit would be known
    // only while it is read.
    if request.body().size_hint().lower() > limit as u64 && bearer(request.headers()).is_some() {
        limit = limits.admin_body_bytes;
        DefaultBodyLimit::max(limit).apply(&mut request);
        permit = LARGE_BODIES.acquire().await.ok();
    }
    (Bytes::from_request(request, &()).await, limit, permit)
}

/// Whether the body could not be read because the client closed its sending side before the end of the body.
fn is_incomplete(rejection: &BytesRejection) -> bool {
    let causes = successors(rejection.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| cause.kind() == ErrorKind::UnexpectedEof)
}

async fn execute<E: Executor>(
    state: &HttpState<E>,
    headers: &HeaderMap,
    request: Request,
    (transport, media): (Transport, MediaType),
    raw: &[u8],
) -> Response {
    let received = received(&state.pipeline, (transport, media), raw, headers);
    let executed = state.pipeline.execute(request, received).await;
    // `RequestGuard::instrument` removes this extension, and counts the request for the availability objective by it.
    let end = Extension(executed.end());
    (end, http_response(executed, media, headers).map(Body::new)).into_response()
}

/// What the pipeline needs to know about an HTTP request. `raw` is its body or, for GET, its query string.
pub(super) fn received<'a, E: Executor>(
    pipeline: &OperationPipeline<E>,
    (transport, media): (Transport, MediaType),
    raw: &[u8],
    headers: &'a HeaderMap,
) -> Received<'a> {
    let fingerprint = pipeline.fingerprint(transport, raw);
    Received { transport, fingerprint, request_id: request_id(headers), http_status: media.status_code() }
}

/// Number of headers for which a response has room from the start, so that the map need not grow: those that are added
/// here and by the layers. More headers are possible.
const HEADERS_EXPECTED: usize = 12;

/// The HTTP response to an operation. `request` are the headers of the request.
pub(super) fn http_response(
    executed: OperationResponse,
    media: MediaType,
    request: &HeaderMap,
) -> Response<Full<Bytes>> {
    let OperationResponse { body, status, cache, unavailable, .. } = executed;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = media.status(status);
    let headers = response.headers_mut();
    headers.reserve(HEADERS_EXPECTED);
    headers.insert(
        CONTENT_TYPE,
        match media {
            MediaType::GraphqlResponse => GRAPHQL_RESPONSE,
            MediaType::Json => JSON,
        },
    );
    if unavailable {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    if status == ExecutionStatus::QueriesOnly {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    cache_headers::apply(response, cache.as_ref(), request)
}

const GRAPHQL_RESPONSE: HeaderValue = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");

/// Adds the bearer token, if any, for resolvers that require authentication. It is added with the address of the
/// client, because the number of invalid tokens is limited for each client.
fn with_bearer<E>(state: &HttpState<E>, (headers, peer): (&HeaderMap, Peer), request: Request) -> Request {
    let Some(bearer) = bearer(headers) else { return request };
    let client = state.trusted_peers.client_address(peer_address(&peer), headers);
    request.data(bearer.from_client(client))
}

fn bearer(headers: &HeaderMap) -> Option<Bearer> {
    Bearer::of(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// Rejects a request that contains no valid operation, or whose headers are not supported.
fn bad_request<E>(state: &HttpState<E>, status: StatusCode, message: &str) -> Response {
    state.metrics.graphql.error(ErrorCode::BadUserInput);
    error_response(status, ErrorCode::BadUserInput, message)
}

/// Rejects a request with an encoded body, and says which coding is supported (RFC 9110, 15.5.16).
fn unsupported_coding<E>(state: &HttpState<E>, codings: &[String]) -> Response {
    let problem =
        format!("Content-Encoding {} is not supported: send the request body uncompressed", codings.join(", "));
    let response = bad_request(state, StatusCode::UNSUPPORTED_MEDIA_TYPE, &problem);
    ([(ACCEPT_ENCODING, "identity")], response).into_response()
}

fn not_acceptable<E>(state: &HttpState<E>) -> Response {
    let problem = "Accept must allow application/graphql-response+json or application/json";
    bad_request(state, StatusCode::NOT_ACCEPTABLE, problem)
}
