//! Kinds of values: what fits a setting, and how it is read from text and shown.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use axum::http::HeaderName;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use toml::Value;
use tracing_subscriber::filter::Targets;

use super::connection_url::{UrlFault, check_database_url, check_redis_url};
use super::hosts::AllowedHosts;
use super::origins::AllowedOrigins;
use super::secret::without_password;

/// A timeout of less than a millisecond would reach PostgreSQL as 0, which means none.
const SECONDS: RangeInclusive<f64> = 0.001..=3600.0;

/// What values fit a setting; displays as a description with the unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A connection URL of PostgreSQL; secret, because it may hold a password.
    DatabaseUrl,
    /// The same of a Redis.
    RedisUrl,
    /// A file or directory, relative to the working directory.
    Path,
    /// IP address and port to listen on.
    Address,
    /// True or false.
    Bool,
    /// A number of things.
    Integer {
        /// The things.
        unit: &'static str,
        /// The least that fits.
        min: u64,
        /// The most that fits.
        max: u64,
    },
    /// A duration, fractions allowed.
    Seconds,
    /// Several texts, at least one.
    List,
    /// Several ranges of IP addresses, or none.
    Networks,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Which log lines are written.
    LogFilter,
    /// Origins of web pages.
    Origins,
    /// Hosts of URLs.
    Hosts,
    /// Names of HTTP headers.
    HeaderNames,
}

impl Kind {
    /// Whether values are hidden in logs, errors and listings.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::DatabaseUrl | Self::RedisUrl)
    }

    /// The value of a variable's text. Text that does not fit stays text, for [`Kind::validate`] to reject.
    pub(super) fn parse(self, text: &str) -> Value {
        let parsed = match self {
            Self::Bool => text.parse().map(Value::Boolean).ok(),
            Self::Integer { .. } | Self::Seconds => {
                text.parse().map(Value::Integer).ok().or_else(|| text.parse().map(Value::Float).ok())
            }
            Self::List | Self::Networks | Self::Origins | Self::Hosts | Self::HeaderNames => {
                Some(Value::Array(text.split(',').map(|entry| entry.trim().into()).collect()))
            }
            Self::DatabaseUrl | Self::RedisUrl | Self::Path | Self::Address | Self::OneOf(_) | Self::LogFilter => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Whether the value fits.
    pub(super) fn validate(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_bool(),
            Self::Integer { min, max, .. } => is::<u64>(value, |number| (min..=max).contains(&number)),
            Self::Seconds => is::<f64>(value, |seconds| SECONDS.contains(&seconds)),
            Self::List => is::<Vec<String>>(value, |texts| !texts.is_empty() && !texts.iter().any(String::is_empty)),
            Self::Networks => is::<Vec<IpNet>>(value, |_| true),
            Self::Origins => is::<AllowedOrigins>(value, |_| true),
            Self::Hosts => is::<AllowedHosts>(value, |_| true),
            Self::HeaderNames => is::<Vec<String>>(value, |names| names.iter().all(|name| is_header_name(name))),
            _ => value.as_str().is_some_and(|text| self.validate_text(text)),
        }
    }

    fn validate_text(self, text: &str) -> bool {
        match self {
            Self::DatabaseUrl => text.starts_with("postgres://") || text.starts_with("postgresql://"),
            Self::RedisUrl => text.starts_with("redis://") || text.starts_with("rediss://"),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::OneOf(words) => words.contains(&text),
            Self::LogFilter => !text.is_empty() && text.parse::<Targets>().is_ok(),
            _ => !text.is_empty(),
        }
    }

    /// Checks the parts of a connection URL; other kinds have none.
    pub(super) fn check_url(self, value: &Value) -> Result<(), UrlFault> {
        match (self, value.as_str()) {
            (Self::DatabaseUrl, Some(url)) => check_database_url(url),
            (Self::RedisUrl, Some(url)) => check_redis_url(url),
            _ => Ok(()),
        }
    }

    /// The value as TOML on one line, for people; of a secret, only the parts that are not secret.
    pub(super) fn display(self, value: &Value) -> String {
        // JSON of texts, numbers, booleans and lists of them is TOML too.
        let json = |value: &Value| serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
        match value {
            value if self.is_secret() => json(&without_password(value.as_str().unwrap_or_default()).into()),
            Value::Float(number) => format!("{number:?}"),
            Value::Datetime(time) => time.to_string(),
            value => json(value),
        }
    }
}

/// Whether the value has this type, and the property.
fn is<T: DeserializeOwned>(value: &Value, fits: impl FnOnce(T) -> bool) -> bool {
    value.clone().try_into().is_ok_and(fits)
}

fn is_header_name(name: &str) -> bool {
    name != "*" && name.parse::<HeaderName>().is_ok()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DatabaseUrl => "a URL such as postgres://user:password@host:5432/database",
            Self::RedisUrl => "a URL such as redis://user:password@host:6379/0, or rediss:// for TLS",
            Self::Path => "a path",
            Self::Address => "an IP address and a port such as 127.0.0.1:8080",
            Self::Bool => "true or false",
            Self::Integer { unit, min, max } => return write!(f, "a whole number of {unit}, {min} to {max}"),
            Self::Seconds => return write!(f, "seconds, {} to {}", SECONDS.start(), SECONDS.end()),
            Self::List => "a list such as [\"1001_movies\"], comma-separated in a variable",
            Self::Networks => "a list such as [\"10.0.0.0/8\"], comma-separated in a variable",
            Self::Origins => {
                "a list of origins such as [\"https://films.example\"] (scheme, host, optional port; no path or \
                 wildcard), \"loopback\" for pages of this machine on any port, or \"*\" for all; comma-separated in a \
                 variable"
            }
            Self::Hosts => {
                "a list of hosts such as [\"films.example\", \"*.films.example\", \"10.0.0.1\"] (no ports), or \"*\" for \
                 all; comma-separated in a variable"
            }
            Self::HeaderNames => {
                "a list of header names such as [\"x-tenant\"], without wildcards, comma-separated in a variable"
            }
            Self::OneOf(words) => return write!(f, "one of {}", words.join(", ")),
            Self::LogFilter => "a filter such as info,sqlx::query=debug",
        })
    }
}
