//! The response cache: encoded responses by operation and variables, and by the raw bytes of requests.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::Request;
use bytes::Bytes;
use cached::{Cached, LruCache};

use super::document::OperationInfo;
use super::error_code::ErrorCode;
use super::metrics::Outcome;
use super::response::{BodyHash, CacheMetadata, ExecutionStatus, OperationResponse};
use crate::cache::{
    Cache, CacheContext, CacheSettings, DataSource, Dependencies, DependencyScope, Entry, Key, LoadError, Loaded,
    Lookup, ReadMode, Ttl,
};
use crate::clock::Clock;

/// Longer than the TTL of any dependency, so that the dependencies determine how long a response is cached.
const RESPONSE_TTL: Ttl = Ttl::of(Duration::from_hours(24));

/// Hash of an operation and its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ResponseKey([u64; 2]);

impl Key for ResponseKey {}

/// Hash of the raw bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestFingerprint([u64; 2]);

/// Response key by request fingerprint, with LRU eviction.
type FingerprintIndex = LruCache<RequestFingerprint, ResponseKey>;

/// Cached responses, and the index from request fingerprints to them.
#[derive(Clone)]
pub(super) struct ResponseCache {
    responses: Cache<ResponseKey, EncodedResponse, FailedResponse>,
    fingerprints: Arc<Mutex<FingerprintIndex>>,
    /// Keys and fingerprints are hashed with two random secrets of this process, so that clients cannot construct
    /// collisions.
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

    /// The fingerprint of a request with these raw bytes. `by_get` separates query strings from bodies.
    pub(super) fn fingerprint(&self, by_get: bool, raw: &[u8]) -> RequestFingerprint {
        RequestFingerprint(self.secrets.each_ref().map(|secret| secret.hash_one((by_get, raw))))
    }

    /// The key of an operation: equal for the same document, operation name and variables.
    pub(super) fn key(&self, request: &Request) -> ResponseKey {
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        let parts = (request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), variables);
        ResponseKey(self.secrets.each_ref().map(|secret| secret.hash_one(&parts)))
    }

    /// Remembers which response answers a request with this fingerprint.
    pub(super) fn index(&self, fingerprint: RequestFingerprint, key: ResponseKey) {
        self.fingerprints().cache_set(fingerprint, key);
    }

    /// The fresh response to a request with this fingerprint, if one is known.
    pub(super) fn find_by_fingerprint(&self, fingerprint: RequestFingerprint) -> Option<Arc<Entry<EncodedResponse>>> {
        let key = *self.fingerprints().cache_get(&fingerprint)?;
        self.find(&key)
    }

    /// The fresh response to an operation.
    pub(super) fn find(&self, key: &ResponseKey) -> Option<Arc<Entry<EncodedResponse>>> {
        self.responses.find_fresh(key)
    }

    /// Whether there is a response to the operation, fresh or not.
    pub(super) fn has(&self, key: &ResponseKey) -> bool {
        self.responses.has(key)
    }

    /// Counts and traces the lookup that found `entry`, and returns the response.
    pub(super) fn serve(&self, entry: &Entry<EncodedResponse>) -> OperationResponse {
        let age = self.responses.count_hit(entry);
        let metadata = CacheMetadata { lookup: Lookup::HitL1, validity: entry.validity, age, hash: entry.value.hash };
        entry.value.response(Some(DataSource::CacheFresh), Some(metadata))
    }

    /// Returns the stale response of `key`, or the result of `execute`, which concurrent requests share (single flight).
    /// Without dependencies or with errors the result is not cached.
    pub(super) async fn get_or_execute(
        &self,
        key: ResponseKey,
        execute: impl Future<Output = EncodedResponse> + Send + 'static,
    ) -> (Arc<EncodedResponse>, OperationResponse) {
        let dependencies = DependencyScope::new(ReadMode::Request);
        let load = async move {
            let encoded = execute.await;
            if encoded.outcome != Outcome::Ok {
                return Err(FailedResponse(Arc::new(encoded)));
            }
            let bytes = encoded.body.len() + size_of::<EncodedResponse>();
            let version_set = encoded.read.version_set.clone();
            let ttl = if encoded.is_cacheable() { RESPONSE_TTL } else { Ttl::NONE };
            Ok(Loaded { value: encoded, version_set, ttl, bytes, source: DataSource::CacheFresh })
        };
        // A response that must be executed is the operation itself, so its result is recorded on the operation's span.
        let span = if self.has(&key) { self.responses.span() } else { tracing::Span::current() };
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

    /// How this request got the response. `own_lookup` has its one lookup of the response cache, `encoded.read` the
    /// lookups of the execution. `None` if the result has no validity.
    fn metadata(&self, encoded: &EncodedResponse, own_lookup: &Dependencies) -> Option<CacheMetadata> {
        let lookup = match (own_lookup.hits, own_lookup.stale) {
            // Another request has stored the response since this one found none.
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
    /// Whether one request has received it. The execution counted the root fields for that request; for further ones
    /// they are counted separately.
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

    /// The response as it is sent. `source` is the slowest one used for this request.
    pub(super) fn response(&self, source: Option<DataSource>, cache: Option<CacheMetadata>) -> OperationResponse {
        OperationResponse {
            body: self.body.clone(),
            status: self.status,
            outcome: self.outcome,
            prediction: self.info.is_prediction().then_some(source.unwrap_or(DataSource::Database)),
            cache,
            unavailable: self.codes.contains(&ErrorCode::ServiceUnavailable),
        }
    }

    /// Marks the response as received by one more request; returns whether another one has received it before.
    pub(super) fn deliver(&self) -> bool {
        self.delivered.swap(true, Ordering::AcqRel)
    }

    /// Whether it has dependencies: without any, nothing could invalidate it.
    fn is_cacheable(&self) -> bool {
        !self.read.version_set.is_empty()
    }
}

/// A response with errors. The requests that waited for its execution share it, and it is not cached.
#[derive(Clone)]
struct FailedResponse(Arc<EncodedResponse>);

impl LoadError for FailedResponse {
    fn is_outage(&self) -> bool {
        matches!(self.0.outcome, Outcome::Error | Outcome::Partial)
    }
}
