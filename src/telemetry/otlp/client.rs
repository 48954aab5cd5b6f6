//! Sends the telemetry of one signal: with retries, within a time limit, and with a warning when it fails.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use prost::Message;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::dropped::{self, DropReason, Signal};
use super::super::label::Label as _;
use super::connection::Connection;
use super::error::{ExportError, Retry};
use super::message::{self, Received};
use super::target::Target;

/// Delay before the second attempt; it doubles with each further one. The values are choices: most restarts of a
/// collector are over within the time limit of an export, and it gets no more than a few requests in that time.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How often a failure of one signal is logged. While the collector is down, each export fails.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// Sends the telemetry of one signal. Clones share one connection.
#[derive(Clone)]
pub(super) struct Client(Arc<Shared>);

struct Shared {
    signal: Signal,
    target: Target,
    runtime: Handle,
    abort: CancellationToken,
    /// The connection, while no request uses it. Exports of one signal do not overlap, so one suffices.
    idle: Mutex<Option<Connection>>,
    failures: Mutex<Failures>,
}

/// Failures since the last warning.
#[derive(Debug, Default)]
struct Failures {
    warned: Option<Instant>,
    lost: usize,
}

impl Failures {
    /// Adds lost items. Returns how many to warn about, if a warning is due.
    fn add(&mut self, lost: usize, now: Instant) -> Option<usize> {
        self.lost += lost;
        if self.warned.is_some_and(|warned| now.duration_since(warned) < WARNING_INTERVAL) {
            return None;
        }
        self.warned = Some(now);
        Some(std::mem::take(&mut self.lost))
    }
}

impl Client {
    /// A client whose requests are executed by `runtime`, and fail as soon as `abort` is cancelled.
    pub(super) fn new(signal: Signal, target: Target, runtime: Handle, abort: CancellationToken) -> Self {
        let (idle, failures) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { signal, target, runtime, abort, idle, failures }))
    }

    /// Sends a message that contains this many items; counts and logs what is lost. The export runs whether or not the
    /// returned future is polled, which any executor may do.
    pub(super) fn export<M: Message>(
        &self,
        message: &M,
        items: usize,
    ) -> impl Future<Output = OTelSdkResult> + Send + use<M> {
        // Encoded by the caller: batches of spans and log records are encoded by the threads that hold them.
        let body = message::encode(&self.0.target, message);
        let client = self.clone();
        let sent = self.0.runtime.spawn(async move {
            let result = client.send(body).await;
            if let Err(error) = &result {
                client.record_failure(error, items);
            }
            result.is_ok()
        });
        async move {
            // The cause has been logged above.
            let failed = || OTelSdkError::InternalFailure("export failed".to_owned());
            sent.await.unwrap_or(false).then_some(()).ok_or_else(failed)
        }
    }

    async fn send(&self, body: Bytes) -> Result<(), ExportError> {
        let limit = self.0.target.timeout;
        tokio::select! {
            done = timeout(limit, self.attempt_until(Instant::now() + limit, body)) => {
                done.unwrap_or(Err(ExportError::Timeout(limit)))
            }
            () = self.0.abort.cancelled() => Err(ExportError::Stopped),
        }
    }

    /// Tries until it succeeds, fails in a way that repeats itself, or the next attempt would come too late.
    async fn attempt_until(&self, deadline: Instant, body: Bytes) -> Result<(), ExportError> {
        let mut delay = RETRY_FIRST;
        loop {
            let Err(error) = self.attempt(body.clone()).await else { return Ok(()) };
            // Half to all of the delay, so that instances that lost one collector do not return together.
            let backoff = delay.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            let wait = match error.retry() {
                Retry::Never => return Err(error),
                Retry::Later => backoff,
                // The collector may ask for no delay at all.
                Retry::After(wait) => wait.max(backoff),
            };
            if wait >= deadline.saturating_duration_since(Instant::now()) {
                return Err(error);
            }
            sleep(wait).await;
            delay = RETRY_MAX.min(delay * 2);
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(), ExportError> {
        let target = &self.0.target;
        // Taken out: if this future is dropped by a time-out, so is the connection, with its unfinished request.
        let idle = self.idle().take().filter(|connection| !connection.is_closed());
        let (mut connection, is_used) = match idle {
            Some(connection) => (connection, true),
            None => (Connection::open(target).await?, false),
        };
        let mut response = connection.send(message::request(target, body.clone())?).await;
        if response.is_err() && is_used {
            // The collector may have closed it since the last export, which is no failure.
            connection = Connection::open(target).await?;
            response = connection.send(message::request(target, body)?).await;
        }
        let received = Received::read(response.map_err(ExportError::Connection)?).await?;
        *self.idle() = Some(connection);
        received.check(target.protocol)
    }

    fn idle(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_failure(&self, error: &ExportError, items: usize) {
        let Shared { signal, target, failures, .. } = &*self.0;
        let lost = error.lost(items);
        dropped::record(*signal, DropReason::ExportFailed, lost);
        let due = failures.lock().unwrap_or_else(PoisonError::into_inner).add(lost, Instant::now());
        if let Some(lost) = due {
            let collector = format!("{}:{}", target.host(), target.port());
            tracing::warn!(signal = signal.as_str(), collector, lost, %error, "telemetry export failed");
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {:?}", self.0.signal.as_str(), self.0.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_once_a_minute_with_all_that_was_lost() {
        let (mut failures, start) = (Failures::default(), Instant::now());

        let warned = [0, 1, 59, 60, 61, 121].map(|second| failures.add(10, start + Duration::from_secs(second)));

        assert_eq!(warned, [Some(10), None, None, Some(30), None, Some(20)]);
    }
}
