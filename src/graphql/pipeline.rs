//! The door through which every operation passes, by HTTP or WebSocket: answered from the response cache, or executed;
//! measured and logged once, however it ends.

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
use super::error::RETRY_AFTER_SECONDS;
use super::operation::{
    Operation, OperationInfo, assign_code, error_with_code, instrument_phase, outcome, syntax_error,
};
use super::persisted_documents::{Documents, TrustedDocuments};
use super::schema::too_complex;
use crate::cache::{
    Cache, CacheContext, CacheSettings, Dependencies, DependencyScope, Entry, Key, LoadError, Loaded, ReadMode, Ttl,
    Validity,
};
use crate::telemetry::{
    Done, ErrorCode, Lookup, Metrics, OperationEnd, OperationType, Outcome, Phase, Rejection, Source,
};

/// Longer than any part of an answer is kept, so that its parts decide.
const LIFETIME: Ttl = Ttl::of(Duration::from_hours(24));

/// Root fields whose answers may be kept. What they have read says for how long.
const CACHEABLE_FIELDS: &[&str] = &[
    "confirmedAdditions",
    "countries",
    "dataOrigin",
    "decadeValidation",
    "genres",
    "lists",
    "movie",
    "movies",
    "node",
    "nodes",
    "prediction",
    "predictions",
    "profile",
    "profileComparison",
    "profiles",
    "validation",
];

/// Root fields that are predictions.
const PREDICTION_FIELDS: &[&str] = &["confirmedAdditions", "prediction", "predictions"];

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By POST: it may change things.
    Post(MediaType),
    /// By GET: it may only read, for anything may repeat it.
    Get(MediaType),
    /// By WebSocket.
    Socket,
    /// From our own pages, whose documents are as they should be.
    Internal,
}

/// What an answer by HTTP is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`, whose status tells whether an operation was executed.
    GraphqlResponse,
    /// `application/json`, which older clients expect: whatever is well formed is answered 200.
    Json,
}

/// What became of an operation.
#[derive(Debug, Clone)]
pub struct OperationResponse {
    /// The response, as JSON.
    pub body: Bytes,
    /// How far it came.
    pub status: ExecutionStatus,
    /// How it ended.
    pub outcome: Outcome,
    /// The slowest source used, if all that it asked for was predictions.
    pub prediction: Option<Source>,
    /// How the response cache served it; none where it may not be kept.
    pub cache: Option<CacheMetadata>,
    /// Whether the service could not answer now, and may be asked again soon.
    pub unavailable: bool,
}

impl OperationResponse {
    /// How the operation of the request ended.
    #[must_use]
    pub fn end(&self) -> OperationEnd {
        OperationEnd { outcome: self.outcome, prediction: self.prediction }
    }
}

/// How far an operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// It was refused before execution: it cannot be parsed, is not valid, or asks for too much.
    Rejected,
    /// It would have changed something, which a GET may not.
    MethodNotAllowed,
    /// Nobody has looked at it: too many others are being answered.
    Shed,
    /// Its time was over.
    TimedOut,
    /// It was executed, and our code failed.
    Panicked,
    /// It was executed.
    Executed,
}

impl ExecutionStatus {
    /// The status of an answer by HTTP.
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

/// What its client calls a request, in its data.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// What caches on the way may know of an answer.
#[derive(Debug, Clone)]
pub struct CacheMetadata {
    /// How it was found.
    pub how: Lookup,
    /// When it was made, and until when it may be served.
    pub times: Validity,
    /// Its age now.
    pub age: Duration,
    /// Tells it from every other answer.
    pub etag: HeaderValue,
}

/// An encoded answer.
#[derive(Debug)]
struct CachedResponse {
    body: Bytes,
    etag: HeaderValue,
    status: ExecutionStatus,
    outcome: Outcome,
    codes: Vec<ErrorCode>,
    info: Arc<OperationInfo>,
    read: Dependencies,
    /// Whether the one for whom it was executed has taken it: its root fields were measured by that.
    taken: AtomicBool,
}

/// An answer that may not be kept: it has errors, or nothing says how old it may become.
type UncacheableResponse = Arc<CachedResponse>;

/// Of an operation and its variables; two halves that depend on secrets of this process, so that nobody can make two
/// questions that share one.
type ResponseKey = [u64; 2];

type Responses = Cache<ResponseKey, CachedResponse, UncacheableResponse>;

impl Key for ResponseKey {}

/// What a client has sent, to the letter; by secrets of this process too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestFingerprint([u64; 2]);

/// Which operation and variables a wording is of, those used least recently forgotten first.
type FingerprintIndex = LruCache<RequestFingerprint, ResponseKey>;

/// Answers that are kept.
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
            fingerprints: Arc::new(Mutex::new(fingerprints.expect("no capacity is 0"))),
            cache_context: cache_context.clone(),
        }
    }

    fn fingerprints(&self) -> MutexGuard<'_, FingerprintIndex> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers operations. `E` executes them: a schema, or what wraps one.
#[derive(Clone)]
pub struct OperationPipeline<E> {
    pub(super) executor: E,
    pub(super) metrics: Metrics,
    cache: Option<ResponseCache>,
    secrets: [RandomState; 2],
    limits: OperationLimits,
    concurrency: Arc<Semaphore>,
    pub(super) documents: Documents,
}

/// What an operation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationLimits {
    /// Time.
    pub time: Duration,
    /// How large its document may be.
    pub document: DocumentLimits,
    /// How many others may be under way, not counting those by WebSocket, whose connections are counted.
    pub concurrent: usize,
}

impl Default for OperationLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), document: DocumentLimits::default(), concurrent: 1024 }
    }
}

impl<E: Executor> OperationPipeline<E> {
    /// A door that keeps nothing and trusts everybody.
    #[must_use]
    pub fn new(executor: E, metrics: Metrics, limits: OperationLimits) -> Self {
        Self {
            executor,
            metrics,
            cache: None,
            secrets: [RandomState::new(), RandomState::new()],
            limits,
            concurrency: Arc::new(Semaphore::new(limits.concurrent)),
            documents: Documents::new(TrustedDocuments::default()),
        }
    }

    /// The same door, knowing these documents.
    #[must_use]
    pub fn with_trusted_documents(self, documents: TrustedDocuments) -> Self {
        Self { documents: Documents::new(documents), ..self }
    }

    /// The same door, keeping answers.
    #[must_use]
    pub fn with_response_cache(self, settings: CacheSettings, cache_context: &CacheContext) -> Self {
        Self { cache: Some(ResponseCache::new(settings, cache_context)), ..self }
    }

    /// By what the answer to `sent` is found [at hand](Self::get_cached); `transport` tells a body from a query string.
    pub fn fingerprint(&self, transport: Transport, sent: &[u8]) -> RequestFingerprint {
        let by_get = matches!(transport, Transport::Get(_));
        RequestFingerprint(self.secrets.each_ref().map(|secret| secret.hash_one((by_get, sent))))
    }

    /// The answer to a request, none of which has been read, if one in the same words has been answered before, and that
    /// answer is kept and fresh. It takes nobody's place: it costs less than to be sent away.
    pub fn get_cached(
        &self,
        fingerprint: RequestFingerprint,
        transport: Transport,
        request_id: Option<&str>,
    ) -> Option<OperationResponse> {
        let kept = self.cache.as_ref()?;
        let key = *kept.fingerprints().cache_get(&fingerprint)?;
        let found = kept.responses.find_fresh(&key)?;
        let mut operation = Operation::start(&self.metrics);
        if let Some(id) = request_id {
            operation.set_request_id(id.to_owned());
        }
        let span = operation.span();
        let _entered = span.enter();
        let response = self.serve_cached(&kept.responses, &found, &mut operation);
        operation.record_status(response.status.http_status(transport));
        operation.end(response.outcome, response.prediction);
        Some(response)
    }

    /// Answers one operation.
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

    /// Sends somebody away at once, so that those who are here are answered in time.
    fn shed(&self) -> OperationResponse {
        self.metrics.rejected(Rejection::RateLimit);
        self.metrics.graphql_error(ErrorCode::ServiceUnavailable);
        let mut error = error_with_code(ErrorCode::ServiceUnavailable, "too many requests are being answered");
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
        let Some(kept) = &self.cache else {
            if let Err(refused) = Box::pin(self.prepare(&mut request, transport, operation)).await {
                return *refused;
            }
            return Box::pin(self.execute_uncached(request, operation)).await;
        };
        let (key, fingerprint) = (self.key(&request), request_data(&request).copied());
        let response = match kept.responses.find_fresh(&key) {
            Some(found) => self.serve_cached(&kept.responses, &found, operation),
            // On the heap, so that a hit does not move it about.
            None => Box::pin(self.execute_cached(request, transport, operation, key, kept)).await,
        };
        if let Some(fingerprint) = fingerprint
            && response.cache.is_some()
        {
            kept.fingerprints().cache_set(fingerprint, key);
        }
        response
    }

    /// The same for the same operation and variables.
    fn key(&self, request: &Request) -> ResponseKey {
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        let asked = (request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), variables);
        self.secrets.each_ref().map(|secret| secret.hash_one(&asked))
    }

    /// Answers what is not both kept and fresh.
    async fn execute_cached(
        &self,
        mut request: Request,
        transport: Transport,
        operation: &mut Operation,
        key: ResponseKey,
        ResponseCache { responses, cache_context, .. }: &ResponseCache,
    ) -> OperationResponse {
        let kept = responses.has(&key);
        if !kept {
            if let Err(refused) = self.prepare(&mut request, transport, operation).await {
                return *refused;
            }
            if !operation.info.is_cacheable() {
                return self.execute_uncached(request, operation).await;
            }
        }
        let reading = DependencyScope::new(ReadMode::Request);
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
            let (version_set, source) = (encoded.read.version_set.clone(), Source::CacheFresh);
            Ok(Loaded { value: encoded, version_set, lifetime: LIFETIME, bytes, source })
        };
        let span = if kept { responses.span() } else { Span::current() };
        let got = Arc::clone(&reading).of(responses.get_traced(span, key, load)).await;
        let read = reading.snapshot();
        let (encoded, kept) = match got {
            Ok(encoded) => {
                let how = match (read.hits, read.stale) {
                    (1.., _) => Lookup::HitL1,
                    (_, 1..) => Lookup::Stale,
                    // Made just now, but of something old.
                    _ if encoded.read.stale > 0 => Lookup::Stale,
                    _ => Lookup::Miss,
                };
                let kept = read.times.map(|times| {
                    let age = times.age(cache_context.clock.now());
                    CacheMetadata { how, times, age, etag: encoded.etag.clone() }
                });
                (encoded, kept)
            }
            Err(unkept) => (unkept, None),
        };
        self.record(&encoded, operation);
        let source = read.source.or(encoded.read.source).unwrap_or(Source::Database);
        let CachedResponse { body, status, outcome, .. } = &*encoded;
        OperationResponse {
            body: body.clone(),
            status: *status,
            outcome: *outcome,
            prediction: operation.info.is_prediction().then_some(source),
            cache: kept,
            unavailable: encoded.is_unavailable(),
        }
    }

    /// Parses a request, says what it is, and refuses what is too large to be looked at any further.
    pub(super) async fn prepare(
        &self,
        request: &mut Request,
        transport: Transport,
        operation: &mut Operation,
    ) -> Result<(), Box<OperationResponse>> {
        if operation.info.kind != OperationType::Unknown {
            // A socket looks at its operations before, to see whether they stream.
            return Ok(());
        }
        let limits = if transport == Transport::Internal { &DocumentLimits::NONE } else { &self.limits.document };
        if let Err(too_much) = document_limits::check_tokens(&request.query, limits) {
            return Err(operation.reject(too_much.into(), ExecutionStatus::Rejected).into());
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
        let reads = matches!(operation.info.kind, OperationType::Query | OperationType::Unknown);
        if matches!(transport, Transport::Get(_)) && !reads {
            let error = error_with_code(ErrorCode::BadUserInput, "only queries may be sent by GET");
            return Err(operation.reject(error, ExecutionStatus::MethodNotAllowed).into());
        }
        let cost = operation.cost();
        request.data.insert(cost);
        Ok(())
    }

    async fn execute_uncached(&self, request: Request, operation: &mut Operation) -> OperationResponse {
        let info = Arc::clone(&operation.info);
        let encoded = DependencyScope::new(ReadMode::Request).of(Box::pin(self.execute_operation(request, info))).await;
        self.record(&encoded, operation);
        let source = encoded.read.source.unwrap_or(Source::Database);
        let prediction = operation.info.is_prediction().then_some(source);
        let unavailable = encoded.is_unavailable();
        let CachedResponse { body, status, outcome, .. } = encoded;
        OperationResponse { body, status, outcome, prediction, cache: None, unavailable }
    }

    /// Executes in the reading of this task.
    async fn execute_operation(&self, request: Request, info: Arc<OperationInfo>) -> CachedResponse {
        let mut status = ExecutionStatus::Executed;
        let executed = AssertUnwindSafe(self.executor.execute(request)).catch_unwind();
        let limit = self.limits.time;
        let mut response = match tokio::time::timeout(limit, Box::pin(executed)).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                status = ExecutionStatus::Panicked;
                tracing::error!(reason = panic_text(panic.as_ref()), "an operation panicked");
                Response::from_errors(vec![error_with_code(ErrorCode::Internal, "internal error")])
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
        let read = DependencyScope::current().map(|reading| reading.snapshot()).unwrap_or_default();
        let body = encode(&response);
        let etag = etag(&body);
        CachedResponse { body, etag, status, outcome, codes, info, read, taken: AtomicBool::new(false) }
    }

    /// Answers at once by what is kept.
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
            prediction: encoded.info.is_prediction().then_some(Source::CacheFresh),
            cache: Some(CacheMetadata { how: Lookup::HitL1, times, age, etag: encoded.etag.clone() }),
            unavailable: false,
        }
    }

    /// Counts an answer as that of `operation`.
    fn record(&self, encoded: &CachedResponse, operation: &mut Operation) {
        operation.describe(Arc::clone(&encoded.info));
        operation.record(&encoded.codes, &encoded.read);
        if encoded.taken.swap(true, Ordering::AcqRel) {
            self.count_fields(&encoded.info);
        }
    }

    /// Counts root fields that nobody has executed for this request.
    fn count_fields(&self, info: &OperationInfo) {
        for &field in &info.root_fields {
            self.metrics.field(field).finish(Done::Ok);
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

/// Why something was refused; none for a document that the client will now send.
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

/// What a panic says of itself.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&'static str>().copied()).unwrap_or("unknown")
}

/// What the transport has put into the data of a request.
fn request_data<T: Any + Send + Sync>(request: &Request) -> Option<&T> {
    request.data.get(&TypeId::of::<T>())?.downcast_ref()
}

impl OperationInfo {
    fn is_cacheable(&self) -> bool {
        self.kind == OperationType::Query && self.all_of(CACHEABLE_FIELDS)
    }

    fn is_prediction(&self) -> bool {
        self.all_of(PREDICTION_FIELDS)
    }

    fn all_of(&self, fields: &[&str]) -> bool {
        !self.root_fields.is_empty() && self.root_fields.iter().all(|field| fields.contains(field))
    }
}

fn encode(response: &Response) -> Bytes {
    // Errors without a place in the data mean that there is none: then it is left out, and not null.
    let executed = response.errors.iter().all(|error| !error.path.is_empty());
    let Response { errors, data, extensions, .. } = response;
    let body = Body { errors, data: executed.then_some(data), extensions };
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// A response in the order and with the entries that the specification wants.
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
