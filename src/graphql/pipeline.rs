//! The operation pipeline of HTTP and WebSocket: admission, response cache, parsing, validation, execution, encoding.
//! Every operation is measured and logged once, however it ends. Main type: [`OperationPipeline`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::futures_util::FutureExt;
use async_graphql::{Executor, Request, Response, ServerError};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::document::OperationInfo;
use super::document_limits::{self, DocumentLimits};
use super::error::{complete_error, error_with_code, outcome, syntax_error};
use super::error_code::ErrorCode;
use super::metrics::{GraphqlMetrics, OperationType, Phase, Rejection};
use super::operation::{Operation, instrument_phase};
use super::persisted_documents::{Documents, TrustedDocuments};
use super::response::{ExecutionStatus, OperationResponse, encode};
use super::response_cache::{EncodedResponse, RequestFingerprint, ResponseCache, ResponseKey};
use super::string_escapes::parsed_query;
use crate::cache::{CacheContext, CacheSettings, DataSource, DependencyScope, Entry, ReadMode};
use crate::telemetry::{OperationUsage, Status};

/// How an operation is received. It decides which operations are allowed and which limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP POST: queries and mutations.
    Post,
    /// HTTP GET: queries only, because clients, proxies and crawlers may repeat a GET.
    Get,
    /// WebSocket, and subscriptions by multipart POST. Mutations fail, because a WebSocket sends no admin token.
    Socket,
    /// The service's own pages. Their documents are trusted, so document limits do not apply.
    Internal,
}

/// How an operation was received: what the pipeline and its log line need to know of the HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The transport.
    pub transport: Transport,
    /// Fingerprint of the raw request; `None` without a response cache.
    pub fingerprint: Option<RequestFingerprint>,
    /// The client's request ID, for the log line.
    pub request_id: Option<&'a str>,
    /// The HTTP status of a response, for the log line.
    pub http_status: fn(ExecutionStatus) -> u16,
}

/// Runs operations on the executor `E`: a schema or a wrapper around one.
#[derive(Clone)]
pub struct OperationPipeline<E> {
    pub(super) executor: E,
    pub(super) metrics: GraphqlMetrics,
    cache: Option<ResponseCache>,
    limits: OperationLimits,
    concurrency: Arc<Semaphore>,
    pub(super) documents: Documents,
}

/// Limits on one operation, and on concurrent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationLimits {
    /// Maximum execution time.
    pub timeout: Duration,
    /// Limits on the document.
    pub document: DocumentLimits,
    /// Maximum number of concurrent operations. Those over WebSocket do not count: the limits of connections bound
    /// their number.
    pub max_concurrent: usize,
}

/// The defaults of the settings `request_timeout_seconds` and `http_concurrency_limit`.
impl Default for OperationLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), document: DocumentLimits::default(), max_concurrent: 1024 }
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

    /// The fingerprint of a request: a hash of `raw` and of whether the request is a GET. `raw` is the query string of
    /// a GET, and the body of any other request. `None` without a response cache.
    pub fn fingerprint(&self, transport: Transport, raw: &[u8]) -> Option<RequestFingerprint> {
        self.cache.as_ref().map(|cache| cache.fingerprint(transport == Transport::Get, raw))
    }

    /// Returns the cached response to a byte-identical request, if fresh, without parsing the request. Takes no
    /// concurrency permit: a hit is cheaper than a rejection.
    pub fn get_cached(&self, received: Received<'_>) -> Option<OperationResponse> {
        let cache = self.cache.as_ref()?;
        let found = cache.find_by_fingerprint(received.fingerprint?)?;
        let mut operation = Operation::start(&self.metrics, received.request_id);
        let span = operation.span();
        let _entered = span.enter();
        let response = self.serve_cached(cache, &found, &mut operation);
        operation.end_with_status(&response, received.http_status);
        Some(response)
    }

    /// Executes one operation, or rejects it if the concurrency limit is reached.
    pub async fn execute(&self, request: Request, received: Received<'_>) -> OperationResponse {
        let Ok(_permit) = self.concurrency.try_acquire() else {
            // Rejecting requests above the limit keeps the latency of those in flight (load shedding).
            self.metrics.rejected(Rejection::RateLimit);
            self.metrics.error(ErrorCode::ServiceUnavailable);
            return OperationResponse::shed();
        };
        let mut operation = Operation::start(&self.metrics, received.request_id);
        let (span, usage) = (operation.span(), operation.usage());
        let run = self.run(request, received.transport, received.fingerprint, &mut operation);
        let response = usage.scope(run).instrument(span).await;
        operation.end_with_status(&response, received.http_status);
        response
    }

    /// Resolves the document, then serves the response from the cache or executes the operation.
    pub(super) async fn run(
        &self,
        mut request: Request,
        transport: Transport,
        fingerprint: Option<RequestFingerprint>,
        operation: &mut Operation,
    ) -> OperationResponse {
        if transport != Transport::Internal
            && let Err(error) = self.documents.resolve(&mut request)
        {
            return operation.reject(error, ExecutionStatus::Rejected);
        }
        // The futures of uncached requests are large. They are boxed, so that hits do not carry them.
        let Some(cache) = &self.cache else {
            if let Err(rejected) = Box::pin(self.prepare(&mut request, transport, operation)).await {
                return *rejected;
            }
            return Box::pin(self.execute_uncached(request, operation)).await;
        };
        let key = cache.key(&request);
        let response = match cache.find(&key) {
            Some(found) => self.serve_cached(cache, &found, operation),
            None => Box::pin(self.execute_cached(request, transport, operation, key, cache)).await,
        };
        if let Some(fingerprint) = fingerprint
            && response.cache.is_some()
        {
            cache.index(fingerprint, key);
        }
        response
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
            let document = parsed_query(request).map_err(|error| syntax_error(&error))?;
            let info = OperationInfo::of(document, name.as_deref(), &self.metrics);
            Ok((info, document_limits::measure(document, name.as_deref(), limits)?))
        });
        let (info, size) =
            parsed.await.map_err(|error: ServerError| Box::new(operation.reject(error, ExecutionStatus::Rejected)))?;
        operation.record_limits(&request.query, size);
        operation.describe(Arc::new(info));
        // The type is unknown if no operation is selected. Execution then reports that error.
        let is_query = matches!(operation.info.kind, OperationType::Query | OperationType::Unknown);
        if transport == Transport::Get && !is_query {
            let error = error_with_code(
                ErrorCode::BadUserInput,
                "only queries may be sent by GET: send mutations by POST, and subscriptions by WebSocket or by POST with \
                 Accept: multipart/mixed;subscriptionSpec=1.0",
            );
            return Err(operation.reject(error, ExecutionStatus::QueriesOnly).into());
        }
        if transport == Transport::Post && operation.info.kind == OperationType::Subscription {
            let error = error_with_code(
                ErrorCode::ValidationFailed,
                "a subscription needs a stream: send it by WebSocket, or with Accept: multipart/mixed;subscriptionSpec=1.0",
            );
            return Err(operation.reject(error, ExecutionStatus::Rejected).into());
        }
        request.data.insert(operation.cost());
        Ok(())
    }

    /// Serves a fresh cached response.
    fn serve_cached(
        &self,
        cache: &ResponseCache,
        found: &Entry<EncodedResponse>,
        operation: &mut Operation,
    ) -> OperationResponse {
        operation.record_hit(&found.value.info);
        self.count_fields(&found.value.info);
        cache.serve(found)
    }

    /// Serves a request without a fresh cached response: a stale response, or the result of an execution that
    /// concurrent requests share (single flight).
    async fn execute_cached(
        &self,
        mut request: Request,
        transport: Transport,
        operation: &mut Operation,
        key: ResponseKey,
        cache: &ResponseCache,
    ) -> OperationResponse {
        // If a cached response may be served, the operation was parsed and checked when that response was created. That
        // also suffices if the response is evicted before it is served.
        if !cache.can_serve(&key) {
            if let Err(rejected) = self.prepare(&mut request, transport, operation).await {
                return *rejected;
            }
            if !operation.info.is_cacheable() {
                return self.execute_uncached(request, operation).await;
            }
        }
        let (this, info) = (self.clone(), Arc::clone(&operation.info));
        let execute = async move {
            let name = request.operation_name.clone();
            let info = match (info.kind, parsed_query(&mut request)) {
                // The request was not prepared above, because the cache had a stale response.
                (OperationType::Unknown, Ok(document)) => {
                    Arc::new(OperationInfo::of(document, name.as_deref(), &this.metrics))
                }
                _ => info,
            };
            Box::pin(this.execute_operation(request, info)).await
        };
        let (encoded, response) = cache.get_or_execute(key, execute).await;
        self.record(&encoded, operation);
        response
    }

    /// Executes an operation without the response cache.
    async fn execute_uncached(&self, request: Request, operation: &mut Operation) -> OperationResponse {
        let info = Arc::clone(&operation.info);
        let encoded = DependencyScope::new(ReadMode::Request).of(Box::pin(self.execute_operation(request, info))).await;
        self.record(&encoded, operation);
        encoded.response(encoded.read.source, None)
    }

    /// Executes an operation within the time limit, and encodes its response. The dependencies of the response are
    /// those that the current [`DependencyScope`] has recorded.
    async fn execute_operation(&self, request: Request, info: Arc<OperationInfo>) -> EncodedResponse {
        let mut status = ExecutionStatus::Executed;
        // A panic must fail only this operation, and not the connection or the other requests that wait for the result.
        let executed = AssertUnwindSafe(self.executor.execute(request)).catch_unwind();
        let limit = self.limits.timeout;
        let mut response = match tokio::time::timeout(limit, Box::pin(executed)).await {
            Ok(Ok(response)) => response,
            // The panic is logged where it happened, see `telemetry::log_panics`.
            Ok(Err(_)) => {
                status = ExecutionStatus::Panicked;
                Response::from_errors(vec![error_with_code(ErrorCode::Internal, "internal server error")])
            }
            Err(_) => {
                status = ExecutionStatus::TimedOut;
                let problem = format!("the operation took longer than {} s", limit.as_secs_f64());
                Response::from_errors(vec![error_with_code(ErrorCode::Timeout, problem)])
            }
        };
        let codes: Vec<_> = response.errors.iter_mut().map(complete_error).collect();
        let outcome = outcome(&codes, &response.data);
        // An error without a path means that validation has rejected the operation.
        if status == ExecutionStatus::Executed && response.errors.iter().any(|error| error.path.is_empty()) {
            status = ExecutionStatus::Rejected;
            let too_complex = codes.contains(&ErrorCode::QueryTooComplex);
            self.metrics.rejected(if too_complex { Rejection::Complexity } else { Rejection::Validation });
        }
        let mut read = DependencyScope::current().map(|scope| scope.snapshot()).unwrap_or_default();
        // Not every statement is a dependency: with caches off, details are read without one.
        if OperationUsage::current_statements() > 0 {
            read.source = read.source.max(Some(DataSource::Database));
        }
        EncodedResponse::new(encode(&response), (status, outcome), codes, info, read)
    }

    /// Records in `operation` the response to it, which may come from the execution of another request (single flight).
    fn record(&self, encoded: &EncodedResponse, operation: &mut Operation) {
        operation.describe(Arc::clone(&encoded.info));
        operation.record(&encoded.codes, &encoded.read);
        // The execution has counted its root fields once, for the first request that receives the response.
        if encoded.deliver() {
            self.count_fields(&encoded.info);
        }
    }

    /// Counts the root fields of a response that was not executed for this request. Executed root fields count
    /// themselves, see [`root_fields`](super::root_fields).
    fn count_fields(&self, info: &OperationInfo) {
        for &field in &info.root_fields {
            self.metrics.field(field).finish(Status::Ok);
        }
    }
}
