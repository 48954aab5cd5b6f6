//! Why an export failed, and whether it is worth another attempt.

use std::io;
use std::time::Duration;

use hyper::StatusCode;

use super::super::error_causes::with_causes;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("connection failed: {}", with_causes(.0))]
    Connection(#[source] hyper::Error),
    #[error("the response cannot be read: {0}")]
    Response(String),
    #[error("response status {status}{}", detail(message))]
    Http { status: StatusCode, message: String, retry_after: Option<Duration> },
    #[error("gRPC status {}{}", code_name(*code), detail(message))]
    Grpc { code: i32, message: String, retry_after: Option<Duration> },
    #[error("no response within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the program ends")]
    Stopped,
    #[error("the collector rejected {rejected} of them{}", detail(message))]
    Rejected { rejected: usize, message: String },
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Never: another attempt would fail as well.
    Never,
    /// After the delay of the client.
    Later,
    /// After the delay that the collector asks for.
    After(Duration),
}

/// Maximum length of what a collector says about an error, in characters. Enough for a sentence.
const MESSAGE_CHARS: usize = 200;

/// The codes of gRPC that the specification of OTLP names, with `UNIMPLEMENTED`, which a wrong port responds.
const CODES: [(i32, &str); 17] = [
    (0, "OK"),
    (1, "CANCELLED"),
    (2, "UNKNOWN"),
    (3, "INVALID_ARGUMENT"),
    (4, "DEADLINE_EXCEEDED"),
    (5, "NOT_FOUND"),
    (6, "ALREADY_EXISTS"),
    (7, "PERMISSION_DENIED"),
    (8, "RESOURCE_EXHAUSTED"),
    (9, "FAILED_PRECONDITION"),
    (10, "ABORTED"),
    (11, "OUT_OF_RANGE"),
    (12, "UNIMPLEMENTED"),
    (13, "INTERNAL"),
    (14, "UNAVAILABLE"),
    (15, "DATA_LOSS"),
    (16, "UNAUTHENTICATED"),
];

fn code_name(code: i32) -> String {
    let name = CODES.iter().find(|(known, _)| *known == code);
    name.map_or_else(|| code.to_string(), |(_, name)| (*name).to_owned())
}

/// The end of an error text: a colon and the message, shortened and in one line; empty if the message is.
fn detail(message: &str) -> String {
    let printable = message.chars().map(|character| if character.is_control() { ' ' } else { character });
    let text: String = printable.take(MESSAGE_CHARS).collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

impl ExportError {
    /// When to try again, by the rules of the specification.
    pub(super) fn retry(&self) -> Retry {
        let after = |delay: &Option<Duration>| delay.map_or(Retry::Later, Retry::After);
        match self {
            // A certificate that is not trusted now will not be in a second.
            Self::Connect(error) if error.kind() == io::ErrorKind::InvalidData => Retry::Never,
            Self::Connect(_) | Self::Connection(_) => Retry::Later,
            Self::Http { status, retry_after, .. } if matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                after(retry_after)
            }
            Self::Grpc { code: 1 | 4 | 10 | 11 | 14 | 15, retry_after, .. } => after(retry_after),
            // Without a delay, the collector says that it will not recover.
            Self::Grpc { code: 8, retry_after: Some(delay), .. } => Retry::After(*delay),
            _ => Retry::Never,
        }
    }

    /// How many of the items were not delivered.
    pub(super) fn lost(&self, items: usize) -> usize {
        match self {
            Self::Rejected { rejected, .. } => (*rejected).min(items),
            _ => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> ExportError {
        let status = StatusCode::from_u16(status).unwrap();
        ExportError::Http { status, message: String::new(), retry_after: None }
    }

    fn grpc(code: i32, retry_after: Option<Duration>) -> ExportError {
        ExportError::Grpc { code, message: String::new(), retry_after }
    }

    #[test]
    fn only_the_statuses_of_the_specification_are_tried_again() {
        let again = |status: &u16| http(*status).retry() == Retry::Later;
        assert_eq!((100..600).filter(again).collect::<Vec<_>>(), [429, 502, 503, 504]);

        let again = |code: &i32| grpc(*code, None).retry() == Retry::Later;
        assert_eq!((0..20).filter(again).collect::<Vec<_>>(), [1, 4, 10, 11, 14, 15]);
    }

    #[test]
    fn an_exhausted_collector_is_tried_again_only_if_it_names_a_delay() {
        let delay = Duration::from_secs(2);

        assert_eq!(grpc(8, None).retry(), Retry::Never);
        assert_eq!(grpc(8, Some(delay)).retry(), Retry::After(delay));
    }

    #[test]
    fn messages_of_a_collector_are_one_short_line() {
        let message = format!("bad\nthing {}", "x".repeat(1000));
        let error = ExportError::Grpc { code: 3, message, retry_after: None }.to_string();

        assert!(error.starts_with("gRPC status INVALID_ARGUMENT: bad thing xxx"), "{error}");
        assert!(error.len() < 300);
    }
}
