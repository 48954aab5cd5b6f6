//! L2: entries in a Redis that instances share. After a timeout or an error, or if a value cannot be decoded, a lookup
//! finds nothing, as if there were no entry.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncCommands, Client, ConnectionAddr, ExistenceCheck, IntoConnectionInfo, RedisError, SetExpiry, SetOptions,
};
use tracing::Instrument;

use super::codec::Stored;
use super::labels::{CacheName, CacheOperation, Layer, LayerResult};
use super::metrics::CacheMetrics;
use super::redis_errors::RedisErrorLog;
use crate::breaker::{Breaker, BreakerMetrics, BreakerName};

/// Expiry of a refresh lock. A choice: longer than nearly every refresh takes, and short enough that a key is soon
/// refreshed again after the instance that held its lock has crashed. A refresh that takes longer loses its lock, so
/// another instance may refresh the key too.
const LOCK_TTL: Duration = Duration::from_secs(15);

/// How long a connection may be silent before the system sends a keepalive probe. This value and the following three
/// are choices, the same as for connections to PostgreSQL: a connection is closed 30 s after its peer has vanished.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// Interval of keepalive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Number of unanswered keepalive probes after which the system closes a connection.
const KEEPALIVE_RETRIES: u32 = 4;

/// How long sent bytes may stay unacknowledged before the system closes a connection. Keepalive probes are sent only
/// while there are no such bytes.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Address and limits of the shared cache. Not `Debug`, so that the URL cannot be logged with them.
#[derive(Clone)]
pub struct L2Settings {
    /// `redis://…` or `rediss://…`; may hold a password.
    pub url: String,
    /// Time limit of a command. A lookup that takes longer finds nothing.
    pub timeout: Duration,
}

/// The shared cache.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    current: Arc<Mutex<Current>>,
    timeout: Duration,
    breaker: Breaker,
    metrics: CacheMetrics,
    errors: Arc<RedisErrorLog>,
    /// Host, or path of a socket.
    address: Arc<str>,
    port: Option<i64>,
}

/// The connection in use.
struct Current {
    connection: ConnectionManager,
    /// Number of connections that were in use before this one.
    generation: u64,
}

impl Redis {
    /// Creates the client. It connects with the first command, and reconnects whenever the connection is lost.
    ///
    /// # Errors
    /// [`RedisError`] if the URL is invalid.
    pub fn open(settings: &L2Settings, metrics: CacheMetrics, breakers: BreakerMetrics) -> Result<Self, RedisError> {
        let address = settings.url.as_str().into_connection_info()?;
        let client = Client::open(address.set_tcp_settings(tcp_settings()))?;
        let connection = connect(&client, settings.timeout)?;
        let current = Arc::new(Mutex::new(Current { connection, generation: 0 }));
        metrics.l2_enabled(true);
        let breaker = Breaker::new(BreakerName::CacheL2, breakers);
        let errors = Arc::new(RedisErrorLog::new(&client));
        let (address, port) = match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                (host.as_str().into(), Some(i64::from(*port)))
            }
            socket => (socket.to_string().into(), None),
        };
        Ok(Self { client, current, timeout: settings.timeout, breaker, metrics, errors, address, port })
    }

    fn connection(&self) -> ConnectionManager {
        self.current().connection.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the connection of this generation, unless that was done already. The library itself reconnects after an
    /// I/O error. It does not after any other error during connection setup, such as an invalid reply or a wrong
    /// password, nor after a timeout, although the link may be lost.
    fn reconnect(&self, generation: u64) {
        let mut current = self.current();
        // Of all commands that fail on one connection, only the first one replaces it. `connect` sends nothing yet, so
        // it does not fail if the settings are valid.
        if current.generation == generation
            && let Ok(connection) = connect(&self.client, self.timeout)
        {
            *current = Current { connection, generation: generation + 1 };
        }
    }

    /// Returns the value of `key`, decoded by `decode`; `None` if it is missing or cannot be read or decoded. `counted`
    /// says whether the lookup belongs to a request and is counted in the metrics.
    pub(super) async fn get<T>(
        &self,
        cache: CacheName,
        key: &str,
        counted: bool,
        decode: impl FnOnce(&Stored) -> Option<T>,
    ) -> Option<T> {
        let mut connection = self.connection();
        // In one transaction, so that both replies are about the same value.
        let read = redis::pipe().atomic().get(key).pttl(key).to_owned();
        let found = self.execute::<(Option<Vec<u8>>, i64)>("GET", CacheOperation::Get, async move {
            read.query_async(&mut connection).await
        });
        let (result, value) = match found.await {
            Ok((bytes, remaining)) => {
                // PTTL is negative if there is no value, or if the value has no expiry: then another program wrote it.
                let remaining = u64::try_from(remaining).ok().map(Duration::from_millis);
                let stored = bytes.zip(remaining).map(|(bytes, remaining)| Stored { bytes, remaining });
                let value = stored.and_then(|stored| decode(&stored));
                (if value.is_some() { LayerResult::Hit } else { LayerResult::Miss }, value)
            }
            Err(Failure::TimedOut) => (LayerResult::Timeout, None),
            Err(Failure::Failed) => (LayerResult::Error, None),
            // No command was sent, so the metrics of L2 count no lookup.
            Err(Failure::BreakerOpen) => return None,
        };
        if counted {
            self.metrics.layer(cache, Layer::L2, result);
        }
        value
    }

    /// Stores `value` with the expiry `ttl`. Returns whether that succeeded.
    pub(super) async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> bool {
        let mut connection = self.connection();
        let options = SetOptions::default().with_expiration(SetExpiry::PX(millis(ttl)));
        self.execute::<()>("SET", CacheOperation::Set, async move { connection.set_options(key, value, options).await })
            .await
            .is_ok()
    }

    /// Acquires the refresh lock of `key`; returns false if another instance holds it. Returns true also if Redis is
    /// unavailable: each instance then refreshes for itself.
    pub(super) async fn try_lock(&self, key: &str) -> bool {
        let mut connection = self.connection();
        let lock = format!("{key}:claim");
        let options =
            SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(millis(LOCK_TTL)));
        let set = async move {
            let set: Option<String> = connection.set_options(lock, 1, options).await?;
            Ok(set.is_some())
        };
        self.execute("SET", CacheOperation::Set, set).await.unwrap_or(true)
    }

    /// Releases the refresh lock of `key`. If the lock has expired, this may release that of another instance: the key
    /// may then be refreshed once more than necessary. A token that identifies the owner would not be worth its cost.
    pub(super) async fn unlock(&self, key: &str) {
        let mut connection = self.connection();
        let lock = format!("{key}:claim");
        // An error is ignored, because the lock expires after `LOCK_TTL`.
        let _ = self.execute::<()>("DEL", CacheOperation::Delete, async move { connection.del(lock).await }).await;
    }

    /// Sends a PING, which updates the `l2_up` metric and the circuit breaker. While the breaker is open, none is sent, and
    /// Redis counts as down.
    pub async fn ping(&self) {
        let mut connection = self.connection();
        // The metric of operations has no label for PING, so it counts as a read.
        let pong = self.execute::<()>("PING", CacheOperation::Get, async move { connection.ping().await }).await;
        self.metrics.l2_up(pong.is_ok());
    }

    /// Runs `call` within the time limit, if the circuit breaker permits it, and records the outcome in the span, the
    /// metrics and the breaker. `command` is its name in traces and logs.
    async fn execute<T>(
        &self,
        command: &'static str,
        operation: CacheOperation,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let Some(permit) = self.breaker.permit() else { return Err(Failure::BreakerOpen) };
        let span = tracing::info_span!(
            "redis",
            otel.name = command,
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = command,
            server.address = &*self.address,
            server.port = self.port,
            error.r#type = tracing::field::Empty,
        );
        // `call` was given its connection before this line. If another command has replaced that connection in between,
        // `generation` is the number of the new one, and a failure of `call` replaces the new one needlessly, which does
        // no harm.
        let (started, generation) = (Instant::now(), self.current().generation);
        // The client limits connecting and the response separately; this limits both together.
        let result = tokio::time::timeout(self.timeout, call).instrument(span.clone()).await;
        self.metrics.operation(Layer::L2, operation, started);
        let result = match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_timeout() => {
                self.errors.record(command, "no response within the time limit", Instant::now());
                self.reconnect(generation);
                Err(Failure::TimedOut)
            }
            Ok(Err(error)) => {
                self.errors.record(command, &error.to_string(), Instant::now());
                // After an I/O error, the library has reconnected already.
                if !error.is_io_error() {
                    self.reconnect(generation);
                }
                Err(Failure::Failed)
            }
            Err(_) => {
                self.errors.record(command, "no response within the time limit", Instant::now());
                self.reconnect(generation);
                Err(Failure::TimedOut)
            }
        };
        match &result {
            Ok(_) => permit.succeeded(),
            Err(failure) => {
                span.record("error.type", failure.as_str());
                permit.failed();
            }
        }
        result
    }
}

/// Lets the system close connections whose peer has vanished.
fn tcp_settings() -> TcpSettings {
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    let settings = TcpSettings::default().set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(USER_TIMEOUT);
    settings
}

/// Creates a connection that is established by the first command.
fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        // The circuit breaker decides when to try again; a retry of the client would prolong the request that waits.
        .set_number_of_retries(0)
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Why a command has no result.
#[derive(Debug, Clone, Copy)]
enum Failure {
    TimedOut,
    /// The connection failed, or Redis returned an error.
    Failed,
    /// The circuit breaker is open, so no command was sent.
    BreakerOpen,
}

impl Failure {
    fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Failed | Self::BreakerOpen => "error",
        }
    }
}

fn millis(duration: Duration) -> u64 {
    // Redis rejects an expiry of 0.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
