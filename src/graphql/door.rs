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

use super::documents::{Documents, TrustedDocuments};
use super::error::RETRY_AFTER_SECONDS;
use super::guard::{self, DocumentLimits, TooMuch};
use super::operation::{Described, Operation, coded, outcome, phase, settle, syntax_error};
use super::schema::too_complex;
use crate::cache::{
    Cache, CacheSettings, Entry, Key, Lifetime, LoadError, Made, Purpose, Read, Reading, Surroundings, Times,
};
use crate::telemetry::{
    Done, ErrorCode, Lookup, Metrics, OperationEnd, OperationType, Outcome, Phase, Rejection, Source,
};

/// Longer than any part of an answer is kept, so that its parts decide.
const LIFETIME: Lifetime = Lifetime::of(Duration::from_hours(24));

/// Root fields whose answers may be kept. What they have read says for how long.
const KEPT_FIELDS: &[&str] = &[
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
    Own,
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
pub struct Answer {
    /// The response, as JSON.
    pub body: Bytes,
    /// How far it came.
    pub stage: Stage,
    /// How it ended.
    pub outcome: Outcome,
    /// The slowest source used, if all that it asked for was predictions.
    pub prediction: Option<Source>,
    /// How the response cache served it; none where it may not be kept.
    pub kept: Option<Kept>,
    /// Whether the service could not answer now, and may be asked again soon.
    pub unavailable: bool,
}

impl Answer {
    /// How the operation of the request ended.
    #[must_use]
    pub fn end(&self) -> OperationEnd {
        OperationEnd { outcome: self.outcome, prediction: self.prediction }
    }
}

/// How far an operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was refused before execution: it cannot be parsed, is not valid, or asks for too much.
    Refused,
    /// It would have changed something, which a GET may not.
    NotByGet,
    /// Nobody has looked at it: too many others are being answered.
    Shed,
    /// Its time was over.
    TimedOut,
    /// It was executed, and our code failed.
    Panicked,
    /// It was executed.
    Executed,
}

impl Stage {
    /// The status of an answer by HTTP.
    #[must_use]
    pub fn status(self, transport: Transport) -> u16 {
        match self {
            Self::Refused
                if matches!(transport, Transport::Post(MediaType::Json) | Transport::Get(MediaType::Json)) =>
            {
                200
            }
            Self::Refused => 400,
            Self::NotByGet => 405,
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
pub struct Kept {
    /// How it was found.
    pub how: Lookup,
    /// When it was made, and until when it may be served.
    pub times: Times,
    /// Its age now.
    pub age: Duration,
    /// Tells it from every other answer.
    pub etag: HeaderValue,
}

/// An encoded answer.
#[derive(Debug)]
struct Encoded {
    body: Bytes,
    etag: HeaderValue,
    stage: Stage,
    outcome: Outcome,
    codes: Vec<ErrorCode>,
    described: Arc<Described>,
    read: Read,
    /// Whether the one for whom it was executed has taken it: its root fields were measured by that.
    taken: AtomicBool,
}

/// An answer that may not be kept: it has errors, or nothing says how old it may become.
type Unkept = Arc<Encoded>;

/// Of an operation and its variables; two halves that depend on secrets of this process, so that nobody can make two
/// questions that share one.
type ResponseKey = [u64; 2];

type Responses = Cache<ResponseKey, Encoded, Unkept>;

impl Key for ResponseKey {}

/// What a client has sent, to the letter; by secrets of this process too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wording([u64; 2]);

/// Which operation and variables a wording is of, those used least recently forgotten first.
type Wordings = LruCache<Wording, ResponseKey>;

/// Answers that are kept.
#[derive(Clone)]
struct KeptAnswers {
    responses: Responses,
    wordings: Arc<Mutex<Wordings>>,
    around: Surroundings,
}

impl KeptAnswers {
    fn new(settings: CacheSettings, around: &Surroundings) -> Self {
        let wordings = LruCache::builder().max_size(settings.capacity.entries.max(1)).build();
        Self {
            responses: Cache::new(settings, around),
            wordings: Arc::new(Mutex::new(wordings.expect("no capacity is 0"))),
            around: around.clone(),
        }
    }

    fn wordings(&self) -> MutexGuard<'_, Wordings> {
        self.wordings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers operations. `E` executes them: a schema, or what wraps one.
#[derive(Clone)]
pub struct Door<E> {
    pub(super) executor: E,
    pub(super) metrics: Metrics,
    kept: Option<KeptAnswers>,
    secrets: [RandomState; 2],
    limits: OperationLimits,
    places: Arc<Semaphore>,
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

impl<E: Executor> Door<E> {
    /// A door that keeps nothing and trusts everybody.
    #[must_use]
    pub fn new(executor: E, metrics: Metrics, limits: OperationLimits) -> Self {
        Self {
            executor,
            metrics,
            kept: None,
            secrets: [RandomState::new(), RandomState::new()],
            limits,
            places: Arc::new(Semaphore::new(limits.concurrent)),
            documents: Documents::new(TrustedDocuments::default()),
        }
    }

    /// The same door, knowing these documents.
    #[must_use]
    pub fn trusting(self, documents: TrustedDocuments) -> Self {
        Self { documents: Documents::new(documents), ..self }
    }

    /// The same door, keeping answers.
    #[must_use]
    pub fn keeping(self, settings: CacheSettings, around: &Surroundings) -> Self {
        Self { kept: Some(KeptAnswers::new(settings, around)), ..self }
    }

    /// By what the answer to `sent` is found [at hand](Self::at_hand); `transport` tells a body from a query string.
    pub fn wording(&self, transport: Transport, sent: &[u8]) -> Wording {
        let by_get = matches!(transport, Transport::Get(_));
        Wording(self.secrets.each_ref().map(|secret| secret.hash_one((by_get, sent))))
    }

    /// The answer to a request, none of which has been read, if one in the same words has been answered before, and that
    /// answer is kept and fresh. It takes nobody's place: it costs less than to be sent away.
    pub fn at_hand(&self, wording: Wording, transport: Transport, request_id: Option<&str>) -> Option<Answer> {
        let kept = self.kept.as_ref()?;
        let key = *kept.wordings().cache_get(&wording)?;
        let found = kept.responses.find_fresh(&key)?;
        let mut operation = Operation::start(&self.metrics);
        if let Some(id) = request_id {
            operation.requested_as(id.to_owned());
        }
        let span = operation.span();
        let _entered = span.enter();
        let answer = self.hit(&kept.responses, &found, &mut operation);
        operation.answered(answer.stage.status(transport));
        operation.end(answer.outcome, answer.prediction);
        Some(answer)
    }

    /// Answers one operation.
    pub async fn answer(&self, request: Request, transport: Transport) -> Answer {
        let Ok(_place) = self.places.try_acquire() else { return self.shed() };
        let mut operation = Operation::start(&self.metrics);
        if let Some(RequestId(id)) = of_data(&request) {
            operation.requested_as(id.clone());
        }
        let span = operation.span();
        let spent = operation.spent();
        let answer = spent.on(self.pass(request, transport, &mut operation)).instrument(span).await;
        operation.answered(answer.stage.status(transport));
        operation.end(answer.outcome, answer.prediction);
        answer
    }

    /// Sends somebody away at once, so that those who are here are answered in time.
    fn shed(&self) -> Answer {
        self.metrics.rejected(Rejection::RateLimit);
        self.metrics.graphql_error(ErrorCode::ServiceUnavailable);
        let mut error = coded(ErrorCode::ServiceUnavailable, "too many requests are being answered");
        error.extensions.get_or_insert_default().set("retryAfter", RETRY_AFTER_SECONDS);
        Answer {
            body: encode(&Response::from_errors(vec![error])),
            stage: Stage::Shed,
            outcome: Outcome::Error,
            prediction: None,
            kept: None,
            unavailable: true,
        }
    }

    pub(super) async fn pass(&self, mut request: Request, transport: Transport, operation: &mut Operation) -> Answer {
        if transport != Transport::Own
            && let Err(error) = self.documents.resolve(&mut request)
        {
            return operation.refuse(error, Stage::Refused);
        }
        let Some(kept) = &self.kept else {
            if let Err(refused) = Box::pin(self.prepare(&mut request, transport, operation)).await {
                return *refused;
            }
            return Box::pin(self.execute_now(request, operation)).await;
        };
        let (key, wording) = (self.key(&request), of_data(&request).copied());
        let answer = match kept.responses.find_fresh(&key) {
            Some(found) => self.hit(&kept.responses, &found, operation),
            // On the heap, so that a hit does not move it about.
            None => Box::pin(self.look_up(request, transport, operation, key, kept)).await,
        };
        if let Some(wording) = wording
            && answer.kept.is_some()
        {
            kept.wordings().cache_set(wording, key);
        }
        answer
    }

    /// The same for the same operation and variables.
    fn key(&self, request: &Request) -> ResponseKey {
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        let asked = (request.query.as_str(), request.operation_name.as_deref().unwrap_or_default(), variables);
        self.secrets.each_ref().map(|secret| secret.hash_one(&asked))
    }

    /// Answers what is not both kept and fresh.
    async fn look_up(
        &self,
        mut request: Request,
        transport: Transport,
        operation: &mut Operation,
        key: ResponseKey,
        KeptAnswers { responses, around, .. }: &KeptAnswers,
    ) -> Answer {
        let kept = responses.has(&key);
        if !kept {
            if let Err(refused) = self.prepare(&mut request, transport, operation).await {
                return *refused;
            }
            if !operation.described.may_be_kept() {
                return self.execute_now(request, operation).await;
            }
        }
        let reading = Reading::new(Purpose::Request);
        let this = self.clone();
        let (name, described) = (request.operation_name.clone(), Arc::clone(&operation.described));
        let load = async move {
            let described = match (described.kind, request.parsed_query()) {
                (OperationType::Unknown, Ok(document)) => {
                    Arc::new(Described::of(document, name.as_deref(), &this.metrics))
                }
                _ => described,
            };
            let encoded = Box::pin(this.execute(request, described)).await;
            if encoded.outcome != Outcome::Ok || encoded.read.stamp.is_empty() {
                return Err(Arc::new(encoded));
            }
            let bytes = encoded.body.len() + size_of::<Encoded>() + encoded.etag.len();
            let (stamp, source) = (encoded.read.stamp.clone(), Source::CacheFresh);
            Ok(Made { value: encoded, stamp, lifetime: LIFETIME, bytes, source })
        };
        let span = if kept { responses.span() } else { Span::current() };
        let got = Arc::clone(&reading).of(responses.get_in(span, key, load)).await;
        let read = reading.so_far();
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
                    let age = times.age(around.clock.now());
                    Kept { how, times, age, etag: encoded.etag.clone() }
                });
                (encoded, kept)
            }
            Err(unkept) => (unkept, None),
        };
        self.take(&encoded, operation);
        let source = read.source.or(encoded.read.source).unwrap_or(Source::Database);
        let Encoded { body, stage, outcome, .. } = &*encoded;
        Answer {
            body: body.clone(),
            stage: *stage,
            outcome: *outcome,
            prediction: operation.described.is_prediction().then_some(source),
            kept,
            unavailable: encoded.is_unavailable(),
        }
    }

    /// Parses a request, says what it is, and refuses what is too large to be looked at any further.
    pub(super) async fn prepare(
        &self,
        request: &mut Request,
        transport: Transport,
        operation: &mut Operation,
    ) -> Result<(), Box<Answer>> {
        if operation.described.kind != OperationType::Unknown {
            // A socket looks at its operations before, to see whether they stream.
            return Ok(());
        }
        let limits = if transport == Transport::Own { &DocumentLimits::NONE } else { &self.limits.document };
        if let Err(too_much) = guard::scan(&request.query, limits) {
            return Err(operation.refuse(too_much.into(), Stage::Refused).into());
        }
        let name = request.operation_name.clone();
        let parsed = phase(&self.metrics, Phase::Parse, async {
            let document = request.parsed_query().map_err(|error| syntax_error(&error))?;
            let described = Described::of(document, name.as_deref(), &self.metrics);
            Ok((described, guard::measure(document, name.as_deref(), limits)?))
        });
        let (described, size) =
            parsed.await.map_err(|error: ServerError| Box::new(operation.refuse(error, Stage::Refused)))?;
        operation.measured(&request.query, size);
        operation.describe(Arc::new(described));
        let reads = matches!(operation.described.kind, OperationType::Query | OperationType::Unknown);
        if matches!(transport, Transport::Get(_)) && !reads {
            let error = coded(ErrorCode::BadUserInput, "only queries may be sent by GET");
            return Err(operation.refuse(error, Stage::NotByGet).into());
        }
        let cost = operation.cost();
        request.data.insert(cost);
        Ok(())
    }

    async fn execute_now(&self, request: Request, operation: &mut Operation) -> Answer {
        let described = Arc::clone(&operation.described);
        let encoded = Reading::new(Purpose::Request).of(Box::pin(self.execute(request, described))).await;
        self.take(&encoded, operation);
        let source = encoded.read.source.unwrap_or(Source::Database);
        let prediction = operation.described.is_prediction().then_some(source);
        let unavailable = encoded.is_unavailable();
        let Encoded { body, stage, outcome, .. } = encoded;
        Answer { body, stage, outcome, prediction, kept: None, unavailable }
    }

    /// Executes in the reading of this task.
    async fn execute(&self, request: Request, described: Arc<Described>) -> Encoded {
        let mut stage = Stage::Executed;
        let executed = AssertUnwindSafe(self.executor.execute(request)).catch_unwind();
        let limit = self.limits.time;
        let mut response = match tokio::time::timeout(limit, Box::pin(executed)).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                stage = Stage::Panicked;
                tracing::error!(reason = panic_text(panic.as_ref()), "an operation panicked");
                Response::from_errors(vec![coded(ErrorCode::Internal, "internal error")])
            }
            Err(_) => {
                stage = Stage::TimedOut;
                let problem = format!("the operation took longer than {} s", limit.as_secs_f64());
                Response::from_errors(vec![coded(ErrorCode::Timeout, problem)])
            }
        };
        let codes: Vec<_> = response.errors.iter_mut().map(settle).collect();
        let outcome = outcome(&codes, &response.data);
        if stage == Stage::Executed && response.errors.iter().any(|error| error.path.is_empty()) {
            stage = Stage::Refused;
            let too_complex = codes.contains(&ErrorCode::QueryTooComplex);
            self.metrics.rejected(if too_complex { Rejection::Complexity } else { Rejection::Validation });
        }
        let read = Reading::current().map(|reading| reading.so_far()).unwrap_or_default();
        let body = encode(&response);
        let etag = etag(&body);
        Encoded { body, etag, stage, outcome, codes, described, read, taken: AtomicBool::new(false) }
    }

    /// Answers at once by what is kept.
    fn hit(&self, responses: &Responses, found: &Entry<Encoded>, operation: &mut Operation) -> Answer {
        let (encoded, times, age) = (&found.value, found.times, responses.serve(found));
        operation.note_hit(&encoded.described);
        self.count_fields(&encoded.described);
        Answer {
            body: encoded.body.clone(),
            stage: encoded.stage,
            outcome: encoded.outcome,
            prediction: encoded.described.is_prediction().then_some(Source::CacheFresh),
            kept: Some(Kept { how: Lookup::HitL1, times, age, etag: encoded.etag.clone() }),
            unavailable: false,
        }
    }

    /// Counts an answer as that of `operation`.
    fn take(&self, encoded: &Encoded, operation: &mut Operation) {
        operation.describe(Arc::clone(&encoded.described));
        operation.note(&encoded.codes, &encoded.read);
        if encoded.taken.swap(true, Ordering::AcqRel) {
            self.count_fields(&encoded.described);
        }
    }

    /// Counts root fields that nobody has executed for this request.
    fn count_fields(&self, described: &Described) {
        for &field in &described.root_fields {
            self.metrics.field(field).finish(Done::Ok);
        }
    }
}

impl LoadError for Unkept {
    fn is_outage(&self) -> bool {
        matches!(self.outcome, Outcome::Error | Outcome::Partial)
    }
}

impl Encoded {
    fn is_unavailable(&self) -> bool {
        self.codes.contains(&ErrorCode::ServiceUnavailable)
    }
}

impl Operation {
    pub(super) fn refuse(&mut self, mut error: ServerError, stage: Stage) -> Answer {
        let code = settle(&mut error);
        self.note(&[code], &Read::default());
        if let Some(reason) = rejection(code, &error) {
            self.rejected(reason);
        }
        let body = encode(&Response::from_errors(vec![error]));
        Answer { body, stage, outcome: Outcome::Rejected, prediction: None, kept: None, unavailable: false }
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

impl From<TooMuch> for ServerError {
    fn from(TooMuch { what, requested, allowed }: TooMuch) -> Self {
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
fn of_data<T: Any + Send + Sync>(request: &Request) -> Option<&T> {
    request.data.get(&TypeId::of::<T>())?.downcast_ref()
}

impl Described {
    fn may_be_kept(&self) -> bool {
        self.kind == OperationType::Query && self.all_of(KEPT_FIELDS)
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
