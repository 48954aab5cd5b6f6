//! The response cache: encoded responses, which are found by a hash of operation and variables, or by a hash of the raw
//! bytes of a request.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::Request;
use bytes::Bytes;
use cached::{Cached, LruCache};

use super::document::OperationInfo;
use super::error_code::ErrorCode;
use super::metrics::{Outcome, PredictionSource};
use super::response::{BodyHash, CacheMetadata, ExecutionStatus, OperationResponse};
use crate::cache::{
    Cache, CacheContext, CacheSettings, DataSource, Dependencies, DependencyScope, Entry, Key, LoadError, Loaded,
    Lookup, ReadMode, Selection, Ttl,
};
use crate::clock::Clock;

/// TTL of a response itself. Longer than the TTL of any dependency, which is at most an hour, so that the dependencies
/// determine how long the response is cached.
const RESPONSE_TTL: Ttl = Ttl::of(Duration::from_hours(24));

/// Hash of a document, the name of its operation, and the variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ResponseKey([u64; 2]);

impl Key for ResponseKey {}

/// Hash of the raw bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestFingerprint([u64; 2]);

/// Response keys by request fingerprint, with LRU eviction.
type FingerprintIndex = LruCache<RequestFingerprint, ResponseKey>;

/// Cached responses, and an index that finds their keys by request fingerprint. Clones share both.
#[derive(Clone)]
pub(super) struct ResponseCache {
    responses: Cache<ResponseKey, EncodedResponse, FailedResponse>,
    fingerprints: Arc<Mutex<FingerprintIndex>>,
    /// Secrets of the hashes, random for each process, so that clients cannot construct collisions. Each of the two
    /// gives 64 bits of a key or fingerprint.
    secrets: [RandomState; 2],
    clock: Clock,
}

impl ResponseCache {
    pub(super) fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        let fingerprints = LruCache::builder().max_size(settings.capacity.entries.max(1)).build();
        Self {
            responses: Cache::new(settings, cache_context),
            fingerprints: Arc::new(Mutex::new(fingerprints.expect("the capacity is at least 1"))),
            secrets: [RandomState::new(), RandomState::new()],
            clock: cache_context.clock.clone(),
        }
    }

    /// The fingerprint of a request with these raw bytes. `is_get` is part of the hash, because the query string of a
    /// GET and the body of another request may be equal and mean different operations.
    pub(super) fn fingerprint(&self, is_get: bool, raw: &[u8]) -> RequestFingerprint {
        RequestFingerprint(self.secrets.each_ref().map(|secret| secret.hash_one((is_get, raw))))
    }

    /// The key of an operation: equal for the same document, operation name and variables.
    pub(super) fn key(&self, request: &Request) -> ResponseKey {
        // Cannot fail: variables are a map with strings as keys. It is sorted, so their order in the request does not
        // matter.
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        let parts = (request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), variables);
        ResponseKey(self.secrets.each_ref().map(|secret| secret.hash_one(&parts)))
    }

    /// Adds to the index that `key` is the response key of requests with this fingerprint.
    pub(super) fn index(&self, fingerprint: RequestFingerprint, key: ResponseKey) {
        self.fingerprints().cache_set(fingerprint, key);
    }

    /// The fresh response to a request with this fingerprint; `None` if the fingerprint is not in the index, or its
    /// response is not cached or not fresh.
    pub(super) fn find_by_fingerprint(&self, fingerprint: RequestFingerprint) -> Option<Arc<Entry<EncodedResponse>>> {
        let key = *self.fingerprints().cache_get(&fingerprint)?;
        self.find(&key)
    }

    /// The fresh response of `key`; `None` if the response is not cached or not fresh.
    pub(super) fn find(&self, key: &ResponseKey) -> Option<Arc<Entry<EncodedResponse>>> {
        self.responses.find_fresh(key)
    }

    /// Whether a response of `key` is cached that may be served without executing the operation.
    pub(super) fn can_serve(&self, key: &ResponseKey) -> bool {
        self.responses.can_serve(key)
    }

    /// Counts and traces the lookup by [`find`](Self::find) that found `entry`, and returns the response.
    pub(super) fn serve(&self, entry: &Entry<EncodedResponse>) -> OperationResponse {
        let age = self.responses.count_hit(entry);
        let metadata = CacheMetadata { lookup: Lookup::HitL1, validity: entry.validity, age, hash: entry.value.hash };
        entry.value.response(Some(DataSource::CacheFresh), Some(metadata))
    }

    /// Returns the response of `key` if one is cached. If it is stale, `execute` refreshes it in the background.
    /// Otherwise returns the result of `execute`, which concurrent requests share (single flight). The result is not
    /// cached if it has no dependencies, since nothing could invalidate it, or if it has errors.
    ///
    /// The first value is the encoded response with the record of its execution, the second one the response to this
    /// request.
    pub(super) async fn get_or_execute(
        &self,
        key: ResponseKey,
        execute: impl Future<Output = EncodedResponse> + Send + 'static,
    ) -> (Arc<EncodedResponse>, OperationResponse) {
        // Records how the lookup was served, and until when the response is valid. The execution is recorded in a scope
        // of its own, because it may serve other requests or be a background refresh.
        let dependencies = DependencyScope::new(ReadMode::Request);
        let load = async move {
            let encoded = execute.await;
            if encoded.outcome != Outcome::Ok {
                return Err(FailedResponse(Arc::new(encoded)));
            }
            let bytes = encoded.body.len() + size_of::<EncodedResponse>();
            let version_set = encoded.read.version_set.clone();
            let ttl = if encoded.is_cacheable() { RESPONSE_TTL } else { Ttl::NONE };
            // The cache combines this source with those of the dependencies, of which the slowest one counts.
            let source = encoded.read.source.unwrap_or(DataSource::Memory);
            Ok(Loaded { value: encoded, version_set, ttl, bytes, source })
        };
        // If no such response is cached, the lookup lasts as long as the operation, so its result is recorded on the
        // operation's span. A lookup that finds a stale response has a span of its own.
        let span = if self.can_serve(&key) { self.responses.span() } else { tracing::Span::current() };
        let loaded = Arc::clone(&dependencies).of(self.responses.get_traced(span, key, load)).await;
        let read = dependencies.snapshot();
        let (encoded, metadata) = match loaded {
            Ok(encoded) => {
                let metadata = encoded.is_cacheable().then(|| self.metadata(&encoded, &read)).flatten();
                (encoded, metadata)
            }
            Err(FailedResponse(encoded)) => (encoded, None),
        };
        let response = encoded.response(read.source.or(encoded.read.source), metadata);
        (encoded, response)
    }

    /// How the response cache served this request, from two records: `own_lookup` is that of this request, with its one
    /// lookup in the response cache; `encoded.read` is that of the execution, which another request may have started,
    /// with its lookups in other caches. `None` only without a validity in `own_lookup`, which every successful lookup
    /// records.
    fn metadata(&self, encoded: &EncodedResponse, own_lookup: &Dependencies) -> Option<CacheMetadata> {
        let lookup = match (own_lookup.hits, own_lookup.stale) {
            // Another request has stored the response after `find` returned `None` to this one.
            (1.., _) => Lookup::HitL1,
            (_, 1..) => Lookup::Stale,
            // Just executed, but derived from stale values.
            _ if encoded.read.stale > 0 => Lookup::Stale,
            _ => Lookup::Miss,
        };
        let validity = own_lookup.validity?;
        Some(CacheMetadata { lookup, validity, age: validity.age(self.clock.moment()), hash: encoded.hash })
    }

    fn fingerprints(&self) -> MutexGuard<'_, FingerprintIndex> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An encoded response with what its metrics and headers need.
#[derive(Debug)]
pub(super) struct EncodedResponse {
    pub(super) body: Bytes,
    pub(super) hash: BodyHash,
    pub(super) status: ExecutionStatus,
    pub(super) outcome: Outcome,
    pub(super) codes: Vec<ErrorCode>,
    pub(super) info: Arc<OperationInfo>,
    pub(super) read: Dependencies,
    /// Whether a request has received the response. The execution has counted the root fields for the first request,
    /// and the pipeline counts them again for each further one.
    delivered: AtomicBool,
}

impl EncodedResponse {
    pub(super) fn new(
        body: Bytes,
        (status, outcome): (ExecutionStatus, Outcome),
        codes: Vec<ErrorCode>,
        info: Arc<OperationInfo>,
        read: Dependencies,
    ) -> Self {
        let hash = BodyHash::of(&body, read.version_set.epoch());
        Self { body, hash, status, outcome, codes, info, read, delivered: AtomicBool::new(false) }
    }

    /// The response to one request. `source` is the slowest data source used for this request. It is `None` if the
    /// operation failed before it read anything, for example because of an invalid argument. The metrics of predictions
    /// then count it as computed from memory, since no statement ran.
    pub(super) fn response(&self, source: Option<DataSource>, cache: Option<CacheMetadata>) -> OperationResponse {
        OperationResponse {
            body: self.body.clone(),
            status: self.status,
            outcome: self.outcome,
            prediction: self.info.is_prediction().then(|| PredictionSource {
                source: source.unwrap_or(DataSource::Memory),
                selection: Selection::of(self.read.custom),
            }),
            cache,
            unavailable: self.codes.contains(&ErrorCode::ServiceUnavailable),
        }
    }

    /// Marks the response as received by a request, and returns whether another request has received it before.
    pub(super) fn deliver(&self) -> bool {
        self.delivered.swap(true, Ordering::AcqRel)
    }

    /// Whether the response has dependencies. Without any, no change of the data could invalidate it.
    fn is_cacheable(&self) -> bool {
        !self.read.version_set.is_empty()
    }
}

/// A response with errors, as the error of a load: it is not cached, and all requests that waited for its execution
/// receive it.
#[derive(Clone)]
struct FailedResponse(Arc<EncodedResponse>);

impl LoadError for FailedResponse {
    /// True for errors of the server: an outdated response is then better. False for errors of the client.
    fn is_outage(&self) -> bool {
        matches!(self.0.outcome, Outcome::Error | Outcome::Partial)
    }
}
