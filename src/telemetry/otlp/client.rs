//! Sends the telemetry of one signal: with retries, within a time limit, and with a warning when it fails.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use prost::Message;
use tokio::runtime::Handle;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::super::dropped::{self, DropReason, Signal};
use super::super::metric_label::Label as _;
use super::connection::Connection;
use super::error::{ExportError, Retry};
use super::message::{self, Received};
use super::target::Target;

/// Delay before the second attempt; it doubles with each further one. The values are choices: most restarts of a
/// collector are over within the time limit of an export, and it gets no more than a few requests in that time.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Maximum time for which a collector may ask to send nothing. A choice: collectors ask for seconds, and a wrong value must
/// not end the telemetry of a day.
const THROTTLE_MAX: Duration = Duration::from_mins(5);

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
    /// The connection, while no request uses it. Exports of one signal do not overlap, so one is kept; a second one is
    /// opened only while the first is silent.
    idle: Mutex<Option<Connection>>,
    /// Before this time the collector wants no request.
    not_before: Mutex<Option<Instant>>,
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
        let (idle, not_before, failures) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { signal, target, runtime, abort, idle, not_before, failures }))
    }

    /// Sends a message that contains this many items. Counts what is lost, and logs the cause, at most once a minute. The
    /// export is a task of the client's runtime, because the returned future may be polled outside of Tokio, or dropped.
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
            // `record_failure` has counted the loss.
            let failed = || OTelSdkError::InternalFailure("export failed".to_owned());
            sent.await.unwrap_or(false).then_some(()).ok_or_else(failed)
        }
    }

    async fn send(&self, body: Bytes) -> Result<(), ExportError> {
        let limit = self.0.target.timeout;
        let exported = async {
            // The collector has asked for this time, which is no part of the limit. What comes meanwhile waits in the queue.
            let not_before = *self.0.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(time) = not_before {
                sleep_until(time.into()).await;
            }
            let attempts = self.attempt_until(Instant::now() + limit, body);
            timeout(limit, attempts).await.unwrap_or(Err(ExportError::Timeout(limit)))
        };
        tokio::select! {
            done = exported => done,
            () = self.0.abort.cancelled() => Err(ExportError::Stopped),
        }
    }

    /// Tries until it succeeds, fails in a way that repeats itself, or the next attempt would come too late.
    async fn attempt_until(&self, deadline: Instant, body: Bytes) -> Result<(), ExportError> {
        let mut delay = RETRY_FIRST;
        loop {
            // In a box, since it contains the TLS handshakes of two connections.
            let Err(error) = Box::pin(self.attempt(body.clone())).await else { return Ok(()) };
            // Half to all of the delay, so that instances that lost one collector do not return together.
            let backoff = delay.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            let wait = match error.retry() {
                Retry::Never => return Err(error),
                Retry::Later => backoff,
                Retry::After(wait) => {
                    // The collector may ask for no delay at all.
                    let wait = wait.max(backoff).min(THROTTLE_MAX);
                    self.throttle(wait);
                    wait
                }
            };
            if wait >= deadline.saturating_duration_since(Instant::now()) {
                return Err(error);
            }
            sleep(wait).await;
            delay = RETRY_MAX.min(delay * 2);
        }
    }

    /// Sends nothing for this time, as the collector asks: not this export, nor, if this one ends before, the next ones.
    fn throttle(&self, wait: Duration) {
        *self.0.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
    }

    /// Sends the request once, by the connection of the last export if there is one.
    async fn attempt(&self, body: Bytes) -> Result<(), ExportError> {
        // Taken out: if this future is dropped by a time-out, so is the connection, with its unfinished request.
        let Some(used) = self.idle().take().filter(|connection| !connection.is_closed()) else {
            return self.attempt_anew(body).await;
        };
        let mut first = pin!(self.attempt_on(used, body.clone()));
        match timeout(self.0.target.timeout / 2, &mut first).await {
            // The collector may have closed it since the last export, which is no failure.
            Ok(Err(ExportError::Connection(_))) => return self.attempt_anew(body).await,
            Ok(done) => return done,
            Err(_) => {}
        }
        // The collector is slow, or the network has lost the connection without telling anybody. Whichever of the two
        // connections responds decides. The collector may get the items twice, as OTLP permits, rather than never.
        match select(first, pin!(self.attempt_anew(body))).await {
            Either::Left((Err(ExportError::Connection(_)), second)) => second.await,
            Either::Right((Err(ExportError::Connect(_) | ExportError::Connection(_)), first)) => first.await,
            Either::Left((done, _)) | Either::Right((done, _)) => done,
        }
    }

    async fn attempt_anew(&self, body: Bytes) -> Result<(), ExportError> {
        self.attempt_on(Connection::open(&self.0.target).await?, body).await
    }

    async fn attempt_on(&self, mut connection: Connection, body: Bytes) -> Result<(), ExportError> {
        let target = &self.0.target;
        let response = connection.send(message::request(target, body)?).await;
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
