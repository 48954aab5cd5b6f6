//! `/graphql`: from a request's bytes to an operation, and from its response to bytes.

use std::sync::Arc;

use async_graphql::{BatchRequest, Executor, Request, Variables};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::error::refusal;
use super::{HttpState, caching};
use crate::graphql::{Bearer, RETRY_AFTER_SECONDS, Stage, Transport};
use crate::telemetry::{ErrorCode, Metrics, OperationEnd};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `POST /graphql`.
pub(super) async fn post<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    headers: HeaderMap,
    body: Result<Json<BatchRequest>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(BatchRequest::Single(request))) => answer(&state, &headers, request, Transport::Post).await,
        Ok(Json(BatchRequest::Batch(_))) => {
            bad_request(&state.metrics, StatusCode::BAD_REQUEST, "send one operation, not an array of them")
        }
        Err(rejection) => {
            let (status, message) = unreadable(&rejection, state.limits.body_bytes);
            bad_request(&state.metrics, status, &message)
        }
    }
}

/// `GET /graphql?query=…`.
pub(super) async fn get<E: Executor>(
    State(state): State<Arc<HttpState<E>>>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    match parameters.ok().and_then(|Query(parameters)| parameters.into_request()) {
        Some(request) => answer(&state, &headers, request, Transport::Get).await,
        None => bad_request(
            &state.metrics,
            StatusCode::BAD_REQUEST,
            "send the parameter query, and perhaps operationName and variables, a JSON object",
        ),
    }
}

/// A request in a query string.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    query: String,
    operation_name: Option<String>,
    variables: Option<String>,
}

impl Parameters {
    fn into_request(self) -> Option<Request> {
        let variables = match self.variables.as_deref() {
            None | Some("") => Variables::default(),
            Some(json) => serde_json::from_str(json).ok()?,
        };
        let request = Request::new(self.query).variables(variables);
        Some(match self.operation_name {
            Some(name) if !name.is_empty() => request.operation_name(name),
            _ => request,
        })
    }
}

async fn answer<E: Executor>(
    state: &HttpState<E>,
    headers: &HeaderMap,
    request: Request,
    transport: Transport,
) -> Response {
    let request = match bearer(headers) {
        Some(bearer) => request.data(bearer),
        None => request,
    };
    let answer = state.door.answer(request, transport).await;
    let status = match answer.stage {
        Stage::Refused | Stage::Executed => StatusCode::OK,
        Stage::NotByGet => StatusCode::METHOD_NOT_ALLOWED,
        Stage::TimedOut => StatusCode::GATEWAY_TIMEOUT,
    };
    // The middleware takes the end out again, to judge the request by it.
    let end = OperationEnd { outcome: answer.outcome, prediction: answer.prediction };
    let mut response = (status, Extension(end), [(CONTENT_TYPE, JSON)], answer.body).into_response();
    if answer.unavailable {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    caching::describe(response, answer.kept.as_ref(), headers)
}

/// The token that a request bears, for the resolvers that ask for one.
fn bearer(headers: &HeaderMap) -> Option<Bearer> {
    Bearer::of(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// Refuses a request that holds no operation.
fn bad_request(metrics: &Metrics, status: StatusCode, message: &str) -> Response {
    metrics.graphql_error(ErrorCode::BadUserInput);
    refusal(status, ErrorCode::BadUserInput, message)
}

fn unreadable(rejection: &JsonRejection, body_bytes: usize) -> (StatusCode, String) {
    match rejection {
        JsonRejection::BytesRejection(bytes) if bytes.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {body_bytes} bytes"))
        }
        JsonRejection::BytesRejection(_) => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive".to_owned()),
        JsonRejection::MissingJsonContentType(_) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json".to_owned())
        }
        _ => (StatusCode::BAD_REQUEST, "the body is not a JSON object with query, operationName, variables".to_owned()),
    }
}
