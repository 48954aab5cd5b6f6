//! The response to an operation: its encoded body, how far it got, and how long it may be cached.

use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{Response, ServerError, Value};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::{RETRY_AFTER_SECONDS, error_with_code};
use super::error_code::ErrorCode;
use super::metrics::{OperationEnd, Outcome, PredictionSource};
use crate::cache::{Lookup, Validity};
use crate::versions::Epoch;

/// The response to an operation.
#[derive(Debug, Clone)]
pub struct OperationResponse {
    /// Response body, as JSON.
    pub body: Bytes,
    /// How far the operation got.
    pub status: ExecutionStatus,
    /// Outcome for the metrics.
    pub outcome: Outcome,
    /// Where the result comes from, if all root fields are predictions; `None` otherwise.
    pub prediction: Option<PredictionSource>,
    /// Cache metadata; `None` if the response is not cacheable.
    pub cache: Option<CacheMetadata>,
    /// Whether a part of the service was unavailable, so that the client may retry soon.
    pub unavailable: bool,
}

impl OperationResponse {
    /// The response to an operation that is not executed because of `error`.
    pub(super) fn rejected(error: ServerError, status: ExecutionStatus) -> Self {
        Self {
            body: encode(&Response::from_errors(vec![error])),
            status,
            outcome: Outcome::Rejected,
            prediction: None,
            cache: None,
            unavailable: false,
        }
    }

    /// The response to an operation that is rejected because the limit of concurrent operations is reached.
    pub(super) fn shed() -> Self {
        let mut error = error_with_code(ErrorCode::ServiceUnavailable, "Too many concurrent requests; retry later.");
        error.extensions.get_or_insert_default().set("retryAfter", RETRY_AFTER_SECONDS);
        Self { outcome: Outcome::Error, unavailable: true, ..Self::rejected(error, ExecutionStatus::Shed) }
    }

    /// Outcome and prediction source, as the request metrics take them.
    #[must_use]
    pub fn end(&self) -> OperationEnd {
        OperationEnd { outcome: self.outcome, prediction: self.prediction }
    }
}

/// How far an operation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// Rejected before execution: a syntax or validation error, or a limit exceeded.
    Rejected,
    /// Not a query, but received by a transport that carries only queries.
    QueriesOnly,
    /// Rejected unread above the concurrency limit (load shedding).
    Shed,
    /// Exceeded the time limit.
    TimedOut,
    /// Panicked during execution.
    Panicked,
    /// Executed, with or without field errors.
    Executed,
}

/// How a response was served by the response cache, and how long it may be cached.
#[derive(Debug, Clone)]
pub struct CacheMetadata {
    /// Result of the cache lookup.
    pub lookup: Lookup,
    /// When the response was created, and until when it may be served.
    pub validity: Validity,
    /// Age of the response now.
    pub age: Duration,
    /// Hash of the body, for the `ETag`.
    pub hash: BodyHash,
}

/// Hash of a response body and of the epoch of its data, which becomes the `ETag`. All instances compute the same hash,
/// so a client can revalidate a response with any of them. With the epoch, no `ETag` of the data of another database
/// matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyHash(pub u128);

impl BodyHash {
    /// The first 128 bits of the SHA-256 of the epoch and the body.
    pub(super) fn of(body: &[u8], epoch: Epoch) -> Self {
        let hash = Sha256::new().chain_update(epoch.to_bits().to_be_bytes()).chain_update(body).finalize();
        Self(hash.first_chunk().copied().map_or(0, u128::from_be_bytes))
    }
}

/// Encodes a response as JSON.
pub(super) fn encode(response: &Response) -> Bytes {
    // An error without a path means that the operation was not executed. The specification then requires `data` to be
    // absent instead of null.
    let executed = response.errors.iter().all(|error| !error.path.is_empty());
    let Response { errors, data, extensions, .. } = response;
    let body = Body { errors, data: executed.then_some(data), extensions };
    // Cannot fail: the keys of all maps are strings.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// A response with the entries that the specification requires, in the order that it recommends.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}
