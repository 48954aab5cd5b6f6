//! The door through which every operation passes, by HTTP or WebSocket: answered from the response cache, or executed;
//! measured and logged once, however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::{Executor, Request, Response};
use axum::body::Bytes;
use axum::http::HeaderValue;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::error::RETRY_AFTER_SECONDS;
use super::operation::{Described, Operation, coded, outcome, settle, syntax_error};
use crate::cache::{Cache, CacheSettings, Key, Lifetime, LoadError, Made, Purpose, Read, Reading, Surroundings, Times};
use crate::telemetry::{Done, ErrorCode, Lookup, Metrics, OperationType, Outcome, Source};

/// Longer than any part of an answer is kept, so that its parts decide.
const LIFETIME: Lifetime = Lifetime::of(Duration::from_hours(24));

/// Root fields whose answers may be kept. What they have read says for how long.
const KEPT_FIELDS: &[&str] = &[
    "confirmedAdditions",
    "countries",
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
    /// By POST or WebSocket: it may change things.
    Post,
    /// By GET: it may only read, for anything may repeat it.
    Get,
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
    /// Seconds after which to ask again, where the service was unavailable.
    pub retry_after_seconds: Option<u32>,
}

/// How far an operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was refused before execution: it cannot be parsed, is not valid, or asks for too much.
    Refused,
    /// It would have changed something, which a GET may not.
    NotByGet,
    /// Its time was over.
    TimedOut,
    /// It was executed.
    Executed,
}

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

type ResponseKey = [u8; 32];

impl Key for ResponseKey {}

/// Answers operations. `E` executes them: a schema, or what wraps one.
#[derive(Clone)]
pub struct Door<E> {
    pub(super) executor: E,
    pub(super) metrics: Metrics,
    around: Option<(Cache<ResponseKey, Encoded, Unkept>, Surroundings)>,
    limit: Duration,
}

impl<E: Executor> Door<E> {
    /// A door that keeps nothing. An operation may take as long as `limit`.
    #[must_use]
    pub fn new(executor: E, metrics: Metrics, limit: Duration) -> Self {
        Self { executor, metrics, around: None, limit }
    }

    /// The same door, keeping answers.
    #[must_use]
    pub fn keeping(self, settings: CacheSettings, around: &Surroundings) -> Self {
        Self { around: Some((Cache::new(settings, around), around.clone())), ..self }
    }

    /// Answers one operation.
    pub async fn answer(&self, request: Request, transport: Transport) -> Answer {
        let mut operation = Operation::start(&self.metrics);
        let span = operation.span();
        let spent = operation.spent();
        let answer = spent.on(self.pass(request, transport, &mut operation)).instrument(span).await;
        operation.end(answer.outcome, answer.prediction);
        answer
    }

    pub(super) async fn pass(&self, mut request: Request, transport: Transport, operation: &mut Operation) -> Answer {
        let Some((responses, around)) = &self.around else {
            if let Err(refused) = self.prepare(&mut request, transport, operation) {
                return refused;
            }
            return self.execute_now(request, operation).await;
        };
        let key = key(&request);
        if let Some((encoded, times, age)) = responses.fresh(&key) {
            return self.hit(&encoded, times, age, operation);
        }
        if !responses.has(&key) {
            if let Err(refused) = self.prepare(&mut request, transport, operation) {
                return refused;
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
        let got = Arc::clone(&reading).of(responses.get(key, load)).await;
        let read = reading.so_far();
        let (encoded, kept) = match got {
            Ok(encoded) => {
                let how = match (read.hits, read.stale) {
                    (1.., _) => Lookup::HitL1,
                    (_, 1..) => Lookup::Stale,
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
            retry_after_seconds: encoded.retry_after_seconds(),
        }
    }

    /// Parses a request and says what it is.
    pub(super) fn prepare(
        &self,
        request: &mut Request,
        transport: Transport,
        operation: &mut Operation,
    ) -> Result<(), Answer> {
        let name = request.operation_name.clone();
        match request.parsed_query() {
            Ok(document) => {
                operation.describe(Arc::new(Described::of(document, name.as_deref(), &self.metrics)));
            }
            Err(error) => {
                let response = Response::from_errors(vec![syntax_error(&error)]);
                return Err(operation.refuse(&response, Stage::Refused, Outcome::Rejected, ErrorCode::ParseFailed));
            }
        }
        let reads = matches!(operation.described.kind, OperationType::Query | OperationType::Unknown);
        if transport == Transport::Get && !reads {
            let error = coded(ErrorCode::BadUserInput, "only queries may be sent by GET");
            let response = Response::from_errors(vec![error]);
            return Err(operation.refuse(&response, Stage::NotByGet, Outcome::Rejected, ErrorCode::BadUserInput));
        }
        Ok(())
    }

    async fn execute_now(&self, request: Request, operation: &mut Operation) -> Answer {
        let described = Arc::clone(&operation.described);
        let encoded = Reading::new(Purpose::Request).of(Box::pin(self.execute(request, described))).await;
        self.take(&encoded, operation);
        let source = encoded.read.source.unwrap_or(Source::Database);
        let prediction = operation.described.is_prediction().then_some(source);
        let retry_after_seconds = encoded.retry_after_seconds();
        let Encoded { body, stage, outcome, .. } = encoded;
        Answer { body, stage, outcome, prediction, kept: None, retry_after_seconds }
    }

    /// Executes in the reading of this task.
    async fn execute(&self, request: Request, described: Arc<Described>) -> Encoded {
        let mut stage = Stage::Executed;
        let executed = tokio::time::timeout(self.limit, Box::pin(self.executor.execute(request))).await;
        let mut response = executed.unwrap_or_else(|_| {
            stage = Stage::TimedOut;
            let problem = format!("the operation took longer than {} s", self.limit.as_secs_f64());
            Response::from_errors(vec![coded(ErrorCode::Timeout, problem)])
        });
        let codes: Vec<_> = response.errors.iter_mut().map(settle).collect();
        let outcome = outcome(&codes, &response.data);
        if stage == Stage::Executed && response.errors.iter().any(|error| error.path.is_empty()) {
            stage = Stage::Refused;
        }
        let read = Reading::current().map(|reading| reading.so_far()).unwrap_or_default();
        let body = encode(&response);
        let etag = etag(&body);
        Encoded { body, etag, stage, outcome, codes, described, read, taken: AtomicBool::new(false) }
    }

    /// Answers at once by what is kept.
    fn hit(&self, encoded: &Encoded, times: Times, age: Duration, operation: &mut Operation) -> Answer {
        operation.note_hit(&encoded.described);
        self.count_fields(&encoded.described);
        Answer {
            body: encoded.body.clone(),
            stage: encoded.stage,
            outcome: encoded.outcome,
            prediction: encoded.described.is_prediction().then_some(Source::CacheFresh),
            kept: Some(Kept { how: Lookup::HitL1, times, age, etag: encoded.etag.clone() }),
            retry_after_seconds: None,
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
    fn retry_after_seconds(&self) -> Option<u32> {
        self.codes.contains(&ErrorCode::ServiceUnavailable).then_some(RETRY_AFTER_SECONDS)
    }
}

impl Operation {
    pub(super) fn refuse(&mut self, response: &Response, stage: Stage, outcome: Outcome, code: ErrorCode) -> Answer {
        self.note(&[code], &Read::default());
        let body = encode(response);
        Answer { body, stage, outcome, prediction: None, kept: None, retry_after_seconds: None }
    }
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

/// The same for the same operation and variables.
fn key(request: &Request) -> ResponseKey {
    let mut hash = Sha256::new();
    let name = request.operation_name.as_deref().unwrap_or_default();
    for part in [request.query.as_str(), name] {
        // The length keeps ("a", "bc") apart from ("ab", "c").
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update(serde_json::to_vec(&request.variables).unwrap_or_default());
    hash.finalize().into()
}

fn encode(response: &Response) -> Bytes {
    serde_json::to_vec(response).unwrap_or_default().into()
}

fn etag(body: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(body);
    let tag = format!("\"{:032x}\"", hash.first_chunk().copied().map_or(0, u128::from_be_bytes));
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}
