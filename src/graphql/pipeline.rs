//! The operation pipeline of HTTP and WebSocket: admission, response cache, parsing, validation, execution, encoding.
//! Every operation is measured and logged once, however it ends. Main type: [`OperationPipeline`].

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::futures_util::FutureExt;
use async_graphql::{Executor, Request, Response, ServerError, Value};
use axum::body::Bytes;
use axum::http::HeaderValue;
use cached::{Cached, LruCache};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tracing::{Instrument, Span};

use super::document_limits::{self, DocumentLimits, LimitExceeded};
use super::error::{ErrorCode, RETRY_AFTER_SECONDS};
use super::metrics::{GraphqlMetrics, OperationEnd, OperationType, Outcome, Phase, Rejection};
use super::operation::{
    Operation, OperationInfo, assign_code, error_with_code, instrument_phase, outcome, syntax_error,
};
use super::persisted_documents::{Documents, TrustedDocuments};
use super::root_fields;
use super::schema::too_complex;
use crate::cache::{
    Cache, CacheContext, CacheSettings, DataSource, Dependencies, DependencyScope, Entry, Key, LoadError, Loaded,
    Lookup, ReadMode, Ttl, Validity,
};
use crate::telemetry::Status;

/// Longer than the TTL of any dependency, so that the dependencies determine how long a response is cached.
const RESPONSE_TTL: Ttl = Ttl::of(Duration::from_hours(24));

/// How a request was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP POST: any operation.
    Post(MediaType),
    /// HTTP GET: queries only, because clients, proxies and crawlers may repeat a GET.
    Get(MediaType),
    /// WebSocket.
    Socket,
    /// The service's own pages. Their documents are trusted, so document limits do not apply.
    Internal,
}

/// Media type of an HTTP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the HTTP status shows whether the operation was executed.
    GraphqlResponse,
    /// `application/json`, for older clients: every well-formed request gets status 200.
    Json,
}

/// The response to an operation.
#[derive(Debug, Clone)]
pub struct OperationResponse {
    /// Response body, as JSON.
    pub body: Bytes,
    /// How far the operation got.
    pub status: ExecutionStatus,
    /// Outcome for the metrics.
    pub outcome: Outcome,
    /// The slowest data source used, if all root fields are predictions.
    pub prediction: Option<DataSource>,
    /// Cache metadata; `None` if the response is not cacheable.
    pub cache: Option<CacheMetadata>,
    /// Whether the service was unavailable and the client may retry soon.
    pub unavailable: bool,
}

impl OperationResponse {
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
    /// Not a query, but sent by GET.
    MethodNotAllowed,
    /// Rejected unread above the concurrency limit (load shedding).
    Shed,
    /// Exceeded the time limit.
    TimedOut,
    /// Panicked during execution.
    Panicked,
    /// Executed, with or without field errors.
    Executed,
}

impl ExecutionStatus {
    /// HTTP status of the response.
    #[must_use]
    pub fn http_status(self, transport: Transport) -> u16 {
        match self {
            Self::Rejected
                if matches!(transport, Transport::Post(MediaType::Json) | Transport::Get(MediaType::Json)) =>
            {
                200
            }
            Self::Rejected => 400,
            Self::MethodNotAllowed => 405,
            Self::Shed => 503,
            Self::TimedOut => 504,
            Self::Panicked => 500,
            Self::Executed => 200,
        }
    }
}

/// The client's request ID, in the data of the request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Cache metadata of a response, for the HTTP caching headers.
#[derive(Debug, Clone)]
pub struct CacheMetadata {
    /// Result of the cache lookup.
    pub how: Lookup,
    /// When the response was created, and until when it may be served.
    pub times: Validity,
    /// Current age.
    pub age: Duration,
    /// Entity tag: a hash of the body.
    pub etag: HeaderValue,
}

/// An encoded response with what its metrics and headers need.
#[derive(Debug)]
struct CachedResponse {
    body: Bytes,
    etag: HeaderValue,
    status: ExecutionStatus,
    outcome: Outcome,
    codes: Vec<ErrorCode>,
    info: Arc<OperationInfo>,
    read: Dependencies,
    /// Whether one request has received it. The execution counted the root fields for that request; for further ones
    /// they are counted separately.
    delivered: AtomicBool,
}

/// A response that is not cached, because it has errors or no dependencies that could invalidate it.
type UncacheableResponse = Arc<CachedResponse>;

/// Hash of an operation and its variables. Keyed with two random secrets of this process, so that clients cannot
/// construct collisions.
type ResponseKey = [u64; 2];

type Responses = Cache<ResponseKey, CachedResponse, UncacheableResponse>;

impl Key for ResponseKey {}

/// Hash of the raw bytes of a request, keyed like the response key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestFingerprint([u64; 2]);

/// Response key by request fingerprint, with LRU eviction.
type FingerprintIndex = LruCache<RequestFingerprint, ResponseKey>;

/// Cached responses, and the index from request fingerprints to them.
#[derive(Clone)]
struct ResponseCache {
    responses: Responses,
    fingerprints: Arc<Mutex<FingerprintIndex>>,
    cache_context: CacheContext,
}

impl ResponseCache {
    fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        let fingerprints = LruCache::builder().max_size(settings.capacity.entries.max(1)).build();
        Self {
            responses: Cache::new(settings, cache_context),
            fingerprints: Arc::new(Mutex::new(fingerprints.expect("the capacity is at least 1"))),
            cache_context: cache_context.clone(),
        }
    }

    fn fingerprints(&self) -> MutexGuard<'_, FingerprintIndex> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs operations on the executor `E`: a schema or a wrapper around one.
#[derive(Clone)]
pub struct OperationPipeline<E> {
    pub(super) executor: E,
    pub(super) metrics: GraphqlMetrics,
    cache: Option<ResponseCache>,
    secrets: [RandomState; 2],
    limits: OperationLimits,
    concurrency: Arc<Semaphore>,
    pub(super) documents: Documents,
}

/// Limits on one operation, and on concurrent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationLimits {
    /// Maximum execution time.
    pub time: Duration,
    /// Limits on the document.
    pub document: DocumentLimits,
    /// Maximum number of concurrent operations, without those over WebSocket, which are bounded by connection limits.
    pub max_concurrent: usize,
}

impl Default for OperationLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), document: DocumentLimits::default(), max_concurrent: 1024 }
    }
}

impl<E: Executor> OperationPipeline<E> {
    /// A pipeline without response cache and without trusted documents.
    #[must_use]
    pub fn new(executor: E, metrics: GraphqlMetrics, limits: OperationLimits) -> Self {
        Self {
            executor,
            metrics,
            cache: None,
            secrets: [RandomState::new(), RandomState::new()],
            limits,
            concurrency: Arc::new(Semaphore::new(limits.max_concurrent)),
            documents: Documents::new(TrustedDocuments::default()),
        }
    }

    /// Adds trusted documents.
    #[must_use]
    pub fn with_trusted_documents(self, documents: TrustedDocuments) -> Self {
        Self { documents: Documents::new(documents), ..self }
    }

    /// Adds a response cache.
    #[must_use]
    pub fn with_response_cache(self, settings: CacheSettings, cache_context: &CacheContext) -> Self {
        Self { cache: Some(ResponseCache::new(settings, cache_context)), ..self }
    }

    /// The fingerprint for [`get_cached`](Self::get_cached). `raw` is the request body, or the query string of a GET;
    /// `transport` separates the two.
    pub fn fingerprint(&self, transport: Transport, raw: &[u8]) -> RequestFingerprint {
        let by_get = matches!(transport, Transport::Get(_));
        RequestFingerprint(self.secrets.each_ref().map(|secret| secret.hash_one((by_get, raw))))
    }

    /// Returns the cached response for a byte-identical request, if fresh, without parsing the request. Takes no
    /// concurrency permit: a hit is cheaper than a rejection.
    pub fn get_cached(
        &self,
        fingerprint: RequestFingerprint,
        transport: Transport,
        request_id: Option<&str>,
    ) -> Option<OperationResponse> {
        let cache = self.cache.as_ref()?;
        let key = *cache.fingerprints().cache_get(&fingerprint)?;
        let found = cache.responses.find_fresh(&key)?;
        let mut operation = Operation::start(&self.metrics);
        if let Some(id) = request_id {
            operation.set_request_id(id.to_owned());
        }
        let span = operation.span();
        let _entered = span.enter();
        let response = self.serve_cached(&cache.responses, &found, &mut operation);
        operation.record_status(response.status.http_status(transport));
        operation.end(response.outcome, response.prediction);
        Some(response)
    }

    /// Executes one operation, or rejects it if the concurrency limit is reached.
    pub async fn execute(&self, request: Request, transport: Transport) -> OperationResponse {
        let Ok(_permit) = self.concurrency.try_acquire() else { return self.shed() };
        let mut operation = Operation::start(&self.metrics);
        if let Some(RequestId(id)) = request_data(&request) {
            operation.set_request_id(id.clone());
        }
        let span = operation.span();
        let usage = operation.usage();
        let response = usage.scope(self.run(request, transport, &mut operation)).instrument(span).await;
        operation.record_status(response.status.http_status(transport));
        operation.end(response.outcome, response.prediction);
        response
    }

    /// Rejects the request with 503 so that requests already in flight keep their latency (load shedding).
    fn shed(&self) -> OperationResponse {
        self.metrics.rejected(Rejection::RateLimit);
        self.metrics.error(ErrorCode::ServiceUnavailable);
        let mut error = error_with_code(ErrorCode::ServiceUnavailable, "too many concurrent requests; retry later");
        error.extensions.get_or_insert_default().set("retryAfter", RETRY_AFTER_SECONDS);
        OperationResponse {
            body: encode(&Response::from_errors(vec![error])),
            status: ExecutionStatus::Shed,
            outcome: Outcome::Error,
            prediction: None,
            cache: None,
            unavailable: true,
        }
    }

    /// Resolves the document, then serves the response from the cache or executes the operation.
    pub(super) async fn run(
        &self,
        mut request: Request,
        transport: Transport,
        operation: &mut Operation,
    ) -> OperationResponse {
        if transport != Transport::Internal
            && let Err(error) = self.documents.resolve(&mut request)
        {
            return operation.reject(error, ExecutionStatus::Rejected);
        }
        let Some(cache) = &self.cache else {
            if let Err(rejected) = Box::pin(self.prepare(&mut request, transport, operation)).await {
                return *rejected;
            }
            return Box::pin(self.execute_uncached(request, operation)).await;
        };
        let (key, fingerprint) = (self.key(&request), request_data(&request).copied());
        let response = match cache.responses.find_fresh(&key) {
            Some(found) => self.serve_cached(&cache.responses, &found, operation),
            // Boxed, so that hits do not carry this large future.
            None => Box::pin(self.execute_cached(request, transport, operation, key, cache)).await,
        };
        if let Some(fingerprint) = fingerprint
            && response.cache.is_some()
        {
            cache.fingerprints().cache_set(fingerprint, key);
        }
        response
    }

    /// The response key: equal for the same document, operation name and variables.
    fn key(&self, request: &Request) -> ResponseKey {
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        let parts = (request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), variables);
        self.secrets.each_ref().map(|secret| secret.hash_one(&parts))
    }

    /// Serves a request without a fresh cached response: a stale response, or the result of a load that
    /// concurrent requests share (single flight).
    async fn execute_cached(
        &self,
        mut request: Request,
        transport: Transport,
        operation: &mut Operation,
        key: ResponseKey,
        ResponseCache { responses, cache_context, .. }: &ResponseCache,
    ) -> OperationResponse {
        let is_cached = responses.has(&key);
        // A cached entry was parsed and checked when it was created.
        if !is_cached {
            if let Err(rejected) = self.prepare(&mut request, transport, operation).await {
                return *rejected;
            }
            if !operation.info.is_cacheable() {
                return self.execute_uncached(request, operation).await;
            }
        }
        let dependencies = DependencyScope::new(ReadMode::Request);
        let this = self.clone();
        let (name, info) = (request.operation_name.clone(), Arc::clone(&operation.info));
        let load = async move {
            let info = match (info.kind, request.parsed_query()) {
                (OperationType::Unknown, Ok(document)) => {
                    Arc::new(OperationInfo::of(document, name.as_deref(), &this.metrics))
                }
                _ => info,
            };
            let encoded = Box::pin(this.execute_operation(request, info)).await;
            if encoded.outcome != Outcome::Ok || encoded.read.version_set.is_empty() {
                return Err(Arc::new(encoded));
            }
            let bytes = encoded.body.len() + size_of::<CachedResponse>() + encoded.etag.len();
            let (version_set, source) = (encoded.read.version_set.clone(), DataSource::CacheFresh);
            Ok(Loaded { value: encoded, version_set, ttl: RESPONSE_TTL, bytes, source })
        };
        let span = if is_cached { responses.span() } else { Span::current() };
        let loaded = Arc::clone(&dependencies).of(responses.get_traced(span, key, load)).await;
        let read = dependencies.snapshot();
        let (encoded, metadata) = match loaded {
            Ok(encoded) => {
                let how = match (read.hits, read.stale) {
                    (1.., _) => Lookup::HitL1,
                    (_, 1..) => Lookup::Stale,
                    // Just executed, but derived from stale values.
                    _ if encoded.read.stale > 0 => Lookup::Stale,
                    _ => Lookup::Miss,
                };
                let metadata = read.times.map(|times| {
                    let age = times.age(cache_context.clock.now());
                    CacheMetadata { how, times, age, etag: encoded.etag.clone() }
                });
                (encoded, metadata)
            }
            Err(uncacheable) => (uncacheable, None),
        };
        self.record(&encoded, operation);
        let source = read.source.or(encoded.read.source).unwrap_or(DataSource::Database);
        let CachedResponse { body, status, outcome, .. } = &*encoded;
        OperationResponse {
            body: body.clone(),
            status: *status,
            outcome: *outcome,
            prediction: operation.info.is_prediction().then_some(source),
            cache: metadata,
            unavailable: encoded.is_unavailable(),
        }
    }

    /// Parses a request, records its metadata, and checks the document limits and that a GET is a query.
    ///
    /// # Errors
    /// The response that rejects the request.
    pub(super) async fn prepare(
        &self,
        request: &mut Request,
        transport: Transport,
        operation: &mut Operation,
    ) -> Result<(), Box<OperationResponse>> {
        if operation.info.kind != OperationType::Unknown {
            // Already prepared: WebSocket operations are parsed earlier, to detect subscriptions.
            return Ok(());
        }
        let limits = if transport == Transport::Internal { &DocumentLimits::NONE } else { &self.limits.document };
        if let Err(exceeded) = document_limits::check_tokens(&request.query, limits) {
            return Err(operation.reject(exceeded.into(), ExecutionStatus::Rejected).into());
        }
        let name = request.operation_name.clone();
        let parsed = instrument_phase(&self.metrics, Phase::Parse, async {
            let document = request.parsed_query().map_err(|error| syntax_error(&error))?;
            let info = OperationInfo::of(document, name.as_deref(), &self.metrics);
            Ok((info, document_limits::measure(document, name.as_deref(), limits)?))
        });
        let (info, size) =
            parsed.await.map_err(|error: ServerError| Box::new(operation.reject(error, ExecutionStatus::Rejected)))?;
        operation.record_limits(&request.query, size);
        operation.describe(Arc::new(info));
        let is_query = matches!(operation.info.kind, OperationType::Query | OperationType::Unknown);
        if matches!(transport, Transport::Get(_)) && !is_query {
            let error = error_with_code(ErrorCode::BadUserInput, "only queries may be sent by GET");
            return Err(operation.reject(error, ExecutionStatus::MethodNotAllowed).into());
        }
        let cost = operation.cost();
        request.data.insert(cost);
        Ok(())
    }

    /// Executes an operation without the response cache.
    async fn execute_uncached(&self, request: Request, operation: &mut Operation) -> OperationResponse {
        let info = Arc::clone(&operation.info);
        let encoded = DependencyScope::new(ReadMode::Request).of(Box::pin(self.execute_operation(request, info))).await;
        self.record(&encoded, operation);
        let source = encoded.read.source.unwrap_or(DataSource::Database);
        let prediction = operation.info.is_prediction().then_some(source);
        let unavailable = encoded.is_unavailable();
        let CachedResponse { body, status, outcome, .. } = encoded;
        OperationResponse { body, status, outcome, prediction, cache: None, unavailable }
    }

    /// Executes and encodes an operation within the time limit. The dependencies are those of the current scope.
    async fn execute_operation(&self, request: Request, info: Arc<OperationInfo>) -> CachedResponse {
        let mut status = ExecutionStatus::Executed;
        let executed = AssertUnwindSafe(self.executor.execute(request)).catch_unwind();
        let limit = self.limits.time;
        let mut response = match tokio::time::timeout(limit, Box::pin(executed)).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                status = ExecutionStatus::Panicked;
                tracing::error!(reason = panic_text(panic.as_ref()), "operation panicked");
                Response::from_errors(vec![error_with_code(ErrorCode::Internal, "internal server error")])
            }
            Err(_) => {
                status = ExecutionStatus::TimedOut;
                let problem = format!("the operation took longer than {} s", limit.as_secs_f64());
                Response::from_errors(vec![error_with_code(ErrorCode::Timeout, problem)])
            }
        };
        let codes: Vec<_> = response.errors.iter_mut().map(assign_code).collect();
        let outcome = outcome(&codes, &response.data);
        if status == ExecutionStatus::Executed && response.errors.iter().any(|error| error.path.is_empty()) {
            status = ExecutionStatus::Rejected;
            let too_complex = codes.contains(&ErrorCode::QueryTooComplex);
            self.metrics.rejected(if too_complex { Rejection::Complexity } else { Rejection::Validation });
        }
        let read = DependencyScope::current().map(|scope| scope.snapshot()).unwrap_or_default();
        let body = encode(&response);
        let etag = etag(&body);
        CachedResponse { body, etag, status, outcome, codes, info, read, delivered: AtomicBool::new(false) }
    }

    /// Serves a fresh cached response.
    fn serve_cached(
        &self,
        responses: &Responses,
        found: &Entry<CachedResponse>,
        operation: &mut Operation,
    ) -> OperationResponse {
        let (encoded, times, age) = (&found.value, found.times, responses.serve(found));
        operation.record_hit(&encoded.info);
        self.count_fields(&encoded.info);
        OperationResponse {
            body: encoded.body.clone(),
            status: encoded.status,
            outcome: encoded.outcome,
            prediction: encoded.info.is_prediction().then_some(DataSource::CacheFresh),
            cache: Some(CacheMetadata { how: Lookup::HitL1, times, age, etag: encoded.etag.clone() }),
            unavailable: false,
        }
    }

    /// Records a response as that of `operation`.
    fn record(&self, encoded: &CachedResponse, operation: &mut Operation) {
        operation.describe(Arc::clone(&encoded.info));
        operation.record(&encoded.codes, &encoded.read);
        if encoded.delivered.swap(true, Ordering::AcqRel) {
            self.count_fields(&encoded.info);
        }
    }

    /// Counts root fields of a response that was not executed for this request.
    fn count_fields(&self, info: &OperationInfo) {
        for &field in &info.root_fields {
            self.metrics.field(field).finish(Status::Ok);
        }
    }
}

impl LoadError for UncacheableResponse {
    fn is_outage(&self) -> bool {
        matches!(self.outcome, Outcome::Error | Outcome::Partial)
    }
}

impl CachedResponse {
    fn is_unavailable(&self) -> bool {
        self.codes.contains(&ErrorCode::ServiceUnavailable)
    }
}

impl Operation {
    /// Counts the rejection and encodes its response.
    pub(super) fn reject(&mut self, mut error: ServerError, status: ExecutionStatus) -> OperationResponse {
        let code = assign_code(&mut error);
        self.record(&[code], &Dependencies::default());
        if let Some(reason) = rejection(code, &error) {
            self.rejected(reason);
        }
        let body = encode(&Response::from_errors(vec![error]));
        OperationResponse {
            body,
            status,
            outcome: Outcome::Rejected,
            prediction: None,
            cache: None,
            unavailable: false,
        }
    }
}

/// Metric label of a rejection; `None` for an unknown persisted query, which is part of the protocol: the client
/// sends the document next.
fn rejection(code: ErrorCode, error: &ServerError) -> Option<Rejection> {
    let is_about = |figure| error.extensions.as_ref().is_some_and(|extensions| extensions.get(figure).is_some());
    match code {
        ErrorCode::PersistedQueryNotFound => None,
        ErrorCode::ParseFailed => Some(Rejection::Syntax),
        ErrorCode::Forbidden | ErrorCode::Unauthenticated => Some(Rejection::Auth),
        ErrorCode::QueryTooComplex if is_about("depth") || is_about("nesting") => Some(Rejection::Depth),
        ErrorCode::QueryTooComplex if is_about("tokens") => Some(Rejection::TooLarge),
        ErrorCode::QueryTooComplex => Some(Rejection::Complexity),
        _ => Some(Rejection::Validation),
    }
}

impl From<LimitExceeded> for ServerError {
    fn from(LimitExceeded { what, requested, allowed }: LimitExceeded) -> Self {
        let (problem, figure) = match what {
            "depth" => (format!("the operation nests {requested} fields deep, {allowed} are allowed"), what),
            "root fields" => {
                (format!("the operation has {requested} root fields, {allowed} are allowed"), "rootFields")
            }
            "nesting" => (format!("brackets are nested {requested} deep, {allowed} are allowed"), what),
            _ => (format!("the operation has {requested} {what}, {allowed} are allowed"), what),
        };
        too_complex(problem, figure, requested, allowed)
    }
}

/// The panic message.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&'static str>().copied()).unwrap_or("unknown")
}

/// A value that the transport attached to the request.
fn request_data<T: Any + Send + Sync>(request: &Request) -> Option<&T> {
    request.data.get(&TypeId::of::<T>())?.downcast_ref()
}

impl OperationInfo {
    fn is_cacheable(&self) -> bool {
        self.kind == OperationType::Query && root_fields::are_cacheable(&self.root_fields)
    }

    fn is_prediction(&self) -> bool {
        root_fields::are_predictions(&self.root_fields)
    }
}

fn encode(response: &Response) -> Bytes {
    // An error without a path means that the operation was not executed. The specification then requires `data` to be
    // absent instead of null.
    let executed = response.errors.iter().all(|error| !error.path.is_empty());
    let Response { errors, data, extensions, .. } = response;
    let body = Body { errors, data: executed.then_some(data), extensions };
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

fn etag(body: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(body);
    let tag = format!("\"{:032x}\"", hash.first_chunk().copied().map_or(0, u128::from_be_bytes));
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}
