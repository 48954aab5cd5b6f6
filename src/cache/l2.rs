//! L2: values in a Redis that instances share. It may be slow, gone or hold nonsense: all of that is a miss.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, ExistenceCheck, RedisError, SetExpiry, SetOptions};
use tracing::Instrument;

use crate::breaker::{Breaker, BreakerSettings};
use crate::telemetry::{BreakerName, CacheName, CacheOperation, Layer, LayerResult, Metrics};

/// The layout of a stored value; one of another layout is not found.
const LAYOUT: u8 = 1;

/// Longer than any refresh should take; shorter than anybody wants to wait for an instance that died in one.
const LOCK_TTL: Duration = Duration::from_secs(15);

/// Where the shared cache is, and how long it may take.
#[derive(Debug, Clone)]
pub struct L2Settings {
    /// `redis://…` or `rediss://…`; may hold a password, so it is never logged.
    pub url: String,
    /// What takes longer is a miss.
    pub timeout: Duration,
    /// When it is left alone after failures.
    pub breaker: BreakerSettings,
}

/// The shared cache.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: Arc<Mutex<ConnectionManager>>,
    timeout: Duration,
    breaker: Breaker,
    metrics: Metrics,
}

impl Redis {
    /// Connects when it is first asked, and again whenever it was lost.
    ///
    /// # Errors
    /// [`RedisError`] when the URL is none.
    pub fn open(settings: &L2Settings, metrics: Metrics) -> Result<Self, RedisError> {
        let client = Client::open(settings.url.as_str())?;
        let connection = Arc::new(Mutex::new(connect(&client, settings.timeout)?));
        metrics.l2_enabled(true);
        let breaker = Breaker::new(BreakerName::CacheL2, settings.breaker, metrics.clone());
        Ok(Self { client, connection, timeout: settings.timeout, breaker, metrics })
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The library connects again by itself after a broken connection, but never after another error while it connected:
    /// a wrong answer, a wrong password.
    fn reconnect(&self) {
        if let Ok(connection) = connect(&self.client, self.timeout) {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        }
    }

    /// What is stored under `key`. Counted as a request's unless `counted` is false.
    pub(super) async fn get(&self, cache: CacheName, key: &str, counted: bool) -> Option<Vec<u8>> {
        let mut connection = self.connection();
        let found =
            self.execute::<Option<Vec<u8>>>("GET", CacheOperation::Get, async move { connection.get(key).await });
        let (result, value) = match found.await {
            Ok(Some(bytes)) => match bytes.split_first() {
                Some((&LAYOUT, value)) => (LayerResult::Hit, Some(value.to_vec())),
                _ => (LayerResult::Miss, None),
            },
            Ok(None) => (LayerResult::Miss, None),
            Err(Failure::TimedOut) => (LayerResult::Timeout, None),
            Err(Failure::Refused) => (LayerResult::Error, None),
            // Not asked at all.
            Err(Failure::BreakerOpen) => return None,
        };
        if counted {
            self.metrics.cache_layer(cache, Layer::L2, result);
        }
        value
    }

    /// Stores `value` for as long as it may be served. Says whether it could.
    pub(super) async fn set(&self, key: &str, value: &[u8], keep: Duration) -> bool {
        let mut connection = self.connection();
        let bytes = [&[LAYOUT], value].concat();
        let options = SetOptions::default().with_expiration(SetExpiry::PX(millis(keep)));
        self.execute::<()>("SET", CacheOperation::Set, async move { connection.set_options(key, bytes, options).await })
            .await
            .is_ok()
    }

    /// Takes on the refresh of `key` for all instances. Without a Redis that answers, each takes it on for itself.
    pub(super) async fn claim(&self, key: &str) -> bool {
        let mut connection = self.connection();
        let claim = format!("{key}:claim");
        let options =
            SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(millis(LOCK_TTL)));
        let set = async move {
            let set: Option<String> = connection.set_options(claim, 1, options).await?;
            Ok(set.is_some())
        };
        self.execute("SET", CacheOperation::Set, set).await.unwrap_or(true)
    }

    /// Gives a claim back.
    pub(super) async fn release(&self, key: &str) {
        let mut connection = self.connection();
        let claim = format!("{key}:claim");
        // A claim that is not given back ends by itself.
        let _ = self.execute::<()>("DEL", CacheOperation::Delete, async move { connection.del(claim).await }).await;
    }

    /// Asks whether it is there, and writes the answer down.
    pub async fn ping(&self) {
        let mut connection = self.connection();
        let _ = self.execute::<()>("PING", CacheOperation::Get, async move { connection.ping().await }).await;
    }

    async fn execute<T>(
        &self,
        command: &'static str,
        operation: CacheOperation,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let Some(permit) = self.breaker.permit() else { return Err(Failure::BreakerOpen) };
        let span = tracing::info_span!(
            "redis",
            otel.name = command,
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = command,
            error.r#type = tracing::field::Empty,
        );
        let started = Instant::now();
        let answer = tokio::time::timeout(self.timeout, asked).instrument(span.clone()).await;
        self.metrics.cache_operation(Layer::L2, operation, started);
        let answer = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_timeout() => Err(Failure::TimedOut),
            Ok(Err(error)) => {
                tracing::debug!(%error, command, "the shared cache refused");
                if !error.is_io_error() {
                    self.reconnect();
                }
                Err(Failure::Refused)
            }
            Err(_) => Err(Failure::TimedOut),
        };
        match &answer {
            Ok(_) => permit.succeeded(),
            Err(failure) => {
                span.record("error.type", failure.as_str());
                permit.failed();
            }
        }
        self.metrics.l2_up(answer.is_ok());
        answer
    }
}

/// Connects when it is first asked.
fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy)]
enum Failure {
    TimedOut,
    Refused,
    /// It failed too often to be asked now.
    BreakerOpen,
}

impl Failure {
    fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Refused | Self::BreakerOpen => "error",
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
