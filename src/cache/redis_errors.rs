//! Log of the errors that Redis returns, such as a wrong password or a replica that is read-only.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, RedisError};

/// While commands keep failing for one reason, it is logged once per interval. That it lasts is shown by the circuit
/// breaker and the metrics.
const REPEAT_INTERVAL: Duration = Duration::from_mins(1);

/// Maximum length of a logged reason in characters. It needs a limit because Redis may repeat the arguments of a
/// command in its error.
const REASON_CHARACTERS: usize = 200;

/// Logs why commands fail.
pub(super) struct RedisErrorLog {
    /// The password of the connection, if it has one. It is replaced in every reason, because a server that does not
    /// know the command AUTH repeats its arguments in the error.
    password: Option<String>,
    /// The last reason, and when it was logged.
    last: Mutex<Option<(String, Instant)>>,
}

impl RedisErrorLog {
    pub(super) fn new(client: &Client) -> Self {
        let password = client.get_connection_info().redis_settings().password();
        Self { password: password.filter(|password| !password.is_empty()).map(str::to_owned), last: Mutex::default() }
    }

    /// Logs a warning with the reason, unless the same reason was logged less than [`REPEAT_INTERVAL`] ago.
    pub(super) fn record(&self, command: &'static str, error: &RedisError, now: Instant) {
        let reason = self.reason(&error.to_string());
        if self.mark_if_due(&reason, now) {
            tracing::warn!(error = reason, command, "redis command failed");
        }
    }

    /// Returns whether the reason must be logged now. If so, remembers it as logged at `now`.
    fn mark_if_due(&self, reason: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last
            .as_ref()
            .is_none_or(|(before, logged)| before != reason || now.duration_since(*logged) >= REPEAT_INTERVAL);
        if is_due {
            *last = Some((reason.to_owned(), now));
        }
        is_due
    }

    /// The text of an error without the password, cut at [`REASON_CHARACTERS`].
    fn reason(&self, text: &str) -> String {
        // Replaced before the text is cut, since the cut may leave only the start of the password.
        let text = self.password.as_ref().map_or_else(|| text.to_owned(), |password| text.replace(password, "***"));
        text.chars().take(REASON_CHARACTERS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(url: &str) -> RedisErrorLog {
        RedisErrorLog::new(&Client::open(url).unwrap())
    }

    #[test]
    fn reason_holds_no_password_and_is_short() {
        let log_with_password = log("redis://user:pa%2Fss@127.0.0.1:6379/0");
        let refused = "ERR unknown command `AUTH`, with args beginning with: `user`, `pa/ss`";
        assert_eq!(
            log_with_password.reason(refused),
            "ERR unknown command `AUTH`, with args beginning with: `user`, `***`"
        );
        let without = log("redis://127.0.0.1:6379");
        assert_eq!(without.reason("NOAUTH Authentication required."), "NOAUTH Authentication required.");
        assert_eq!(without.reason(&"é".repeat(500)).chars().count(), REASON_CHARACTERS);
    }

    #[test]
    fn lasting_reason_is_logged_once_per_interval() {
        let (log, start) = (log("redis://127.0.0.1"), Instant::now());
        assert!(log.mark_if_due("WRONGPASS", start));
        assert!(!log.mark_if_due("WRONGPASS", start + REPEAT_INTERVAL / 2));
        assert!(log.mark_if_due("READONLY", start + REPEAT_INTERVAL / 2));
        assert!(!log.mark_if_due("READONLY", start + REPEAT_INTERVAL));
        assert!(log.mark_if_due("READONLY", start + REPEAT_INTERVAL * 2));
    }
}
