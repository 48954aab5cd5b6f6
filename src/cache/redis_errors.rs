//! Log of the errors that Redis returns, such as a wrong password or a replica that is read-only.

use std::time::Instant;

use redis::Client;

use crate::telemetry::OutageLog;

/// Maximum length of a logged reason in characters. It needs a limit because Redis may repeat the arguments of a
/// command in its error.
const REASON_CHARACTERS: usize = 200;

/// Logs why commands fail.
pub(super) struct RedisErrorLog {
    /// The password of the connection, if it has one. It is replaced in every reason, because a server that does not
    /// know the command AUTH repeats its arguments in the error.
    password: Option<String>,
    /// That a reason lasts is shown by the circuit breaker and the metrics.
    logged: OutageLog,
}

impl RedisErrorLog {
    pub(super) fn new(client: &Client) -> Self {
        let password = client.get_connection_info().redis_settings().password();
        Self {
            password: password.filter(|password| !password.is_empty()).map(str::to_owned),
            logged: OutageLog::default(),
        }
    }

    /// Logs a warning with the reason, once per outage.
    pub(super) fn record(&self, command: &'static str, error: &str, now: Instant) {
        let reason = self.reason(error);
        if self.logged.is_new(&reason, now) {
            tracing::warn!(error = reason, command, "redis command failed");
        }
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
}
